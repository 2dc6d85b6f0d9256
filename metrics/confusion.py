"""Confusion: of the examples of each label, the share that is predicted as each label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import MetricError
from evalkit.labels.counts import OTHER, PairMetric, Pairs, ratio
from evalkit.metric import Fitted, Output, SumScorer
from evalkit.panels import SparseRows
from evalkit.table import Array, Floats, Ints, Table

MOST_LABELS = 20


@dataclass(frozen=True)
class Confusion(PairMetric):
    """`cat→dog`: of the examples of cat, the share predicted as dog; `cat→cat`: the recall of cat.

    balanced_accuracy: the mean of the recalls. `cat→(other)`: missing predictions, and labels that
    no reference has. Undefined where there is no example of a label. Where the annotators of every
    example agree and there are no clusters, a cell is a proportion of the examples of its label,
    and `auto` takes Wilson's interval.
    """

    outputs: ClassVar = (Output("balanced_accuracy"),)
    reference: ClassVar = (
        "torchmetrics 1.9 MulticlassConfusionMatrix(normalize='true'); Brodersen et al. 2010"
    )

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        fitted = super().fit(references)
        labels = fitted.state["labels"]
        if len(labels) > MOST_LABELS:
            raise MetricError(
                f"confusion: {len(labels):,} labels, and a matrix of more than {MOST_LABELS} "
                "cannot be read; merge the rare ones, or take f1 or accuracy"
            )
        names = [output.name for output in self.output_list(fitted)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise MetricError(f'confusion: two cells would be called "{twice}"; rename a label')
        return fitted

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        labels = fitted.state["labels"]
        cells = (
            Output(f"{actual}→{predicted}", higher_is_better=predicted == actual)
            for actual in labels
            for predicted in (*labels, OTHER)
        )
        return (*self.outputs, *cells)

    def scorer(self, table: Table, unit_of: Ints | None = None) -> SumScorer:
        made = super().scorer(table, unit_of)
        single = unit_of is None and table.header.scoring["unanimous"]
        return CellScorer(self, made.rows, made.units, made.scoring) if single else made

    def counts(self, pairs: Pairs, labels: int, units: int) -> SparseRows:
        """Cells row by row; the last of a row is for predictions of no known label."""
        column = pairs.actual * (labels + 1) + np.minimum(pairs.predicted, labels)
        return SparseRows(pairs.unit, column, pairs.share, (units, labels * (labels + 1)))

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        shares = _shares(sums, scoring["labels"])
        recalls = np.diagonal(shares, axis1=1, axis2=2)
        defined = (~np.isnan(recalls)).sum(axis=1).astype(np.float64)
        mean = ratio(np.nansum(recalls, axis=1), defined)
        return np.column_stack([mean, shares.reshape(len(sums), -1)])

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        labels = scoring["labels"]
        columns = labels + 1
        shares = np.nan_to_num(_shares(sums, labels))
        total = sums.reshape(-1, labels, columns).sum(axis=2)
        each = ratio(1.0, total, 0.0)
        present = np.maximum((total > 0).sum(axis=1), 1)
        slope = np.zeros((len(sums), 1 + labels * columns, labels * columns))
        for label in range(labels):
            first = label * columns
            own = (np.eye(columns) - shares[:, label, :, None]) * each[:, label, None, None]
            slope[:, 1 + first : 1 + first + columns, first : first + columns] = own
            slope[:, 0, first : first + columns] = own[:, label] / present[:, None]
        return slope

    def successes(self, sums: Floats, labels: int, output: int) -> tuple[int, int] | None:
        if output == 0:
            return None
        cells = sums.reshape(labels, labels + 1)
        actual, predicted = divmod(output - 1, labels + 1)
        return int(cells[actual, predicted]), int(cells[actual].sum())


@dataclass(frozen=True)
class CellScorer(SumScorer):
    """Of units that have one cell each: squared influences add up by cell, not by unit.

    Of 20 labels there are 421 slopes for every unit and resample.
    """

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        sums = self.sums(weights)
        values = self.metric.from_sums(sums, self.scoring)
        spreads = np.full_like(values, np.nan)
        if errors:
            for one, cells in enumerate(sums):
                slopes = self.metric.gradient(cells[None], self.scoring)[0]
                spreads[one] = np.sqrt(np.einsum("ok,ok,k->o", slopes, slopes, cells))
        return values, spreads


def _shares(sums: Floats, labels: int) -> Floats:
    """[b, labels, labels + 1] of the rows' totals; NaN where a label has no example."""
    cells = sums.reshape(-1, labels, labels + 1)
    return ratio(cells, cells.sum(axis=2, keepdims=True))
