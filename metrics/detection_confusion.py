"""Detection confusion: as what the objects of each label are found, missed, or made up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import MetricError, counted
from evalkit.labels.counts import OTHER, ratio
from evalkit.metric import Fitted, Output, SumMetric
from evalkit.panels import SparseRows
from evalkit.records.boxes import Box
from evalkit.records.example import Example
from evalkit.table import Floats, Ints, Table
from evalkit.vision.assignment import NONE, Assignment
from evalkit.vision.images import fit_labels, require_share

MOST_LABELS = 20
BACKGROUND = "(background)"


@dataclass(frozen=True)
class DetectionConfusion(SumMetric):
    """Cells by label, at one overlap (iou) and from one score on (threshold; see detection_f1).

    `cat→dog`: of the objects of cat, the share found as dog; `cat→cat`: the recall of cat;
    `cat→(background)`: the share missed. `(background)→cat`: of the detections of cat, the share
    that takes no object. `(other)`: detections of labels that no reference has. balanced_recall:
    the mean of the recalls. Undefined where a label has no object, or no detection.

    From the highest score down, each detection takes the free object with the highest overlap,
    whatever its label, as in FiftyOne with classwise=False; Ultralytics goes from the highest
    overlap down instead. Only its own label can take a crowd, and such detections do not count.
    """

    iou: float = 0.5
    threshold: float = 0.5

    outputs: ClassVar = (Output("balanced_recall"),)
    reads: ClassVar = "boxes"
    reference: ClassVar = "FiftyOne, evaluate_detections(method='coco', classwise=False)"

    def __post_init__(self) -> None:
        require_share("detection_confusion", "iou", self.iou)

    def fit(self, references: Iterable[Sequence[Sequence[Box]]]) -> Fitted:
        """The labels that occur."""
        fitted = fit_labels("detection_confusion", references)
        labels = fitted.state["labels"]
        if len(labels) > MOST_LABELS:
            raise MetricError(
                f"detection_confusion: {len(labels):,} labels, and a matrix of more than "
                f"{MOST_LABELS} cannot be read; merge the rare ones, or take detection_f1"
            )
        names = [output.name for output in self.output_list(fitted)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise MetricError(
                f'detection_confusion: two cells would be called "{twice}"; rename a label'
            )
        return fitted

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        labels = fitted.scoring["labels"]
        cells = (
            Output(f"{actual}→{found}", higher_is_better=actual == found)
            for actual in labels
            for found in (*labels, OTHER, BACKGROUND)
        )
        false = (
            Output(f"{BACKGROUND}→{found}", higher_is_better=False) for found in (*labels, OTHER)
        )
        return (*self.outputs, *cells, *false)

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Ints]:
        """[(cell, count), …] in rows of n + 2; of n labels, actual n is the background, found n
        (other) and n + 1 the background. The last cell: detections whose score is too low.
        """
        labels = fitted.state["labels"]
        name, n = "detection_confusion", len(labels)
        one = Assignment.of(name, examples, labels, self.iou, self.threshold, across=True)
        detections = one.detections.take(np.flatnonzero(~one.ignored))
        taken = one.taken[~one.ignored]
        actual = np.where(taken == NONE, n, np.append(one.objects.label, n)[taken])
        missed = ~one.objects.crowd
        missed[taken[taken != NONE]] = False
        lost = one.objects.take(np.flatnonzero(missed))
        image = np.concatenate([detections.image, lost.image])
        cell = np.concatenate([actual * (n + 2) + detections.label, lost.label * (n + 2) + n + 1])
        size = (n + 1) * (n + 2)
        counts = np.bincount(image * size + cell, minlength=len(examples) * size)
        for own, below in zip(counts.reshape(-1, size), one.below, strict=True):
            present = np.flatnonzero(own)
            yield np.column_stack([np.append(present, size - 1), np.append(own[present], below)])

    def unit_rows(self, table: Table, owner: Ints, units: int) -> SparseRows:
        """The cells of every unit."""
        size = _size(table.header.scoring)
        cells = np.flatnonzero(table.rows[:, 0] < size - 1)
        found = table.rows[cells].astype(np.int64)
        return SparseRows(owner[cells], found[:, 0], found[:, 1].astype(np.float64), (units, size))

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        n = len(scoring["labels"])
        shares, false = _shares(sums, n)
        recalls = np.diagonal(shares, axis1=1, axis2=2)
        defined = (~np.isnan(recalls)).sum(axis=1).astype(np.float64)
        mean = ratio(np.nansum(recalls, axis=1), defined)
        return np.column_stack([mean, shares.reshape(len(sums), n * (n + 2)), false])

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        n = len(scoring["labels"])
        b, columns = len(sums), n + 2
        cells = sums.reshape(b, n + 1, columns)
        shares, false = (np.nan_to_num(one) for one in _shares(sums, n))
        each = ratio(1.0, cells[:, :n].sum(axis=2), 0.0)
        present = np.maximum((each > 0).sum(axis=1), 1)
        slope = np.zeros((b, 1 + n * columns + n + 1, n + 1, columns))
        for label in range(n):
            first = 1 + label * columns
            own = (np.eye(columns) - shares[:, label, :, None]) * each[:, label, None, None]
            slope[:, first : first + columns, label] = own
            slope[:, 0, label] = own[:, label] / present[:, None]
        share = ratio(1.0, cells[:, :, : n + 1].sum(axis=1), 0.0)
        for found in range(n + 1):
            own = slope[:, 1 + n * columns + found]
            own[:, :, found] = -(false[:, found] * share[:, found])[:, None]
            own[:, n, found] += share[:, found]
        return slope.reshape(b, -1, (n + 1) * columns)

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        n, rows = len(table.header.scoring["labels"]), table.rows.astype(np.int64)
        cells = rows[rows[:, 0] < _size(table.header.scoring) - 1]
        found = cells[:, 0] % (n + 2)
        if unknown := int(cells[found == n, 1].sum()):
            what = f"{counted(unknown, 'detection')} with a label that no reference has"
            yield "unknown-label", f"{what}: in the column {OTHER}"
        if not cells[found <= n, 1].sum():
            below = int(rows[:, 1].sum() - cells[:, 1].sum())
            yield (
                "no-detections",
                f"no detection counts; {below:,} have a score below {self.threshold:g}",
            )


def _size(scoring: Mapping[str, Any]) -> int:
    n = len(scoring["labels"])
    return (n + 1) * (n + 2)


def _shares(sums: Floats, n: int) -> tuple[Floats, Floats]:
    """[b, n, n + 2] of the objects of each label; [b, n + 1] false ones of each label found."""
    cells = sums.reshape(-1, n + 1, n + 2)
    objects, found = cells[:, :n], cells[:, :, : n + 1]
    return (
        ratio(objects, objects.sum(axis=2, keepdims=True)),
        ratio(found[:, n], found.sum(axis=1)),
    )
