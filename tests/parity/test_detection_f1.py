"""detection_f1 against what pycocotools matches at one overlap, from one score on."""

from __future__ import annotations

import contextlib
import copy
import io
from collections import Counter

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.metric import Metric
from evalkit.records.example import System
from evalkit.table import Table
from evalkit.tables.build import Builder
from evalkit.vision.assignment import best_threshold_of
from tests.vision.coco import Document, random_set, system

pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra `detection`)")

MANY = 10_000  # detections per image and label: none is cut
FULL = [pytest.param(first, marks=pytest.mark.slow) for first in range(120, 600, 120)]


def pycocotools(
    instances: Document, results: list[Document], iou: float
) -> dict[str, tuple[int, int, int]]:
    """(hits, detections, objects) of each label, without what a crowd takes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(instances)
        truth.createIndex()
        found = truth.loadRes(copy.deepcopy(results)) if results else COCO()
        if not results:
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.iouThrs = np.array([iou])
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.params.maxDets = [MANY]
        evaluation.evaluate()
    counts: dict[str, Counter[int]] = {}
    for one in filter(None, evaluation.evalImgs):
        own = counts.setdefault(str(one["category_id"]), Counter())
        ignored = one["dtIgnore"][0] != 0
        own[0] += int(((one["dtMatches"][0] > 0) & ~ignored).sum())
        own[1] += int((~ignored).sum())
        own[2] += int((np.asarray(one["gtIgnore"]) == 0).sum())
    return {label: (own[0], own[1], own[2]) for label, own in counts.items()}


def three(hits: int, found: int, objects: int) -> list[float]:
    nan = float("nan")
    return [
        2 * hits / (found + objects) if found + objects else nan,
        hits / found if found else nan,
        hits / objects if objects else nan,
    ]


def build(metric: Metric, one: System) -> Table:
    fitted = metric.fit([example.references for example in one.examples])
    return Builder().table(metric, one, fitted, one.references_digest)


def values(metric: Metric, table: Table) -> dict[str, float]:
    ones = np.ones((1, len(table.ids)), np.uint8)
    found = metric.scorer(table).measure(ones, errors=False)[0][0]
    return dict(zip(table.header.outputs, found.tolist(), strict=True))


@pytest.mark.parametrize("first", [0, *FULL])
def test_random_boxes(first: int) -> None:
    for seed in range(first, first + 120):
        instances, results = random_set(seed)
        iou, threshold = (0.5, 0.75, 1.0)[seed // 3 % 3], (0.0, 0.3, 0.5)[seed % 3]
        metric = catalogue.metric(f"detection_f1:iou={iou},threshold={threshold},per_class=true")
        table = build(metric, system(instances, results))
        kept = [one for one in results if one["score"] >= threshold]
        theirs = pycocotools(instances, kept, iou)
        found = values(metric, table)
        sums = [sum(column) for column in zip(*theirs.values(), strict=True)] or [0, 0, 0]
        wanted = dict(zip(("f1", "precision", "recall"), three(*sums), strict=True))
        for label in table.header.scoring["labels"]:
            each = three(*theirs.get(label, (0, 0, 0)))
            wanted |= {
                f"{label} {name}": one
                for name, one in zip(("f1", "precision", "recall"), each, strict=True)
            }
        assert found == pytest.approx(wanted, rel=1e-12, nan_ok=True), seed


def test_the_best_threshold_is_the_best_of_all() -> None:
    """F1 at every score that occurs, one pycocotools run each."""
    for seed in range(4):
        instances, results = random_set(seed)
        one = system(instances, results)
        if not results or all(box["iscrowd"] for box in instances["annotations"]):
            continue
        best: tuple[float, float] = (-1.0, -1.0)
        for score in sorted({box["score"] for box in results}, reverse=True):
            kept = [box for box in results if box["score"] >= score]
            counts = pycocotools(instances, kept, 0.5).values()
            f1 = three(*(sum(column) for column in zip(*counts, strict=True)))[0]
            best = max(best, (f1, score), key=lambda pair: pair[0])
        threshold, f1 = best_threshold_of(one.examples)
        assert (f1, threshold) == pytest.approx(best), seed
        metric = catalogue.metric(f"detection_f1:threshold={threshold!r}")
        assert values(metric, build(metric, one))["f1"] == pytest.approx(f1)
