"""Compiled counterparts of the numpy functions in `precision`, for panels of 64 resamples.

Loaded only where it pays: importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

LANES = 64
EPSILON = np.spacing(1)
NEAR = 1e-9

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Without the lock of the interpreter, and kept on disk where there is a folder for it."""
    try:
        return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))
    except RuntimeError:  # no folder where numba could keep what it compiles
        return cast(F, numba.njit(nogil=True, error_model="numpy")(function))


@compiled
def sums(panel: Any, streams: Any, total: Any) -> None:
    """total [labels, k, 64]: coefficients [c, k] under weights [images, 64]."""
    labels, columns, _ = total.shape
    for label in range(labels):
        for cell in range(streams.cell_start[label], streams.cell_start[label + 1]):
            weight = panel[streams.cell_image[cell]]
            for column in range(columns):
                factor = streams.coefficients[cell, column]
                if factor:
                    for lane in range(LANES):
                        total[label, column, lane] += factor * np.int32(weight[lane])


@compiled
def average_precision(panel: Any, streams: Any, objects: Any, above: Any, found: Any) -> None:
    """found [labels, areas, thresholds, 64], where there are objects [labels, areas, 64].

    above [101]: whether a recall point is larger than its hundredths.
    """
    labels, areas, thresholds, _ = found.shape
    counted = np.empty((max(streams.rows, 1), LANES), np.int32)
    exact = np.empty(LANES, np.int64)
    for area in range(areas):
        for label in range(labels):
            _count(panel, streams, area * labels + label, counted)
            own = objects[label, area]
            exacts = 0
            for lane in range(LANES):  # only these can hit a hundredth that is not reached yet
                if own[lane] > 0 and own[lane] % 10 == 0:
                    exact[exacts] = lane
                    exacts += 1
            for threshold in range(thresholds):
                curve = (area * thresholds + threshold) * labels + label
                total = found[label, area, threshold]
                _curve(panel, streams, curve, counted, own, exact[:exacts], above, total)


@compiled
def _count(panel: Any, streams: Any, stream: int, counted: Any) -> None:
    """counted [rows, 64]: hits and false positives up to each row."""
    running = np.zeros(LANES, np.int32)
    for place in range(streams.counted_start[stream], streams.counted_start[stream + 1]):
        weight = panel[streams.counted_image[place]]
        for lane in range(LANES):
            running[lane] += np.int32(weight[lane])
        row = streams.counted_row[place]
        if row >= 0:
            for lane in range(LANES):
                counted[row, lane] = running[lane]


@compiled
def _curve(
    panel: Any,
    streams: Any,
    curve: int,
    counted: Any,
    objects: Any,
    exact: Any,
    above: Any,
    total: Any,
) -> None:
    """total [64] of one curve, from its last event to its first: the running maximum is then the
    highest precision from there on, and what each event adds is how many recall points it holds.
    """
    first, end = streams.event_start[curve], streams.event_start[curve + 1]
    seen, ignored = np.zeros(LANES, np.int32), np.zeros(LANES, np.int32)
    best, added = np.zeros(LANES), np.zeros(LANES)
    hits, scale, points = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for event in range(first, end):
        weight = panel[streams.event_image[event]]
        if streams.event_row[event] >= 0:
            for lane in range(LANES):
                seen[lane] += np.int32(weight[lane])
        else:
            for lane in range(LANES):
                ignored[lane] += np.int32(weight[lane])
    for lane in range(LANES):
        hits[lane] = seen[lane]
        scale[lane] = 100.0 / max(objects[lane], 1.0)
        points[lane] = np.floor(hits[lane] * scale[lane] + NEAR)
    for lane in exact:
        point = np.int64(points[lane])
        if above[point] and hits[lane] * 100 == point * objects[lane]:
            points[lane] -= 1.0
    for event in range(end - 1, first - 1, -1):
        weight, row = panel[streams.event_image[event]], streams.event_row[event]
        if row < 0:
            for lane in range(LANES):
                ignored[lane] -= np.int32(weight[lane])
            continue
        counts = counted[row]
        for lane in range(LANES):
            precision = hits[lane] / (np.float64(counts[lane] - ignored[lane]) + EPSILON)
            highest = best[lane]
            highest = precision if precision > highest else highest
            best[lane] = highest
            before = hits[lane] - np.float64(weight[lane])
            hits[lane] = before
            left = np.floor(before * scale[lane] + NEAR)
            added[lane] += highest * (points[lane] - left)
            points[lane] = left
        for lane in exact:
            point = np.int64(points[lane])
            if above[point] and hits[lane] * 100 == point * objects[lane]:
                added[lane] += best[lane]
                points[lane] -= 1.0
    for lane in range(LANES):
        if objects[lane] > 0:
            total[lane] = (added[lane] + best[lane]) / 101.0
