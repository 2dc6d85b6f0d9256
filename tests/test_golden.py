"""Values that were derived by hand; every metric in the catalogue has its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import evalkit
from evalkit import catalogue
from tests.specs import spec

FOLDER = Path(__file__).parent / "golden" / "metrics"
NAMES = sorted(catalogue.entries("metrics"))


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    """Where the metric cannot run here, the test skips with the metric's own reason."""
    path = FOLDER / f"{name}.json"
    assert path.is_file(), f"derive a value of {name} by hand and write it to {path}"
    golden = json.loads(path.read_text(encoding="utf-8"))
    assert golden["derivation"]
    metric = replace(catalogue.metric(spec(name)), **golden["parameters"])
    result = evalkit.score(
        [example["prediction"] for example in golden["examples"]],
        [example["references"] for example in golden["examples"]],
        [metric],
        interval="none",
        **golden.get("options", {}),
    )
    (first, *_) = result.scores
    if first["status"] == "unavailable":
        pytest.skip(first["reason"])
    for output, value in golden["values"].items():
        tolerance = golden.get("tolerance", 1e-12)
        assert result.value(name, output) == pytest.approx(value, rel=tolerance)
