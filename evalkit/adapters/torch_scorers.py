"""Values of a torchmetrics metric under weights, one scorer per way that a metric can be had.

None has standard errors: torchmetrics computes in float32 and rounds counts, so no difference
quotient of its values means anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evalkit.adapters.torch_states import WHOLE, Driven
from evalkit.errors import MetricError
from evalkit.metric import Scorer
from evalkit.panels import RESAMPLES, Rows, SparseRows, weighted_sums
from evalkit.table import Array, Floats, Ints, Table


@dataclass(frozen=True)
class SumsScorer(Scorer):
    """compute([b, width] sums of states) -> [b, outputs]."""

    rows: Rows
    compute: Callable[[Floats], Floats]

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        found = []
        for first in range(0, len(weights), RESAMPLES):  # the sums of many classes are large
            these = weights[first : first + RESAMPLES]
            values = self.compute(weighted_sums(self.rows, these))
            values[~these.any(axis=1)] = np.nan
            found.append(values)
        values = np.concatenate(found)
        return values, np.full_like(values, np.nan)

    def influence(self) -> Floats | None:
        return None

    def binary(self, output: int) -> tuple[int, int] | None:
        return None

    def each(self) -> Floats | None:
        return None


@dataclass(frozen=True)
class InputsScorer(Scorer):
    """compute([n, k] inputs) -> [outputs], of the examples repeated as their weights say."""

    inputs: Array
    unit_of: Ints | None
    outputs: int
    compute: Callable[[Array], Floats]

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        counts = weights.astype(np.int64)
        if not np.array_equal(counts, weights):
            raise MetricError(
                f"torchmetrics computes this metric from repeated examples; weights: {WHOLE}"
            )
        values = np.full((len(weights), self.outputs), np.nan)
        for i, count in enumerate(counts if self.unit_of is None else counts[:, self.unit_of]):
            if count.any():
                values[i] = self.compute(np.repeat(self.inputs, count, axis=0))
        return values, np.full_like(values, np.nan)

    def influence(self) -> Floats | None:
        return None

    def binary(self, output: int) -> tuple[int, int] | None:
        return None

    def each(self) -> Floats | None:
        return None


def coded(states: Floats) -> Floats:
    """[width] -> rows (column, value) of what is not 0; of very many classes few are."""
    columns = np.flatnonzero(states)
    columns = columns if len(columns) else np.zeros(1, np.int64)
    return np.column_stack([columns, states[columns]])


def sums_scorer(driven: Driven, table: Table, unit_of: Ints | None, outputs: int) -> SumsScorer:
    """Of a table of coded rows."""
    columns, values = table.rows[:, 0].astype(np.int64), table.rows[:, 1].astype(np.float64)
    rows = _sparse(table, unit_of, columns, values, driven.width)
    return SumsScorer(rows, lambda sums: driven.from_sums(sums, outputs))


def values_scorer(table: Table, unit_of: Ints | None) -> SumsScorer:
    """Of a table of (value of each output, 1): a mean."""
    n, width = table.rows.shape
    columns = np.tile(np.arange(width), n)
    owner = np.repeat(table.owner, width)
    values = table.rows.astype(np.float64).reshape(-1)
    rows = _sparse(Table(table.header, table.ids, owner, values), unit_of, columns, values, width)
    return SumsScorer(rows, _mean)


def _mean(sums: Floats) -> Floats:
    count = sums[:, -1:]
    return np.divide(sums[:, :-1], count, out=np.full_like(sums[:, :-1], np.nan), where=count > 0)


def _sparse(
    table: Table, unit_of: Ints | None, columns: Ints, values: Floats, width: int
) -> SparseRows:
    owner = table.owner if unit_of is None else unit_of[table.owner]
    units = len(table.ids) if unit_of is None else int(unit_of.max(initial=-1)) + 1
    return SparseRows(owner, columns, values, (units, width))
