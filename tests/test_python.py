"""The Python door: what it takes, and what it says of what it does not take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest

import evalkit
from evalkit.errors import DataError, EvalkitError, MetricError, UsageError

TEXTS = ["a b c", "d e f g", "h", "i j", "k l m", "n o", "p", "q r", "s t", "u"]


@pytest.mark.parametrize("made", [list, tuple, iter, np.array, pandas.Series])
def test_any_sequence_will_do(made: Any) -> None:
    result = evalkit.score(made(TEXTS), made(TEXTS), "exact_match", cluster=made(range(10)))
    assert result.value("exact_match") == 1
    assert result.document["inputs"]["clusters"] == 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a b", TEXTS), "predictions must be a list, not a str"),
        ((TEXTS, "a b"), "references must be a list, not a str"),
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


def test_labels_of_python_are_those_of_files() -> None:
    result = evalkit.score([{True: 0.9, False: 0.1}] * 10, [True] * 10, "accuracy")
    assert result.value("accuracy") == 1


@pytest.mark.parametrize(
    ("predictions", "says"),
    [
        ({"a", "b"}, "must be a list, not a set"),
        (["\ud800", "a"], "not valid Unicode"),
        ([10**400, 1], "cannot be a prediction"),
    ],
)
def test_what_no_file_could_hold_is_refused(predictions: Any, says: str) -> None:
    with pytest.raises(EvalkitError, match=says):
        evalkit.score(predictions, ["a", "b"])


def test_ordinal_labels_keep_their_order() -> None:
    """Ten after nine, not after one: quadratic kappa depends on it."""
    pytest.importorskip("torchmetrics", reason="the extra `neural` is not installed")
    truth = [1 + i % 10 for i in range(60)]
    guess = [min(10, one + i % 3) for i, one in enumerate(truth)]
    spec = "torchmetrics:classification.MulticlassCohenKappa:num_classes=10,weights=quadratic"
    from_one = evalkit.score(guess, truth, spec, interval="none").scores[0]["value"]
    lower_guess, lower_truth = ([one - 1 for one in each] for each in (guess, truth))
    from_zero = evalkit.score(lower_guess, lower_truth, spec, interval="none").scores[0]["value"]
    assert from_one == pytest.approx(from_zero)


def test_a_torchmetrics_class_of_ones_own() -> None:
    classification = pytest.importorskip("torchmetrics.classification")

    class Mine(classification.MulticlassAccuracy):  # type: ignore[misc, name-defined]
        pass

    result = evalkit.score([0, 1, 1, 0], [0, 1, 0, 0], [Mine(2, average="micro")])
    assert result.scores[0]["value"] == 0.75
