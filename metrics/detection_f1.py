"""Detection F1: precision and recall of boxes at one overlap and from one score on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from evalkit.errors import MetricError
from evalkit.labels.counts import ratio
from evalkit.metric import Fitted, Output, SumMetric
from evalkit.panels import Rows, SparseRows, UnitRows
from evalkit.records.boxes import Box
from evalkit.records.example import Example
from evalkit.table import Floats, Ints, Table
from evalkit.vision.assignment import NONE, Assignment
from evalkit.vision.images import fit_labels, refuse_best, require_share, require_threshold
from evalkit.vision.remarks import nothing_counts, unknown_labels

MOST_CLASSES = 100  # whose own values are shown
EACH = ("f1", "precision", "recall")
IMAGE = -1  # in place of a label: the row of the image itself


@dataclass(frozen=True)
class DetectionF1(SumMetric):
    """Of all boxes of all images. iou: the least overlap; threshold: the lowest score.

    No threshold is right for all detectors: 0.5 is a habit. Find it on other images, for example
    with `evalkit.vision.assignment.best_threshold`, and name it beside the value. per_class: also
    F1, precision and recall of each label.

    From the highest score down, each detection takes the free object of its label and image with
    the highest overlap, as in COCO. What takes a crowd counts nowhere, and a crowd is no object. A
    detection with a label that no reference has is a false positive. No detection is cut.
    """

    iou: float = 0.5
    threshold: float = 0.5
    per_class: bool = False

    outputs: ClassVar = tuple(map(Output, EACH))
    reads: ClassVar = "boxes"
    reference: ClassVar = "van Rijsbergen 1979; matched as COCOeval of pycocotools 2.0.11"

    def __post_init__(self) -> None:
        require_share("detection_f1", "iou", self.iou)
        require_threshold("detection_f1", self.threshold)

    @classmethod
    def from_text(cls, text: str) -> Self:
        refuse_best("detection_f1", text)
        return super().from_text(text)

    def fit(self, references: Iterable[Sequence[Sequence[Box]]]) -> Fitted:
        """The labels that occur."""
        fitted = fit_labels("detection_f1", references)
        labels = len(fitted.state["labels"])
        if self.per_class and labels > MOST_CLASSES:
            raise MetricError(
                f"detection_f1: per_class shows at most {MOST_CLASSES} labels, and there are "
                f"{labels:,}; leave per_class out"
            )
        return fitted

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        labels = fitted.scoring["labels"] if self.per_class else ()
        return (*self.outputs, *(Output(f"{label} {name}") for label in labels for name in EACH))

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Ints]:
        """[(label, hits, detections, objects), …]; first (-1, detections left out, 0, 0)."""
        labels = fitted.state["labels"]
        found = Assignment.of("detection_f1", examples, labels, self.iou, self.threshold)
        width = len(labels) + 1
        size = width * len(examples)
        counts = found.detections.take(np.flatnonzero(~found.ignored)).cells(width)
        hits = found.detections.take(np.flatnonzero((found.taken != NONE) & ~found.ignored))
        objects = found.objects.take(np.flatnonzero(~found.objects.crowd))
        columns = (hits.cells(width), counts, objects.cells(width))
        cells = np.stack([np.bincount(one, minlength=size) for one in columns], axis=1)
        for image, own in enumerate(cells.reshape(len(examples), width, 3)):
            present = np.flatnonzero(own.any(axis=1))
            head = [[IMAGE, found.below[image], 0, 0]]
            yield np.concatenate([head, np.column_stack([present, own[present]])])

    def unit_rows(self, table: Table, owner: Ints, units: int) -> Rows:
        """Sums of every unit: (hits, detections, objects), with per_class of each label."""
        counted_rows = np.flatnonzero(table.rows[:, 0] != IMAGE)
        label = table.rows[counted_rows, 0].astype(np.int64) * self.per_class
        unit = np.repeat(owner[counted_rows], 3)
        column = (3 * label[:, None] + np.arange(3)).ravel()
        value = table.rows[counted_rows, 1:].astype(np.float64).ravel()
        width = 3 * (1 + len(table.header.scoring["labels"]) * self.per_class)
        rows = SparseRows(unit, column, value, (units, width))
        return rows if self.per_class else UnitRows(rows.dense(slice(0, units)))

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        counts = sums.reshape(len(sums), -1, 3)
        each = counts[:, :-1] if self.per_class else counts[:, :0]
        every = np.concatenate([counts.sum(axis=1, keepdims=True), each], axis=1)
        hits, found, objects = np.moveaxis(every, 2, 0)
        three = [ratio(2 * hits, found + objects), ratio(hits, found), ratio(hits, objects)]
        return np.stack(three, axis=2).reshape(len(sums), -1)

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        b = len(sums)
        counts = sums.reshape(b, -1, 3)
        labels = counts.shape[1]
        own = labels - 1 if self.per_class else 0
        slope = np.zeros((b, 1 + own, 3, labels, 3))
        slope[:, 0] = _slopes(counts.sum(axis=1))[:, :, None]
        place = np.arange(own)
        slope[:, 1 + place, :, place] = np.moveaxis(_slopes(counts[:, :own]), 1, 0)
        return slope.reshape(b, 3 * (1 + own), 3 * labels)

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        rows, labels = table.rows.astype(np.int64), len(table.header.scoring["labels"])
        below = int(rows[rows[:, 0] == IMAGE, 1].sum())
        kept = int(rows[rows[:, 0] != IMAGE, 2].sum())
        unknown = int(rows[rows[:, 0] == labels, 2].sum())
        yield from unknown_labels(unknown, "false positives here")
        if not kept:
            yield from nothing_counts(below, self.threshold)


def _slopes(counts: Floats) -> Floats:
    """[…, 3] (hits, detections, objects) -> […, 3, 3]: of F1, precision and recall in them."""
    hits, found, objects = np.moveaxis(counts, -1, 0)
    both = found + objects
    none = np.zeros_like(hits)
    fall = -ratio(2 * hits, both**2, 0.0)
    rows = [
        [ratio(2.0, both, 0.0), fall, fall],
        [ratio(1.0, found, 0.0), -ratio(hits, found**2, 0.0), none],
        [ratio(1.0, objects, 0.0), none, -ratio(hits, objects**2, 0.0)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))
