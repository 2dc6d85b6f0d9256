"""voc_ap against ChainerCV's stored numbers, mean-average-precision, and VOC's rules once more."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.metric import Metric
from evalkit.records.example import System
from evalkit.table import Floats, Table
from evalkit.tables.build import Builder
from tests.vision.voc import LABELS, Image, average_precision, random_set, system

STORED = json.loads((Path(__file__).parent / "voc_chainercv.json").read_text(encoding="utf-8"))
YEARS = (2007, 2012)
FULL = [pytest.param(first, marks=pytest.mark.slow) for first in range(200, 2000, 200)]


def build(metric: Metric, one: System) -> Table:
    fitted = metric.fit([example.references for example in one.examples])
    return Builder().table(metric, one, fitted, one.references_digest)


def values(metric: Metric, table: Table, weights: Any = None) -> dict[str, float]:
    ones = np.ones((1, len(table.ids)), np.uint8)
    scorer = metric.scorer(table)
    found = scorer.measure(ones if weights is None else weights, errors=False)[0][0]
    return dict(zip(table.header.outputs, found.tolist(), strict=True))


def per_label(found: dict[str, float]) -> Floats:
    return np.array([found.get(f"AP {label}", np.nan) for label in LABELS])


def oracle(images: Sequence[Image], year: int) -> Floats:
    return np.array([average_precision(images, one, eleven=year == 2007) for one in LABELS])


def same(found: dict[str, float], theirs: Floats) -> bool:
    mean = np.nan if np.isnan(theirs).all() else np.nanmean(theirs)
    ours = np.append(per_label(found), found["mAP"])
    return np.allclose(ours, np.append(theirs, mean), rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("year", YEARS)
def test_chainercv(year: int, inclusive: bool) -> None:
    """eval_detection_voc of ChainerCV 0.13.1, which does not install beside today's numpy, ran on
    these sets; difficult objects and overlaps of exactly a half among them.
    """
    metric = catalogue.metric(f"voc_ap:year={year},inclusive={inclusive}")
    assert len(STORED["sets"]) >= 100
    for seed, stored in STORED["sets"]:
        theirs = np.array(stored[str(year)], np.float64)
        table = build(metric, system(random_set(seed), plus=1 - inclusive))
        assert same(values(metric, table), theirs), seed


@pytest.mark.parametrize("year", YEARS)
def test_mean_average_precision(year: int) -> None:
    """Of version 2024.1.5.0, which counts difficult objects, wants an overlap above a half, and
    takes the last of equal ones: without the first, and with free boxes, it is VOC's.
    """
    reason = "mean-average-precision is not installed"
    library = pytest.importorskip("mean_average_precision.mean_average_precision_2d", reason=reason)
    metric = catalogue.metric(f"voc_ap:year={year}")
    for seed in range(100):
        images = random_set(seed, difficult=0, free=True)
        theirs = library.MeanAveragePrecision2d(len(LABELS))
        for image in images:
            found = [[*one.corners, LABELS.index(one.label), one.score] for one in image.detections]
            truth = [[*one.corners, LABELS.index(one.label), 0, 0] for one in image.objects]
            theirs.add(np.array(found).reshape(-1, 6), np.array(truth).reshape(-1, 7))
        recalls = np.arange(0, 1.1, 0.1) if year == 2007 else None
        labels = {one.label for image in images for one in image.objects}
        average = [
            theirs._evaluate_class(number, 0.5, recalls)[0] if label in labels else np.nan
            for number, label in enumerate(LABELS)
        ]
        assert same(values(metric, build(metric, system(images))), np.array(average)), seed


@pytest.mark.parametrize("first", [0, *FULL])
@pytest.mark.parametrize("year", YEARS)
def test_the_rules_once_more(year: int, first: int) -> None:
    metric = catalogue.metric(f"voc_ap:year={year}")
    for seed in range(first, first + 200):
        images = random_set(seed)
        assert same(values(metric, build(metric, system(images))), oracle(images, year)), seed


@pytest.mark.parametrize("first", [0, *FULL])
@pytest.mark.parametrize("year", YEARS)
def test_a_resample_is_repeated_images(year: int, first: int) -> None:
    metric = catalogue.metric(f"voc_ap:year={year}")
    for seed in range(first, first + 200):
        images = random_set(seed)
        generator = random.Random(seed)
        counts = [int(4 * generator.random() ** 2) for _ in images]
        repeated = [one for one, count in zip(images, counts, strict=True) for _ in range(count)]
        table = build(metric, system(images))
        found = values(metric, table, np.array([counts], np.uint8))
        assert same(found, oracle(repeated, year)), seed


def test_ties_inside_an_image_keep_the_order_of_the_full_set() -> None:
    """With ranks of the full set as scores, copies of a tied detection stay side by side."""
    metric = catalogue.metric("voc_ap")
    for seed in range(100):
        images = random_set(seed)
        tied = [
            replace(
                image,
                detections=tuple(
                    replace(one, score=round(one.score, 1)) for one in image.detections
                ),
            )
            for image in images
        ]
        flat = [
            (-one.score, i, j)
            for i, image in enumerate(tied)
            for j, one in enumerate(image.detections)
        ]
        rank = {(i, j): -float(place) for place, (_, i, j) in enumerate(sorted(flat))}
        ranked = [
            replace(
                image,
                detections=tuple(
                    replace(one, score=rank[i, j]) for j, one in enumerate(image.detections)
                ),
            )
            for i, image in enumerate(tied)
        ]
        repeated = [one for one in ranked for _ in range(2)]
        weights = np.full((1, len(images)), 2, np.uint8)
        table = build(metric, system(tied))
        assert same(values(metric, table, weights), oracle(repeated, 2012)), seed
