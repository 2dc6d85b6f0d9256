"""Random sets as PASCAL VOC writes them, and its rules once more, detection by detection."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.records.boxes import Box, Four
from evalkit.records.example import Example, System

LABELS = ("bird", "cat", "dog")
Corners = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax; the last pixel is inside


@dataclass(frozen=True)
class Object:
    label: str
    corners: Corners
    difficult: bool


@dataclass(frozen=True)
class Detection:
    label: str
    corners: Corners
    score: float


@dataclass(frozen=True)
class Image:
    objects: tuple[Object, ...]
    detections: tuple[Detection, ...]


def random_set(seed: int, *, difficult: float = 0.2, free: bool = False) -> list[Image]:
    """Boxes on a grid, so that overlaps tie and hit a half, or free ones; no score occurs twice.

    Only `random()` is drawn from, whose sequence Python keeps between its versions.
    """
    generator = random.Random(seed)

    def whole(low: int, high: int) -> int:
        return low + int(generator.random() * (high - low + 1))

    step = (1, 4, 10)[seed % 3]

    def near(corners: Corners, step: float) -> Corners:
        left, top, right, bottom = (
            edge + step * whole(-2, 2) + free * generator.random() for edge in corners
        )
        return left, top, max(right, left), max(bottom, top)

    images = []
    total = 0
    for _ in range(whole(1, 8)):
        objects = []
        for _ in range(whole(0, 4)):
            left, top = 10 * whole(0, 6), 10 * whole(0, 6)
            corners = (left, top, left + 10 * whole(1, 4) - 1, top + 10 * whole(1, 4) - 1)
            label = LABELS[whole(0, 2 if seed % 4 else 1)]
            objects.append(Object(label, near(corners, 0), generator.random() < difficult))
        found = []
        for one in objects:
            for _ in range(whole(0, 3)):
                label = one.label if generator.random() < 0.85 else LABELS[whole(0, 2)]
                found.append((label, near(one.corners, step)))
        for _ in range(whole(0, 2)):
            left, top = whole(0, 80), whole(0, 80)
            corners = (left, top, left + whole(0, 30), top + whole(0, 30))
            found.append((LABELS[whole(0, 2)], corners))
        total += len(found)
        images.append((tuple(objects), found))
    ranks = sorted(range(total), key=lambda _: generator.random())
    scores = iter([(rank + 1) / (total + 1) for rank in ranks])
    return [
        Image(objects, tuple(Detection(label, box, next(scores)) for label, box in found))
        for objects, found in images
    ]


def system(images: Sequence[Image], *, plus: int = 1) -> System:
    """plus: 1 counts the last pixel into the sizes, 0 leaves that to voc_ap:inclusive=true."""

    def four(corners: Corners) -> Four:
        left, top, right, bottom = corners
        return left, top, right - left + plus, bottom - top + plus

    examples = [
        Example(
            f"{number:04d}",
            tuple(Box(four(one.corners), one.label, one.score) for one in image.detections),
            (tuple(Box(four(o.corners), o.label, crowd=o.difficult) for o in image.objects),),
        )
        for number, image in enumerate(images)
    ]
    return System("voc", examples, kind="boxes")


def overlap(one: Corners, other: Corners) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0]) + 1
    down = min(one[3], other[3]) - max(one[1], other[1]) + 1
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    areas = ((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other))
    return shared / (sum(areas) - shared)


def average_precision(images: Sequence[Image], label: str, *, eleven: bool) -> float:
    """As VOCevaldet.m of the development kits of 2007 and 2012 goes about it."""
    objects = [[one for one in image.objects if one.label == label] for image in images]
    total = sum(not one.difficult for own in objects for one in own)
    if total == 0:
        return math.nan
    ranked = sorted(
        (
            (-one.score, number, one)
            for number, image in enumerate(images)
            for one in image.detections
            if one.label == label
        ),
        key=lambda entry: entry[:2],
    )
    taken = set()
    hits = false = 0
    curve = []
    for _, number, one in ranked:
        best, place = -math.inf, -1
        for candidate, truth in enumerate(objects[number]):
            if (share := overlap(one.corners, truth.corners)) > best:
                best, place = share, candidate
        if best >= 0.5 and objects[number][place].difficult:
            continue
        if best >= 0.5 and (number, place) not in taken:
            taken.add((number, place))
            hits += 1
        else:
            false += 1
        curve.append((hits / total, hits / (hits + false)))
    if eleven:
        points = [max((p for r, p in curve if r >= 0.1 * k), default=0.0) for k in range(11)]
        return sum(points) / 11
    before, area = 0.0, 0.0
    for place, (recall, _) in enumerate(curve):
        area += (recall - before) * max(p for _, p in curve[place:])
        before = recall
    return area
