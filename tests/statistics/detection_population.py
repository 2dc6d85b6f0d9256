"""A made-up population of images with the detections of two systems, each image matched once.

A set of images drawn with replacement is a choice of rows: nothing is matched again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.detection_set import FREQUENCIES
from evalkit import catalogue
from evalkit.metric import Metric, Scorer
from evalkit.panels import RESAMPLES as AT_ONCE
from evalkit.records.boxes import Box
from evalkit.records.example import Example
from evalkit.table import Floats, Ints, Table

IMAGES = 24_000
OUTPUTS = ("AP", "AP50", "AP75", "AR100")
FRAME = np.array([640.0, 480.0])
CROWDS = 0.012  # of the objects
FALSE_POSITIVES = 9  # per image, on average


@dataclass(frozen=True)
class Boxes:
    """Columns [n]; box [n, 4]: x, y, width, height; value: a score, or an area in pixels."""

    image: Ints
    label: Ints
    box: Floats
    value: Floats
    crowd: Any


def draw_objects(generator: np.random.Generator, images: int) -> Boxes:
    """Labels as frequent as COCO's; a few per image, each of them once or many times."""
    burst = 1 + generator.gamma(1.5, 1.25, len(FREQUENCIES))
    chance = FREQUENCIES / burst
    groups = generator.poisson(3.1, images)
    label = generator.choice(len(burst), groups.sum(), p=chance / chance.sum())
    count = np.minimum(generator.geometric(1 / burst[label]), 40)
    image = np.repeat(np.repeat(np.arange(images), groups), count)
    label = np.repeat(label, count)
    box = _boxes(generator, len(label))
    area = box[:, 2] * box[:, 3] * generator.uniform(0.45, 0.95, len(label))
    return Boxes(image, label, box, area, generator.random(len(label)) < CROWDS)


def draw_detections(generator: np.random.Generator, images: int, objects: Boxes) -> Boxes:
    """Hits good and bad, duplicates, false positives; no two scores are equal."""
    skill = np.clip(generator.normal(0.62, 0.13, len(FREQUENCIES)), 0.15, 0.93)
    width = np.sqrt(objects.box[:, 2] * objects.box[:, 3])
    able = skill[objects.label] * np.where(width < 32, 0.6, np.where(width < 96, 0.95, 1.15))
    seen = np.flatnonzero(generator.random(len(able)) < np.minimum(able + 0.25, 0.97))
    good = generator.random(len(seen)) < able[seen]
    blur = np.where(good, 0.015, 0.05) + np.abs(
        generator.normal(0, np.where(good, 0.05, 0.18), len(seen))
    )
    score = np.where(good, generator.beta(5, 2, len(seen)), generator.beta(1.6, 4, len(seen)))
    again = np.repeat(np.arange(len(seen)), generator.poisson(0.4, len(seen)))
    false = generator.poisson(FALSE_POSITIVES, images)
    labels = generator.choice(
        len(skill), int(false.sum()), p=np.sqrt(FREQUENCIES) / np.sqrt(FREQUENCIES).sum()
    )
    box = np.concatenate(
        [
            _moved(generator, objects.box[seen], blur),
            _moved(generator, objects.box[seen[again]], np.full(len(again), 0.09)),
            _boxes(generator, len(labels)),
        ]
    )
    own = seen[np.concatenate([np.arange(len(seen)), again])]
    return Boxes(
        np.concatenate([objects.image[own], np.repeat(np.arange(images), false)]),
        np.concatenate([objects.label[own], labels]),
        box,
        np.concatenate(
            [
                score,
                score[again] * generator.beta(1.2, 4, len(again)),
                generator.beta(0.9, 6, len(labels)),
            ]
        ),
        np.zeros(len(box), np.bool_),
    )


def worse(generator: np.random.Generator, detections: Boxes) -> Boxes:
    """A second system, much like the first: boxes moved, scores shaken, a few lost."""
    kept = np.flatnonzero(generator.random(len(detections.image)) > 0.03)
    score = detections.value[kept]
    odds = np.log(score / (1 - score)) + generator.normal(0, 0.4, len(kept))
    return Boxes(
        detections.image[kept],
        detections.label[kept],
        _moved(generator, detections.box[kept], np.full(len(kept), 0.02)),
        1 / (1 + np.exp(-odds)),
        detections.crowd[kept],
    )


def _boxes(generator: np.random.Generator, count: int) -> Floats:
    side = np.exp(generator.normal(np.log(60), 0.95, count))
    shape = np.exp(generator.normal(0, 0.25, count))
    extent = np.clip(np.stack([side * shape, side / shape], axis=1), 4, 0.95 * FRAME)
    return np.hstack([generator.random((count, 2)) * (FRAME - extent), extent])


def _moved(generator: np.random.Generator, box: Floats, blur: Floats) -> Floats:
    """Centres moved and sides stretched, in proportion to the size; blur [n]."""
    step = blur[:, None] * generator.normal(size=(2, len(box), 2))
    extent = box[:, 2:] * np.exp(1.3 * step[0])
    centre = box[:, :2] + box[:, 2:] / 2 + step[1] * box[:, 2:]
    return np.hstack([centre - extent / 2, extent])


def as_boxes(boxes: Boxes, images: int, *, scored: bool) -> list[tuple[Box, ...]]:
    """Per image."""
    found: list[list[Box]] = [[] for _ in range(images)]
    columns = (boxes.image, boxes.label, boxes.box, boxes.value, boxes.crowd)
    for image, label, box, value, crowd in zip(*(one.tolist() for one in columns), strict=True):
        given = {"score": value} if scored else {"area": value}
        found[image].append(Box(tuple(box), str(label), crowd=crowd, **given))
    return [tuple(own) for own in found]


@dataclass(frozen=True)
class Population:
    """Every image matched once; tables: of the better and of the worse system."""

    metric: Metric
    tables: tuple[Table, Table]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, images: int = IMAGES, seed: int = 1) -> Population:
        generator = np.random.default_rng(seed)
        metric = catalogue.metric("coco_ap:per_class=false")
        objects = draw_objects(generator, images)
        references = as_boxes(objects, images, scored=False)
        better = draw_detections(generator, images, objects)
        fitted = metric.fit([(one,) for one in references])
        header = metric.header(fitted, f"population {images} {seed}")
        ids = [f"{i:06d}" for i in range(images)]
        tables = []
        for system in (better, worse(generator, better)):
            found = as_boxes(system, images, scored=True)
            examples = [
                Example(id, prediction, (reference,))
                for id, prediction, reference in zip(ids, found, references, strict=True)
            ]
            rows = [np.asarray(one) for one in metric.rows(examples, fitted)]
            tables.append(Table.of(header, [id.encode() for id in ids], rows))
        names = [output.name for output in metric.output_list(fitted)]
        return cls(metric, (tables[0], tables[1]), tuple(names.index(name) for name in OUTPUTS))

    @property
    def images(self) -> int:
        return len(self.tables[0].ids)

    @cached_property
    def scorers(self) -> tuple[Scorer, ...]:
        return tuple(self.metric.scorer(table) for table in self.tables)

    def under(self, weights: Any) -> Floats:
        """weights [b, images] -> [b, three, outputs]: both systems, and better less worse."""
        better, other = (
            scorer.measure(weights, errors=False)[0][:, self.outputs] for scorer in self.scorers
        )
        return np.stack([better, other, better - other], axis=1)

    def truth(self) -> Floats:
        """[three, outputs]."""
        return np.asarray(self.under(np.ones((1, self.images), np.uint8))[0])

    def expected(self, size: int, sets: int) -> tuple[Floats, Floats]:
        """Mean over sets of this size and its standard error, [three, outputs] each.

        The sets are other ones than those that are tested: their seeds are.
        """
        generator = np.random.default_rng([size, 1])
        found = []
        for _ in range(0, sets, AT_ONCE):
            drawn = [
                np.bincount(generator.integers(0, self.images, size), minlength=self.images)
                for _ in range(AT_ONCE)
            ]
            found.append(self.under(np.array(drawn, np.uint8)))
        values = np.concatenate(found)
        return values.mean(axis=0), values.std(axis=0) / math.sqrt(len(values))

    def drawn(self, size: int, number: int) -> tuple[Ints, tuple[Table, Table]]:
        """Images drawn with replacement, in order, and both tables of them."""
        generator = np.random.default_rng([size, 2, number])
        images = np.sort(generator.integers(0, self.images, size))
        better, other = (repeated(table, images, f"{size} {number}") for table in self.tables)
        return images, (better, other)


def repeated(table: Table, images: Ints, name: str) -> Table:
    """A set with these images, each copy an image of its own. name: of the set."""
    lengths = np.bincount(table.owner, minlength=len(table.ids))
    starts = np.cumsum(lengths) - lengths
    sizes = lengths[images]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return Table(
        replace(table.header, references=f"{table.header.references} {name}"),
        tuple(f"{i:06d}".encode() for i in range(len(images))),
        np.repeat(np.arange(len(images)), sizes),
        table.rows[np.repeat(starts[images], sizes) + within],
    )
