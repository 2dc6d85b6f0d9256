"""Weighted sums in fixed panels, so that no byte depends on block size, workers or threads.

A float sum depends on the shapes handed to BLAS and on how BLAS splits them. Here every product
is [64 resamples x 512 units] x [512 units x few columns], padded with zeros, small enough for
OpenBLAS to stay on one thread, and the panels are added in order of unit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evalkit.table import Array, Floats

RESAMPLES = 64
UNITS = 512
TILE = 2**18  # multiplications; OpenBLAS's interface/gemm.c starts a second thread above this
EXACT = 2**24  # float32 holds every whole number up to this


class UnitRows:
    """Rows [n, k] of n units, ready for products; whole numbers in float32 as well.

    A panel of whole numbers adds up exactly in float32 below 2^24, in half the time.
    """

    def __init__(self, rows: Array) -> None:
        self.values: Floats = rows.astype(np.float64)
        whole = rows.dtype.kind in "bui" or np.array_equal(rows, np.trunc(rows))
        largest = float(np.abs(self.values).max(initial=0))
        self._single = rows.astype(np.float32) if whole and UNITS * largest < EXACT else None
        self._largest_weight = EXACT / (UNITS * max(largest, 1)) if whole else 0

    def fit_for(self, weights: Array) -> NDArray[np.floating]:
        """The narrowest copy that gives exact sums under these weights."""
        small = weights.dtype.kind in "bu" and weights.max(initial=0) < self._largest_weight
        return self._single if small and self._single is not None else self.values


def weighted_sums(rows: UnitRows, weights: Array) -> Floats:
    """Sums [b, k] of rows [n, k] under weights [b, n]."""
    cast = rows.fit_for(weights)
    total = np.zeros((len(weights), cast.shape[1]))
    for these, units, panel in _panels(weights, cast.dtype):
        total[these] += _product(panel.T, cast[units])[: these.stop - these.start]
    return total


def spread(rows: UnitRows, weights: Array, gradient: Floats) -> Floats:
    """sqrt(sum over units of weight * (row . gradient)^2): the linearised standard error.

    rows [n, k], weights [b, n], gradient [b, outputs, k] -> [b, outputs].
    """
    total = np.zeros(gradient.shape[:2])
    slopes = np.zeros((gradient.shape[1], gradient.shape[2], RESAMPLES))
    for these, units, panel in _panels(weights, rows.values.dtype):
        count = these.stop - these.start
        slopes[:, :, :count] = gradient[these].transpose(1, 2, 0)
        slopes[:, :, count:] = 0
        for output, slope in enumerate(slopes):
            influence = _product(rows.values[units], slope)
            np.square(influence, out=influence)
            influence *= panel
            total[these, output] += influence.sum(axis=0)[:count]
    return np.sqrt(total)


def products(rows: UnitRows, slopes: Floats) -> Floats:
    """rows [n, k] @ slopes [k, outputs], panel by panel."""
    values = rows.values
    parts = [_product(values[i : i + UNITS], slopes) for i in range(0, len(values), UNITS)]
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
