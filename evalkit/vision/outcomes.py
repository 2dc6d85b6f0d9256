"""What became of every detection, as rows of a table and read back from them.

Rows of an image: the image itself (-1, cut, -1, unknown, 0 …); a label with objects (label, 0, -1,
objects that count per area …); a detection (label, score, rank, outcome per area …).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evalkit.table import Array, Floats, Ints, Table
from evalkit.vision.columns import Columns, natural_order, places
from evalkit.vision.matching import Matches

LEADING = 3  # columns before those of the areas
NONE = -1


@dataclass(frozen=True)
class Kept:
    """Detections in order of image, label and score, at most so many per image and label.

    rank [d]: 0, 1, 2, …; unknown, cut [images]: how many were left out, because no reference has
    their label, or because there were too many.
    """

    columns: Columns
    rank: Ints
    unknown: Ints
    cut: Ints

    @classmethod
    def of(cls, detections: Columns, labels: int, most: int) -> Kept:
        images = detections.images
        unknown = np.bincount(detections.image[detections.label < 0], minlength=images)
        order = np.lexsort((-detections.score, detections.label, detections.image))
        order = order[detections.label[order] >= 0]
        rank = places(detections.cells(labels)[order])
        cut = np.bincount(detections.image[order[rank >= most]], minlength=images)
        return cls(detections.take(order[rank < most]), rank[rank < most], unknown, cut)


def rows(kept: Kept, matches: Matches, objects: Columns, counted: Array) -> list[Floats]:
    """One [r, 3 + areas] per image. counted [objects, areas]: whether an object counts."""
    images, areas = objects.images, counted.shape[1]
    head = np.zeros((images, LEADING + areas))
    head[:, :LEADING] = NONE
    head[:, 1], head[:, LEADING] = kept.cut, kept.unknown
    cell = objects.cells(1 + int(objects.label.max(initial=0)))
    starts = np.flatnonzero(places(cell) == 0)
    per_label = np.zeros((len(starts), LEADING + areas))
    per_label[:, 0], per_label[:, 2] = objects.label[starts], NONE
    if len(starts):
        per_label[:, LEADING:] = np.add.reduceat(counted.astype(np.int64), starts)
    found = np.zeros((len(kept.columns), LEADING + areas))
    found[:, 0], found[:, 1], found[:, 2] = kept.columns.label, kept.columns.score, kept.rank
    found[:, LEADING:] = _encode(matches)
    every = np.concatenate([head, per_label, found])
    image = np.concatenate([np.arange(images), objects.image[starts], kept.columns.image])
    order = np.argsort(image, kind="stable")
    ends = np.cumsum(np.bincount(image, minlength=images))
    return np.split(every[order], ends[:-1])


def _encode(matches: Matches) -> Ints:
    """[d, areas] a bit per threshold: hit in the lower ones, ignored in the upper ones."""
    bits = np.packbits(np.concatenate([matches.hit, matches.ignored], axis=2), 2, "little")
    return np.asarray(bits @ 256 ** np.arange(bits.shape[2]))


@dataclass(frozen=True)
class Detections:
    """Columns [d] in order of label, score (falling) and image, as all curves want them.

    hit, ignored [areas, d]: a bit per threshold.
    """

    image: Ints
    label: Ints
    score: Floats
    rank: Ints
    hit: Ints
    ignored: Ints

    def best(self, most: int) -> Detections:
        """Of every image and label the `most` with the highest scores."""
        kept = self.rank < most
        return Detections(
            self.image[kept],
            self.label[kept],
            self.score[kept],
            self.rank[kept],
            self.hit[:, kept],
            self.ignored[:, kept],
        )


@dataclass(frozen=True)
class Objects:
    """image, label [c] in order of label and image; number [c, areas] of objects that count."""

    image: Ints
    label: Ints
    number: Ints

    def units(self, labels: int, unit_of: Ints | None) -> Ints:
        """[labels, areas]: in how many units (image -> unit; None: images) objects count."""
        unit = self.image if unit_of is None else unit_of[self.image]
        count = np.zeros((labels, self.number.shape[1]), np.int64)
        for area, number in enumerate(self.number.T):
            held = number > 0
            pairs = np.unique(np.stack([self.label[held], unit[held]], axis=1), axis=0)
            count[:, area] = np.bincount(pairs[:, 0], minlength=labels)
        return count


@dataclass(frozen=True)
class Outcomes:
    """A table read back."""

    labels: int
    thresholds: int
    detections: Detections
    objects: Objects

    @property
    def areas(self) -> int:
        return self.objects.number.shape[1]

    def at(self, threshold: int) -> Outcomes:
        """At one threshold alone, by its number."""
        found = self.detections
        hit, ignored = (bits >> threshold & 1 for bits in (found.hit, found.ignored))
        return replace(self, thresholds=1, detections=replace(found, hit=hit, ignored=ignored))

    @classmethod
    def of(cls, table: Table, labels: int, thresholds: int) -> Outcomes:
        """Equal scores stand in order of image (see `image_order`), then of the file."""
        leading = table.rows[:, :LEADING].astype(np.float64)
        image = image_order(table.ids)[table.owner]
        is_detection = leading[:, 2] > NONE
        found = np.flatnonzero(is_detection)
        found = found[np.lexsort((image[found], -leading[found, 1], leading[found, 0]))]
        cells = np.flatnonzero((leading[:, 0] > NONE) & ~is_detection)
        cells = cells[np.lexsort((image[cells], leading[cells, 0]))]
        codes = table.rows[found, LEADING:].astype(np.int64).T
        return cls(
            labels,
            thresholds,
            Detections(
                table.owner[found],
                leading[found, 0].astype(np.int64),
                leading[found, 1],
                leading[found, 2].astype(np.int64),
                codes & ((1 << thresholds) - 1),
                codes >> thresholds,
            ),
            Objects(
                table.owner[cells],
                leading[cells, 0].astype(np.int64),
                table.rows[cells, LEADING:].astype(np.int64),
            ),
        )


def label_images(table: Table) -> tuple[Ints, Ints]:
    """(label [c], image [c]) of every label that has objects, of any area, in an image."""
    rows = table.rows
    found = np.flatnonzero((rows[:, 0] > NONE) & (rows[:, 2] == NONE) & (rows[:, LEADING] > 0))
    return rows[found, 0].astype(np.int64), table.owner[found]


def scores(table: Table) -> Floats:
    """Of all detections, in any order."""
    return np.asarray(table.rows[table.rows[:, 2] > NONE, 1], np.float64)


def left_out(table: Table) -> tuple[int, int]:
    """How many detections: because no reference has their label, because there were too many."""
    images = table.rows[table.rows[:, 0] == NONE]
    return int(images[:, LEADING].sum()), int(images[:, 1].sum())


def image_order(ids: Sequence[bytes]) -> Ints:
    """[n] the place of each image among the others: numbers by value, then all else by bytes.

    pycocotools goes through images in order of their numeric ids, and where detections of two
    images have the same score, this order decides which comes first.
    """
    order = sorted(range(len(ids)), key=lambda position: natural_order(ids[position].decode()))
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids))
    return place
