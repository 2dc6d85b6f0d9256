"""Kinds of records: what a prediction and a reference are, and what their fields are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from evalkit.errors import UsageError, did_you_mean
from evalkit.records import box_checks, box_values, boxes, labels, numbers, text
from evalkit.records.example import Example
from evalkit.records.fields import PREDICTION_FILE, REFERENCE_FILE

Aliases = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Kind:
    """prediction, references: (value, where) -> checked value, or DataError.

    empty: what a missing prediction is scored as; None: it cannot be. predictions, truths: names
    of the fields beyond the usual; ambiguous: the prediction where --refs are given, else the
    reference; either: the prediction in one file, the reference in the other. absent: an example
    without a prediction is one of an empty prediction, and nothing is missing. remarks: of all
    examples and their file, (code, message), or DataError.
    """

    name: str
    prediction: Callable[[Any, str], Any]
    references: Callable[[Any, str], tuple[Any, ...]]
    empty: Any = None
    predictions: tuple[str, ...] = ()
    truths: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    absent: bool = False
    remarks: Callable[[Sequence[Example], str | None], tuple[tuple[str, str], ...]] | None = None

    def prediction_file(self, separate_references: bool) -> Aliases:
        """The names in a file of predictions; separate_references: --refs are given."""
        ours, theirs = (self.ambiguous, ()) if separate_references else ((), self.ambiguous)
        return {
            **PREDICTION_FILE,
            "prediction": (
                *PREDICTION_FILE["prediction"],
                *self.predictions,
                *self.either,
                *ours,
            ),
            "references": (*PREDICTION_FILE["references"], *self.truths, *theirs),
        }

    def reference_file(self) -> Aliases:
        names = (*self.truths, *self.either, *self.ambiguous)
        references = (*REFERENCE_FILE["references"], *names)
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
        remarks=labels.remarks,
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
    "boxes": Kind(
        "boxes",
        box_values.prediction,
        box_values.references,
        (),
        ("detections", "predictions"),
        ("annotations", "objects"),
        either=("boxes",),
        absent=True,
        remarks=box_checks.remarks,
    ),
}


def kind(name: str) -> Kind:
    if name not in KINDS:
        raise UsageError(f'no kind of record is called "{name}"{did_you_mean(name, KINDS)}')
    return KINDS[name]


def every_name() -> frozenset[str]:
    """All names that a field with a meaning may go by."""
    aliases = (
        names
        for one in KINDS.values()
        for file in (one.prediction_file(True), one.prediction_file(False), one.reference_file())
        for names in file.values()
    )
    return frozenset(name for names in aliases for name in names)


def with_box_format(found: Kind, box_format: str | None) -> Kind:
    """The kind, reading boxes of this format from Python values; UsageError for another kind."""
    if box_format is None:
        return found
    if found.name != "boxes":
        raise UsageError(f"box_format is for boxes, but these are {found.name}")
    return replace(
        found,
        prediction=partial(box_values.prediction, form=box_format),
        references=partial(box_values.references, form=box_format),
    )


def kind_of(record: Mapping[str, Any]) -> Kind:
    """Told by a file's first record: text, unless the prediction is no text or called a label."""
    if _boxed(record):
        return KINDS["boxes"]
    found = next((record[name] for name in PREDICTION_FILE["prediction"] if name in record), None)
    named = any(name in record for name in ("probabilities", "probs", "predicted", "pred"))
    if isinstance(found, str):
        return KINDS["labels" if _labelled(record) else "text"]
    if isinstance(found, float) and not found.is_integer():
        return KINDS["numbers"]
    return KINDS["labels" if found is not None or named or "label" in record else "text"]


def kind_of_value(prediction: Any) -> Kind:
    """Told by the first prediction of a list."""
    if boxes.is_boxes(prediction):
        return KINDS["boxes"]
    if isinstance(prediction, float) and not prediction.is_integer():
        return KINDS["numbers"]
    return KINDS["text" if isinstance(prediction, str) else "labels"]


def _labelled(record: Mapping[str, Any]) -> bool:
    return "label" in record and not any(name in record for name in PREDICTION_FILE["references"])


def _boxed(record: Mapping[str, Any]) -> bool:
    """A box, or an image with boxes, and no text or label that only comes with a box."""
    own = KINDS["boxes"].prediction_file(separate_references=True)["prediction"]
    found = next((record[name] for name in own if name in record), None)
    if found is None:
        return boxes.is_box(record)
    return boxes.is_boxes(found)
