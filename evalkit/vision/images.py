"""What metrics of boxes ask of the images before they match anything."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from evalkit.errors import MetricError, counted
from evalkit.metric import Fitted
from evalkit.records.boxes import Box
from evalkit.records.example import Example
from evalkit.vision.columns import natural_order


def fit_labels(metric: str, references: Iterable[Sequence[Sequence[Box]]]) -> Fitted:
    """state and scoring: the `labels` that occur, in order; metric: what messages call it."""
    found = {box.label for image in references for box in only_annotator(metric, image)}
    labels = sorted(found, key=natural_order)
    return Fitted({"labels": labels}, {"labels": labels})


def only_annotator(metric: str, annotators: Sequence[Sequence[Box]]) -> Sequence[Box]:
    """The boxes of the one annotator; MetricError where there is another number of them."""
    if len(annotators) != 1:
        raise MetricError(
            f"{metric}: an image with {counted(len(annotators), 'annotator')}, but it is defined "
            "against one; keep the boxes of one annotator per image"
        )
    return annotators[0]


def require_scores(metric: str, examples: Sequence[Example]) -> None:
    """MetricError where a detection has no score."""
    for example in examples:
        if any(box.score is None for box in example.prediction):
            raise MetricError(
                f'{metric}: id "{example.id}" has a detection without a score, which it needs'
            )


def require_masks(metric: str, examples: Sequence[Example]) -> None:
    """MetricError where a detection or an object has no mask."""
    for example in examples:
        sides = {"detection": [example.prediction], "reference": example.references}
        for side, several in sides.items():
            if any(box.mask is None for boxes in several for box in boxes):
                raise MetricError(
                    f'{metric}: id "{example.id}" has a {side} without a mask, which iou=segm '
                    "needs; polygons are one where the width and height of the image are given"
                )


def require_share(metric: str, name: str, value: float) -> None:
    """MetricError where an overlap is not above 0 and at most 1."""
    if not 0 < value <= 1:
        raise MetricError(f"{metric}: {name} lies above 0 and is at most 1, not {value:g}")


def require_threshold(metric: str, value: float) -> None:
    """MetricError where a score is not finite."""
    if not math.isfinite(value):
        raise MetricError(f"{metric}: threshold is a finite score, not {value:g}")


def refuse_best(metric: str, text: str) -> None:
    """MetricError where the parameters on the command line ask for the best threshold."""
    if re.search(r"\bthreshold=best\b", text):
        raise MetricError(
            f"{metric}: threshold is a number; find the best one on other data with "
            "evalkit.vision.assignment.best_threshold(RESULTS, INSTANCES), and name it here"
        )
