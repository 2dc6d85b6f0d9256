"""The Python door: what it takes, and what it says of what it does not take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest

import evalkit
from evalkit.errors import DataError, MetricError, UsageError

TEXTS = ["a b c", "d e f g", "h", "i j", "k l m", "n o", "p", "q r", "s t", "u"]


@pytest.mark.parametrize("made", [list, tuple, iter, np.array, pandas.Series])
def test_any_sequence_will_do(made: Any) -> None:
    result = evalkit.score(made(TEXTS), made(TEXTS), "exact_match", cluster=made(range(10)))
    assert result.value("exact_match") == 1
    assert result.document["inputs"]["clusters"] == 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a b", TEXTS), "predictions must be a list, not one str"),
        ((TEXTS, "a b"), "references must be a list, not one str"),
        ((TEXTS, [TEXTS]), r"one list per example is wanted.*zip\(\*references\)"),
        ((TEXTS, TEXTS[:3]), "references of 3 examples for 10 predictions"),
        (([], []), "there are no predictions"),
        (([None], ["a"]), r"predictions\[0\]: the prediction is null"),
        ((["a"], [[]]), r"references\[0\]: the list of references is empty"),
        (([1.5], ["a"]), r"predictions\[0\]: the prediction must be text"),
    ],
)
def test_misuse_is_named(arguments: tuple[Any, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        evalkit.score(*arguments, "bleu")


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"ids": [1] * 10}, DataError, 'the id "1" appears twice'),
        ({"ids": [1.5] * 10}, DataError, r"ids\[0\]: the id must be"),
        ({"cluster": ["a"]}, DataError, "1 cluster for 10 predictions"),
        ({"slices": {"x": ["a"]}}, DataError, "for 10 predictions"),
        ({"level": 95}, UsageError, "0.95"),
        ({"interval": "BCA"}, UsageError, 'did you mean "bca"'),
        ({"seed": -1}, UsageError, "negative"),
        ({"metrics": ["chrf", "chrf"]}, UsageError, "named twice"),
        ({"metrics": ["BLEU"]}, MetricError, 'did you mean "bleu"'),
        ({"protocol": "nothing"}, evalkit.EvalkitError, "no protocol"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        evalkit.score(TEXTS, TEXTS, **({"metrics": ["bleu"]} | options))


def test_values_by_label_output_and_slice() -> None:
    result = evalkit.score(
        TEXTS,
        TEXTS[:5] + ["x"] * 5,
        ["chrf", "chrf:word_order=2"],
        slices={"half": [0] * 5 + [1] * 5},
    )
    assert result.value("chrf") != result.value("chrf:word_order=2")
    assert result.value("chrf", slice={"field": "half", "value": "0"}) == pytest.approx(100)
    with pytest.raises(KeyError, match="there are"):
        result.value("bleu")
    only = evalkit.score(TEXTS, TEXTS, ["chrf:word_order=2"])
    assert only.value("chrf") == pytest.approx(100)
    two = evalkit.score(TEXTS, TEXTS, ["chrf:word_order=2", "chrf:word_order=1"])
    with pytest.raises(KeyError, match="could be any of"):
        two.value("chrf")
    assert repr(only) == "<Result 'system' on 'translation-34146e83': chrf:word_order=2=100.00>"


def test_what_a_module_offers() -> None:
    assert "score" in dir(evalkit)
    assert "ModuleSpec" not in dir(evalkit)
    for name in dir(evalkit):
        assert getattr(evalkit, name) is not None
