"""Detection confusion: as what the objects of each label are found, missed, or made up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from evalkit.errors import MetricError
from evalkit.labels.counts import OTHER, ratio
from evalkit.metric import Fitted, Output, SumMetric, SumScorer
from evalkit.panels import UNITS, SparseRows, spread, weighted_sums
from evalkit.records.boxes import Box
from evalkit.records.example import Example
from evalkit.table import Array, Floats, Ints, Table
from evalkit.vision.assignment import NONE, Assignment
from evalkit.vision.images import fit_labels, refuse_best, require_share, require_threshold
from evalkit.vision.remarks import nothing_counts, unknown_labels

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
        require_threshold("detection_confusion", self.threshold)

    @classmethod
    def from_text(cls, text: str) -> Self:
        refuse_best("detection_confusion", text)
        return super().from_text(text)

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

    def scorer(self, table: Table, unit_of: Ints | None = None) -> SumScorer:
        made = super().scorer(table, unit_of)
        moments = _moments(made, len(made.scoring["labels"]))
        return ShareScorer(self, made.rows, made.units, made.scoring, moments)

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
        slope = np.zeros((b, 1 + n * columns + n + 1, n + 1, columns))
        slope[:, 0] = _mean_slope(sums, n).reshape(b, n + 1, columns)
        for label in range(n):
            first = 1 + label * columns
            own = (np.eye(columns) - shares[:, label, :, None]) * each[:, label, None, None]
            slope[:, first : first + columns, label] = own
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
        yield from unknown_labels(int(cells[found == n, 1].sum()), f"in the column {OTHER}")
        if not cells[found <= n, 1].sum():
            below = int(rows[:, 1].sum() - cells[:, 1].sum())
            yield from nothing_counts(below, self.threshold)


@dataclass(frozen=True)
class ShareScorer(SumScorer):
    """Squared influences of a share x / X add up from the units' x^2, x X and X^2.

    Of 20 labels there are 462 slopes for every unit and resample. moments: see `_moments`.
    """

    moments: SparseRows

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        sums = self.sums(weights)
        values = self.metric.from_sums(sums, self.scoring)
        spreads = np.full_like(values, np.nan)
        if errors:
            n = len(self.scoring["labels"])
            spreads[:, :1] = spread(self.rows, weights, _mean_slope(sums, n)[:, None])
            own = weighted_sums(self.moments, weights)
            shares = np.nan_to_num(values[:, 1:])
            square, product, wholes = np.split(own, [shares.shape[1], 2 * shares.shape[1]], axis=1)
            whole, group = _wholes(sums, n)
            total = square - 2 * shares * product + shares**2 * wholes[:, group]
            spreads[:, 1:] = ratio(np.sqrt(np.maximum(total, 0)), whole[:, group], 0.0)
        return values, spreads


def _moments(scorer: SumScorer, n: int) -> SparseRows:
    """x^2 and x X of every share and X^2 of every whole X, of each unit."""
    found = []
    for first in range(0, max(scorer.units, 1), UNITS):
        sums = scorer.rows.dense(slice(first, first + UNITS))
        whole, group = _wholes(sums, n)
        cells = sums.reshape(-1, n + 1, n + 2)
        parts = np.concatenate([cells[:, :n].reshape(len(sums), -1), cells[:, n, : n + 1]], axis=1)
        own = np.concatenate([parts**2, parts * whole[:, group], whole**2], axis=1)
        unit, column = np.nonzero(own)
        found.append((unit + first, column, own[unit, column]))
    units, columns, values = (np.concatenate(one) for one in zip(*found, strict=True))
    return SparseRows(units, columns, values, (scorer.units, own.shape[1]))


def _wholes(sums: Floats, n: int) -> tuple[Floats, Ints]:
    """[b, 2 n + 1]: the objects of each label, the detections of each found; of every share its
    whole."""
    cells = sums.reshape(-1, n + 1, n + 2)
    whole = np.concatenate([cells[:, :n].sum(axis=2), cells[:, :, : n + 1].sum(axis=1)], axis=1)
    return whole, np.concatenate([np.repeat(np.arange(n), n + 2), np.arange(n, 2 * n + 1)])


def _mean_slope(sums: Floats, n: int) -> Floats:
    """[b, cells]: of the mean recall in every cell."""
    cells = sums.reshape(-1, n + 1, n + 2)
    objects = cells[:, :n].sum(axis=2)
    present = np.maximum((objects > 0).sum(axis=1, keepdims=True), 1)
    each = ratio(1.0, objects, 0.0) / present
    recalls = np.nan_to_num(np.diagonal(_shares(sums, n)[0], axis1=1, axis2=2))
    slope = np.zeros(cells.shape)
    slope[:, :n] = -(recalls * each)[:, :, None]
    slope[:, np.arange(n), np.arange(n)] += each
    return slope.reshape(len(sums), -1)


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
