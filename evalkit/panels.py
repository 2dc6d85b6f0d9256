"""Weighted sums in fixed panels, so that no byte depends on block size, workers or threads.

A float sum depends on the shapes handed to BLAS and on how BLAS splits them. Here every product
is [64 resamples x 512 units] x [512 units x few columns], padded with zeros, small enough for
OpenBLAS to stay on one thread, and the panels are added in order of unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.table import Array, Floats, Ints

RESAMPLES = 64
UNITS = 512
TILE = 2**18  # multiplications; OpenBLAS's interface/gemm.c starts a second thread above this
EXACT = 2**24  # float32 holds every whole number up to this


class Rows(Protocol):
    """Rows [n, k] of n units, ready for products."""

    @property
    def width(self) -> int:
        """k."""
        ...

    def dense(self, units: slice) -> Floats:
        """The rows of some units."""
        ...

    def fit_for(self, weights: Array) -> np.dtype[np.floating]:
        """In which dtype the sums under these weights are exact, the narrowest."""
        ...

    def gather(self, units: slice, panel: NDArray[np.floating]) -> Floats:
        """panel [units, 64] -> its transpose times the rows of these units: [64, k]."""
        ...

    def apply(self, units: slice, slopes: Floats) -> Floats:
        """The rows of these units times slopes [k, 64]."""
        ...


class UnitRows:
    """Dense rows; whole numbers in float32 as well.

    A panel of whole numbers adds up exactly in float32 below 2^24, in half the time.
    """

    def __init__(self, rows: Array) -> None:
        self.values: Floats = rows.astype(np.float64)
        whole = rows.dtype.kind in "bui" or np.array_equal(rows, np.trunc(rows))
        largest = float(np.abs(self.values).max(initial=0))
        self._single = rows.astype(np.float32) if whole and UNITS * largest < EXACT else None
        self._largest_weight = EXACT / (UNITS * max(largest, 1)) if whole else 0

    @property
    def width(self) -> int:
        return int(self.values.shape[1])

    def dense(self, units: slice) -> Floats:
        return self.values[units]

    def fit_for(self, weights: Array) -> np.dtype[np.floating]:
        small = weights.dtype.kind in "bu" and weights.max(initial=0) < self._largest_weight
        return np.dtype(np.float32 if small and self._single is not None else np.float64)

    def gather(self, units: slice, panel: NDArray[np.floating]) -> Floats:
        single = self._single if panel.dtype == np.float32 else None
        return _product(panel.T, (self.values if single is None else single)[units])

    def apply(self, units: slice, slopes: Floats) -> Floats:
        return _product(self.values[units], slopes)


class SparseRows:
    """Rows of n units with few columns filled out of very many: class counts, confusion cells.

    unit, column, value: [entries]; entries of one cell are added in the order given.
    """

    def __init__(self, unit: Ints, column: Ints, value: Floats, shape: tuple[int, int]) -> None:
        from scipy.sparse import coo_array

        self._matrix: Any = coo_array((value.astype(np.float64), (unit, column)), shape).tocsr()
        self._panels: dict[int, Any] = {}

    @property
    def width(self) -> int:
        return int(self._matrix.shape[1])

    def dense(self, units: slice) -> Floats:
        return np.asarray(self._matrix[units].toarray())

    def fit_for(self, weights: Array) -> np.dtype[np.floating]:
        return np.dtype(np.float64)

    def gather(self, units: slice, panel: NDArray[np.floating]) -> Floats:
        return np.asarray((self._panel(units).T @ panel).T)

    def apply(self, units: slice, slopes: Floats) -> Floats:
        return np.asarray(self._panel(units) @ slopes)

    def _panel(self, units: slice) -> Any:
        if units.start not in self._panels:
            self._panels[units.start] = self._matrix[units]
        return self._panels[units.start]


class SideBySide:
    """The columns of two tables of the same units: a baseline and a system."""

    def __init__(self, left: Rows, right: Rows) -> None:
        self._left, self._right = left, right

    @property
    def width(self) -> int:
        return self._left.width + self._right.width

    def dense(self, units: slice) -> Floats:
        return np.concatenate([self._left.dense(units), self._right.dense(units)], axis=1)

    def fit_for(self, weights: Array) -> np.dtype[np.floating]:
        return max(self._left.fit_for(weights), self._right.fit_for(weights))

    def gather(self, units: slice, panel: NDArray[np.floating]) -> Floats:
        parts = [side.gather(units, panel) for side in (self._left, self._right)]
        return np.concatenate(parts, axis=1)

    def apply(self, units: slice, slopes: Floats) -> Floats:
        left = self._left.apply(units, np.ascontiguousarray(slopes[: self._left.width]))
        return left + self._right.apply(units, np.ascontiguousarray(slopes[self._left.width :]))


def weighted_sums(rows: Rows, weights: Array) -> Floats:
    """Sums [b, k] of rows [n, k] under weights [b, n]."""
    total = np.zeros((len(weights), rows.width))
    for these, units, panel in _panels(weights, rows.fit_for(weights)):
        total[these] += rows.gather(units, panel)[: these.stop - these.start]
    return total


def spread(rows: Rows, weights: Array, gradient: Floats) -> Floats:
    """sqrt(sum over units of weight * (row . gradient)^2): the linearised standard error.

    rows [n, k], weights [b, n], gradient [b, outputs, k] -> [b, outputs].
    """
    total = np.zeros(gradient.shape[:2])
    slopes = np.zeros((gradient.shape[1], gradient.shape[2], RESAMPLES))
    for these, units, panel in _panels(weights, np.dtype(np.float64)):
        count = these.stop - these.start
        slopes[:, :, :count] = gradient[these].transpose(1, 2, 0)
        slopes[:, :, count:] = 0
        for output, slope in enumerate(slopes):
            influence = rows.apply(units, slope)
            np.square(influence, out=influence)
            influence *= panel
            total[these, output] += influence.sum(axis=0)[:count]
    return np.sqrt(total)


def products(rows: Rows, units: int, slopes: Floats) -> Floats:
    """rows [units, k] @ slopes [k, outputs], panel by panel."""
    parts = [rows.apply(slice(i, min(i + UNITS, units)), slopes) for i in range(0, units, UNITS)]
    return np.concatenate(parts) if parts else np.zeros((0, slopes.shape[1]))


def _panels(
    weights: Array, dtype: np.dtype[np.floating]
) -> Iterator[tuple[slice, slice, NDArray[np.floating]]]:
    """(resamples, units, weights as [units, 64] padded with zeros), units innermost."""
    b, n = weights.shape
    buffer = np.empty((UNITS, RESAMPLES), dtype)
    for first in range(0, b, RESAMPLES):
        these = slice(first, min(first + RESAMPLES, b))
        for start in range(0, n, UNITS):
            units = slice(start, min(start + UNITS, n))
            panel = buffer[: units.stop - start]
            panel[:, : these.stop - first] = weights[these, units].T
            panel[:, these.stop - first :] = 0
            yield these, units, panel


def _product(left: NDArray[np.floating], right: NDArray[np.floating]) -> Floats:
    """left @ right in tiles of columns, each below BLAS's threshold for threads."""
    step = max(1, TILE // left.size)
    if step >= right.shape[1]:
        return np.asarray(left @ right)
    tiles = [left @ right[:, i : i + step] for i in range(0, right.shape[1], step)]
    return np.concatenate(tiles, axis=1)
