"""Kinds of records: what a prediction and a reference are, and what their fields are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evalkit.errors import UsageError, did_you_mean
from evalkit.records import labels, numbers, text
from evalkit.records.fields import PREDICTION_FILE, REFERENCE_FILE

Aliases = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Kind:
    """prediction, references: (value, where) -> checked value, or DataError.

    empty: what a missing prediction is scored as; None: it cannot be. predictions, truths: names
    of the fields beyond the usual; ambiguous: the prediction where --refs are given, else the
    reference.
    """

    name: str
    prediction: Callable[[Any, str], Any]
    references: Callable[[Any, str], tuple[Any, ...]]
    empty: Any = None
    predictions: tuple[str, ...] = ()
    truths: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()

    def prediction_file(self, separate_references: bool) -> Aliases:
        """The names in a file of predictions; separate_references: --refs are given."""
        ours, theirs = (self.ambiguous, ()) if separate_references else ((), self.ambiguous)
        return {
            **PREDICTION_FILE,
            "prediction": (*PREDICTION_FILE["prediction"], *self.predictions, *ours),
            "references": (*PREDICTION_FILE["references"], *self.truths, *theirs),
        }

    def reference_file(self) -> Aliases:
        references = (*REFERENCE_FILE["references"], *self.truths, *self.ambiguous)
        return {**REFERENCE_FILE, "references": references}


KINDS = {
    "text": Kind("text", text.prediction, text.references, text.EMPTY),
    "labels": Kind(
        "labels",
        labels.prediction,
        labels.references,
        labels.EMPTY,
        ("predicted", "pred", "probabilities", "probs"),
        ("gold",),
        ("label",),
    ),
    "numbers": Kind(
        "numbers",
        numbers.prediction,
        numbers.references,
        None,
        ("predicted", "pred", "value"),
        ("gold",),
        ("label",),
    ),
}


def kind(name: str) -> Kind:
    if name not in KINDS:
        raise UsageError(f'no kind of record is called "{name}"{did_you_mean(name, KINDS)}')
    return KINDS[name]


def kind_of(record: Mapping[str, Any]) -> Kind:
    """Told by a file's first record: text, unless the prediction is no text or called a label."""
    found = next((record[name] for name in PREDICTION_FILE["prediction"] if name in record), None)
    named = any(name in record for name in ("probabilities", "probs", "predicted", "pred"))
    if isinstance(found, str):
        return KINDS["labels" if _labelled(record) else "text"]
    return KINDS["labels" if found is not None or named or "label" in record else "text"]


def kind_of_value(prediction: Any) -> Kind:
    """Told by the first prediction of a list."""
    return KINDS["text" if isinstance(prediction, str) else "labels"]


def _labelled(record: Mapping[str, Any]) -> bool:
    return "label" in record and not any(name in record for name in PREDICTION_FILE["references"])
