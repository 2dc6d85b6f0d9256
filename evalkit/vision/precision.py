"""Average precision and recall of every label, area and threshold under any weights of the images.

A weight of w at a detection is w copies of it in a row: precision peaks at hits only, so a curve
needs the weighted counts at its hits and nothing else.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.panels import RESAMPLES
from evalkit.table import Array, Floats, Ints
from evalkit.vision.outcomes import Outcomes

RECALLS = np.linspace(0.0, 1.0, 101)  # some lie one rounding above k / 100, as in pycocotools
PERCENT = np.arange(101) / 100
EPSILON = np.spacing(1)  # in pycocotools' denominator
NEAR = 1e-9  # of a hundredth of recall; closer than counts below 1e9 can come without touching
WORTHWHILE = 3_000  # hits; below, numpy is done while numba is being loaded
SLOW = 50_000  # hits; above, numpy alone takes seconds

FEW = 2_000  # numbers; below, blocks do not pay

Small = NDArray[np.int32]


class Streams(NamedTuple):
    """The curves of every label and area, ready for weights; stream = area x labels + label.

    counted_*: detections that are a hit or a false positive at some threshold, in order;
    counted_row: the number of a detection among the hits of its stream, -1 for no hit.
    event_*: per (area, threshold, label) the hits and (row -1) what is ignored at this threshold.
    cell_*, coefficients [c, areas + columns]: objects that count, and hits for recall, per image.
    """

    counted_start: Ints
    counted_image: Small
    counted_row: Small
    rows: int
    event_start: Ints
    event_image: Small
    event_row: Small
    cell_start: Ints
    cell_image: Small
    coefficients: Small


@dataclass(frozen=True)
class Curves:
    """Average precision of every label, area and threshold, and recalls, under weights.

    recall_columns: (area, detections per image and label) of each recall.
    """

    streams: Streams
    labels: int
    areas: int
    thresholds: int
    recall_columns: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls, outcomes: Outcomes, recall_columns: Sequence[tuple[int, int]], most: int | None = None
    ) -> Curves:
        """most: detections per image and label; None: all that the table has."""
        if most is not None:
            outcomes = replace(outcomes, detections=outcomes.detections.best(most))
        return cls(
            _streams(outcomes, recall_columns),
            outcomes.labels,
            outcomes.areas,
            outcomes.thresholds,
            tuple(recall_columns),
        )

    def measure(self, panel: Array) -> tuple[Floats, Floats]:
        """panel [images, b], how often each image counts, b at most 64.

        -> average precision [labels, areas, thresholds, b] and recall, the mean over thresholds,
        [labels, recalls, b]; 0..1, NaN where no object counts.
        """
        shape = (self.labels, self.areas, self.thresholds, panel.shape[1])
        counts: Floats
        precision: Floats
        kernel = self._kernel(panel)
        if kernel is not None:
            panel = np.ascontiguousarray(panel, np.uint8)
            counts = np.zeros((self.labels, self.streams.coefficients.shape[1], RESAMPLES))
            kernel.sums(panel, self.streams, counts)
            precision = np.full(shape, np.nan)
            objects = np.ascontiguousarray(counts[:, : self.areas])
            kernel.average_precision(panel, self.streams, objects, RECALLS > PERCENT, precision)
        else:
            panel = panel.astype(np.float64)
            counts = _sums(panel, self.streams, self.labels)
            precision = _average_precision(panel, self.streams, counts[:, : self.areas], shape)
        return precision, self._recall(counts)

    def _recall(self, counts: Floats) -> Floats:
        """counts [labels, areas + recalls, b]."""
        area = [area for area, _ in self.recall_columns]
        found, objects = counts[:, self.areas :], self.thresholds * counts[:, area]
        return np.asarray(
            np.divide(found, objects, out=np.full(found.shape, np.nan), where=objects > 0)
        )

    def _kernel(self, panel: Array) -> Any:
        """The compiled kernel for full panels of counts up to 255, where it pays; else None."""
        hits = len(self.streams.event_image)
        if panel.shape[1] != RESAMPLES or hits < WORTHWHILE or not _fits_a_byte(panel):
            return None
        return _compiled(hits)


def _fits_a_byte(panel: Array) -> bool:
    if panel.dtype in (np.uint8, np.bool_):
        return True
    return bool((panel == panel.astype(np.uint8)).all()) if panel.max(initial=0) < 256 else False


def _compiled(hits: int) -> Any:
    if importlib.util.find_spec("numba") is not None:
        return _load()
    if hits > SLOW:
        _say_slow()
    return None


@cache
def _load() -> Any:
    from evalkit.vision import kernel

    return kernel


@cache
def _say_slow() -> None:
    logging.getLogger("evalkit").warning(
        "average precision is resampled without numba, which takes about 25 times as long; "
        "pip install numba (extra `fast`)"
    )


def _streams(outcomes: Outcomes, recall_columns: Sequence[tuple[int, int]]) -> Streams:
    found, labels = outcomes.detections, outcomes.labels
    every = (1 << outcomes.thresholds) - 1
    counted, counted_rows, counted_sizes, events, event_rows, event_sizes = [], [], [], [], [], []
    most_rows = 0
    for hit, ignored in zip(found.hit, found.ignored, strict=True):
        hits = np.flatnonzero(hit)
        last = np.full(labels, -1)
        last[found.label[hits]] = hits  # the last one of each label stays
        place = np.flatnonzero((np.arange(len(hit)) <= last[found.label]) & (ignored != every))
        first_hit = np.searchsorted(found.label[hits], np.arange(labels))
        row = np.full(len(hit), -1)
        row[hits] = np.arange(len(hits)) - first_hit[found.label[hits]]
        counted.append(place)
        counted_rows.append(row[place])
        counted_sizes.append(np.bincount(found.label[place], minlength=labels))
        most_rows = max(most_rows, int(row.max(initial=-1)) + 1)
        for threshold in range(outcomes.thresholds):
            is_hit = hit[place] >> threshold & 1
            event = np.flatnonzero(is_hit | (ignored[place] >> threshold & 1))
            events.append(place[event])
            event_rows.append(np.where(is_hit[event], row[place[event]], -1))
            event_sizes.append(np.bincount(found.label[place[event]], minlength=labels))
    cells = outcomes.objects
    return Streams(
        _starts(counted_sizes),
        found.image[np.concatenate(counted)].astype(np.int32),
        np.concatenate(counted_rows).astype(np.int32),
        most_rows,
        _starts(event_sizes),
        found.image[np.concatenate(events)].astype(np.int32),
        np.concatenate(event_rows).astype(np.int32),
        _starts([np.bincount(cells.label, minlength=labels)]),
        cells.image.astype(np.int32),
        np.concatenate([cells.number, _hits(outcomes, recall_columns)], axis=1).astype(np.int32),
    )


def _starts(sizes: Sequence[Ints]) -> Ints:
    return np.concatenate([[0], np.cumsum(np.concatenate(sizes))])


def _hits(outcomes: Outcomes, recall_columns: Sequence[tuple[int, int]]) -> Ints:
    """[cells, recalls]: hits summed over thresholds; there are none but where objects are."""
    found, cells = outcomes.detections, outcomes.objects
    images = 1 + int(max(found.image.max(initial=0), cells.image.max(initial=0)))
    key = cells.label * images + cells.image
    order = np.argsort(key)
    total = np.zeros((len(key), len(recall_columns)), np.int64)
    for column, (area, most) in enumerate(recall_columns):
        hits = np.flatnonzero((found.hit[area] != 0) & (found.rank < most))
        own = found.label[hits] * images + found.image[hits]
        cell = order[np.searchsorted(key, own, sorter=order)]
        np.add.at(total[:, column], cell, np.bitwise_count(found.hit[area][hits]))
    return total


def _sums(panel: Floats, streams: Streams, labels: int) -> Floats:
    """Coefficients [c, k] under weights [images, b] -> [labels, k, b]."""
    total = np.zeros((labels, streams.coefficients.shape[1], panel.shape[1]))
    for label in range(labels):
        own = slice(streams.cell_start[label], streams.cell_start[label + 1])
        total[label] = streams.coefficients[own].T @ panel[streams.cell_image[own]]
    return total


def _average_precision(
    panel: Floats, streams: Streams, objects: Floats, shape: tuple[int, int, int, int]
) -> Floats:
    """objects [labels, areas, b] -> [labels, areas, thresholds, b]."""
    labels, areas, thresholds, _ = shape
    found = np.zeros(shape)
    for area, label in np.ndindex(areas, labels):
        stream = area * labels + label
        own = slice(streams.counted_start[stream], streams.counted_start[stream + 1])
        counted = running(np.add, panel.take(streams.counted_image[own], axis=0))
        counted = counted[streams.counted_row[own] >= 0]
        for threshold in range(thresholds):
            curve = (area * thresholds + threshold) * labels + label
            own = slice(streams.event_start[curve], streams.event_start[curve + 1])
            rows, images = streams.event_row[own], streams.event_image[own]
            if (rows >= 0).any():
                weights = panel.take(images, axis=0)
                found[label, area, threshold] = _area_under(
                    rows, weights, counted, objects[label, area]
                )
    found[np.broadcast_to(objects[:, :, None] <= 0, shape)] = np.nan
    return found


def _area_under(rows: Small, weights: Floats, counted: Floats, objects: Floats) -> Floats:
    """[b] from rows [e], their weights [e, b], counted [rows, b] and objects [b].

    The mean over the recall points of the highest precision from there on; from the last event to
    the first, as the kernel adds; the two agree to about 1e-15.
    """
    hit = rows >= 0
    counts = counted[rows[hit]]
    if not hit.all():
        counts -= running(np.add, np.where(hit[:, None], 0, weights))[hit]
        weights = weights[hit]
    hits = running(np.add, weights)
    counts += EPSILON
    best = running(np.maximum, (hits / counts)[::-1])
    steps = reached(hits, objects)
    steps[1:] -= steps[:-1].copy()
    total: Floats = (best * steps[::-1]).sum(axis=0) + best[-1]
    return total / len(RECALLS)


def reached(hits: Floats, objects: Floats) -> Floats:
    """How many of the recall points above 0 are at most hits / objects (0 / 0: none)."""
    share = hits / np.where(objects > 0, objects, 1)
    points = np.floor(share * 100 + NEAR)
    points -= share < RECALLS.take(points.astype(np.intp))
    return np.asarray(points)


def running(operation: np.ufunc, values: Floats) -> Floats:
    """operation.accumulate(values [n, b]), several times as fast where both are large.

    numpy accumulates number by number; within blocks of rows, whole columns go at once.
    """
    n, b = values.shape
    width = math.isqrt(n)
    if n * b < FEW:
        return np.asarray(operation.accumulate(values))
    blocks = np.zeros((-(-n // width), width, b))
    blocks.reshape(-1, b)[:n] = values
    for place in range(1, width):
        operation(blocks[:, place - 1], blocks[:, place], out=blocks[:, place])
    before = operation.accumulate(blocks[:-1, -1])
    operation(blocks[1:], before[:, None], out=blocks[1:])
    return np.asarray(blocks.reshape(-1, b)[:n])
