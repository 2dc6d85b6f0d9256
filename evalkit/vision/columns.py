"""Boxes of many images as columns, in order of image and label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from evalkit.records.boxes import Box
from evalkit.table import Floats, Ints

Bools = NDArray[np.bool_]
Masks = NDArray[np.object_]  # Mask or None


@dataclass(frozen=True)
class Columns:
    """n boxes of some images. box [n, 4]: x, y, width, height; label [n]: its number.

    score [n]: NaN where there is none; area [n]: NaN where it is not given.
    """

    images: int
    image: Ints
    label: Ints
    box: Floats
    score: Floats
    crowd: Bools
    area: Floats
    mask: Masks

    @classmethod
    def of(cls, boxes: Sequence[Sequence[Box]], labels: Mapping[str, int]) -> Columns:
        """One sequence of boxes per image; labels: their numbers, -1 for any other."""
        flat = [box for own in boxes for box in own]
        sides = [one.box for one in flat]
        nan = float("nan")
        return cls(
            len(boxes),
            np.repeat(np.arange(len(boxes)), [len(own) for own in boxes]),
            np.array([labels.get(one.label, -1) for one in flat], np.int64),
            np.fromiter(chain.from_iterable(sides), np.float64, 4 * len(flat)).reshape(-1, 4),
            np.array([nan if one.score is None else one.score for one in flat], np.float64),
            np.array([one.crowd for one in flat], np.bool_),
            np.array([nan if one.area is None else one.area for one in flat], np.float64),
            np.fromiter((one.mask for one in flat), np.object_, len(flat)),
        )

    def __len__(self) -> int:
        return len(self.image)

    def take(self, chosen: Ints) -> Columns:
        return replace(
            self,
            image=self.image[chosen],
            label=self.label[chosen],
            box=self.box[chosen],
            score=self.score[chosen],
            crowd=self.crowd[chosen],
            area=self.area[chosen],
            mask=self.mask[chosen],
        )

    def sorted(self, *, by_score: bool = False) -> Columns:
        """By image and label; by_score: highest first. What is equal keeps its order."""
        keys = (self.label, self.image)
        return self.take(np.lexsort((-self.score, *keys) if by_score else keys))

    def cells(self, labels: int) -> Ints:
        """[n] the number of the (image, label) that each box lies in."""
        return self.image * labels + self.label


def natural_order(name: str) -> tuple[bool, int, str]:
    """A key to sort names by: numbers by value, then all else as text."""
    number = name.isdecimal() and name.isascii()
    return not number, int(name) if number else 0, name


def places(group: Ints) -> Ints:
    """[n] 0, 1, 2, … within each run of equal numbers."""
    if len(group) == 0:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
    lengths = np.diff(np.append(starts, len(group)))
    return np.arange(len(group)) - np.repeat(starts, lengths)
