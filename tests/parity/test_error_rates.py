"""wer and cer against torchmetrics 1.9, and what torchmetrics does not have; length."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalkit
from evalkit import catalogue
from evalkit.records.example import Example
from tests.corpora import text_system

Pair = tuple[str, list[str]]


def rows(name: str, pairs: Sequence[Pair], **parameters: Any) -> list[tuple[float, ...]]:
    metric = catalogue.metric_class(name)(**parameters)
    examples = [Example(str(i), text, tuple(refs)) for i, (text, refs) in enumerate(pairs)]
    fitted = metric.fit([example.references for example in examples])
    return [tuple(row) for row in metric.rows(examples, fitted)]  # type: ignore[arg-type]


def torchmetrics_rate(name: str, pairs: Sequence[Pair]) -> float:
    """Of the first references; edits and lengths are float32 there, exact below 2^24."""
    from torchmetrics.functional.text import char_error_rate, word_error_rate

    rate = word_error_rate if name == "wer" else char_error_rate
    return float(rate([text for text, _ in pairs], [references[0] for _, references in pairs]))


def rate(name: str, pairs: Sequence[Pair], **parameters: Any) -> float:
    edits, units = np.array(rows(name, pairs, **parameters)).sum(axis=0)
    return float(edits / units) if units else math.nan


@pytest.mark.parametrize("name", ["wer", "cer"])
def test_random_corpora(name: str) -> None:
    for seed in range(20):
        examples = text_system(1 + seed, seed, references=1).examples
        pairs = [(one.prediction, [*one.references]) for one in examples]
        pairs[0] = ("", pairs[0][1]) if seed % 2 else (pairs[0][0], [""])
        expected = torchmetrics_rate(name, pairs)
        if math.isfinite(expected):  # a single empty reference: infinite there, undefined here
            assert rate(name, pairs) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("name", "count"), [("wer", 40), ("cer", 12)])
def test_real_text(name: str, count: int, data: Path) -> None:
    """Paragraphs of WMT23 de-en by one system, each alone and all together."""
    folder = data / "wmt23-general-dasqm" / "de-en"
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no {folder}")
    predictions = read(folder / "preds" / "ONLINE-A.jsonl.gz")
    references = read(folder / "refs" / "refA.jsonl.gz")
    ids = sorted(predictions)[:: len(predictions) // count]
    pairs = [(predictions[one]["prediction"], references[one]["references"]) for one in ids]
    assert rate(name, pairs) == pytest.approx(torchmetrics_rate(name, pairs), rel=1e-6)
    for pair in pairs:
        assert rate(name, [pair]) == pytest.approx(torchmetrics_rate(name, [pair]), rel=1e-6)


def read(path: Path) -> dict[str, dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return {record["id"]: record for record in map(json.loads, stream)}


TEXT = st.text("ab c.\n", max_size=15)


@given(TEXT, TEXT)
@settings(max_examples=150, deadline=None)
def test_any_text(prediction: str, reference: str) -> None:
    """White space at the ends counts as characters."""
    pairs = [(prediction, [reference])]
    for name, units in (("wer", reference.split()), ("cer", reference)):
        if units:
            expected = torchmetrics_rate(name, pairs)
            assert rate(name, pairs) == pytest.approx(expected, rel=1e-6)
        else:
            assert rows(name, pairs)[0][1] == 0


@given(TEXT, st.lists(TEXT, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_the_nearest_reference(prediction: str, references: list[str]) -> None:
    """The smallest rate of the references alone; the longer at a tie."""
    alone = [rows("wer", [(prediction, [one])])[0] for one in references]
    found = rows("wer", [(prediction, references)])[0]
    assert found in alone
    rates = [edits / words if words else edits and math.inf for edits, words in alone]
    nearest = min(rates)
    longest = max(words for one, (_, words) in zip(rates, alone, strict=True) if one == nearest)
    assert found[1] == longest
    assert rates[alone.index(found)] == nearest


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("wer", {}, (3, 3)),
        ("wer", {"lowercase": True}, (2, 3)),
        ("wer", {"punctuation": False}, (2, 3)),
        ("wer", {"lowercase": True, "punctuation": False}, (0, 3)),
        ("cer", {}, (6, 6)),
        ("cer", {"lowercase": True}, (3, 6)),
        ("cer", {"punctuation": False}, (3, 6)),
        ("cer", {"lowercase": True, "punctuation": False}, (0, 6)),
    ],
)
def test_parameters(name: str, parameters: dict[str, Any], expected: tuple[int, int]) -> None:
    """By hand: cer differs in I, O, K (case) and in the apostrophe, a space and the full stop."""
    pairs = {"wer": ("Don't go, Ann", ["dont go ann"]), "cer": ("It's  OK.", ["its ok"])}
    assert rows(name, [pairs[name]], **parameters) == [expected]


def test_empty_references_count_their_edits_and_are_remarked_on() -> None:
    result = evalkit.score(["a b c", "a"], [[""], ["a b"]], ["wer"], interval="none")
    assert result.value("wer") == (3 + 1) / (0 + 2)
    (remark,) = [one for one in result.warnings if one["code"] == "empty-references"]
    assert remark["message"].startswith("1 example ")


def test_length_grows_with_the_prediction_alone() -> None:
    """However close the prediction is to one of the references."""
    references = ["a b c d", "a b", "a b c d e f"]
    ratios = [words / mean for words, mean, _ in rows("length", [("a " * 3, references)])]
    assert ratios == [3 / 4]
