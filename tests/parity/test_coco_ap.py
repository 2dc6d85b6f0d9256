"""coco_ap against pycocotools: twelve numbers, and every label x threshold x area x detections."""

from __future__ import annotations

import copy
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.metric import Metric
from evalkit.records.example import System
from evalkit.table import Floats, Ints, Table
from evalkit.tables.build import Builder
from evalkit.vision.outcomes import Detections, Outcomes
from evalkit.vision.precision import Curves
from tests.vision.coco import Document, pycocotools, random_set, repeated, system, with_masks

pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra `detection`)")

MOST = (1, 10, 100)
PUBLISHED = {  # cocoapi, PythonAPI/pycocoEvalDemo.ipynb; digits: faster_coco_eval's test of it
    "bbox": "0.5045806987249628 0.6969727247299577 0.5729816669904824 0.5856257209410443 "
    "0.5193996948036719 0.5013978986347466 0.38681277964578054 0.5936795762842003 "
    "0.595352982877607 0.6398109626113442 0.5664205978994309 0.5642905982905982",
    "segm": "0.3195452758576433 0.5622883972521636 0.29892653412086784 0.3873740315997838 "
    "0.31018272403369485 0.3269339071005138 0.2682297225711534 0.41544868114906375 "
    "0.4168394992198818 0.4694498622754236 0.37675922666197265 0.3814715099715099",
}


def build(metric: Metric, one: System, fitted_on: System | None = None) -> Table:
    fitted = metric.fit([example.references for example in (fitted_on or one).examples])
    return Builder().table(metric, one, fitted, one.references_digest)


def values(metric: Metric, table: Table, weights: Any = None) -> Floats:
    ones = np.ones((1, len(table.ids)), np.uint8)
    return metric.scorer(table).measure(ones if weights is None else weights, errors=False)[0]


def as_theirs(numbers: Floats) -> Floats:
    """pycocotools writes -1 where nothing is defined."""
    return np.where(np.isnan(numbers), -1.0, numbers)


def grid(table: Table, most: int, weights: Floats) -> tuple[Floats, Floats]:
    """Average precision and recall [thresholds, labels, areas] from what the metric uses."""
    outcomes = Outcomes.of(table, len(table.header.scoring["labels"]), 10)
    recalls = [(area, most) for area in range(4)]
    average, _ = Curves.of(outcomes, recalls, most).measure(weights)
    found = []
    for threshold in range(10):
        one = outcomes.at(threshold)
        found.append(Curves.of(one, recalls, most).measure(weights)[1][:, :, 0])
    return average[..., 0].transpose(2, 0, 1), np.stack(found)


def compare(instances: Document, results: list[Document], iou: str = "bbox") -> None:
    metric = catalogue.metric(f"coco_ap:iou={iou}")
    table = build(metric, system(instances, results))
    precision, recall, stats = pycocotools(instances, results, iou)
    assert as_theirs(values(metric, table)[0, :12]) == pytest.approx(stats, rel=0, abs=1e-12)
    with_objects = [int(label) - 1 for label in table.header.scoring["labels"]]
    others = np.delete(precision, with_objects, axis=2)
    assert (others == -1).all()
    for column, most in enumerate(MOST):
        average, recalled = grid(table, most, np.ones((len(table.ids), 1)))
        theirs = precision[..., column][:, :, with_objects].mean(axis=1)
        assert as_theirs(average) == pytest.approx(theirs, rel=0, abs=1e-12)
        theirs = recall[..., column][:, with_objects]
        assert as_theirs(recalled) == pytest.approx(theirs, rel=0, abs=1e-12)


@pytest.mark.parametrize("iou", ["bbox", "segm"])
def test_published_numbers(data: Path, iou: str) -> None:
    folder = data / "coco-val2014-100"
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no folder {folder}")
    instances, results = (
        json.loads(gzip.decompress((folder / f"instances_val2014_{name}.json.gz").read_bytes()))
        for name in ("100", f"fake{iou}100_results")
    )
    images = {one["image_id"] for one in instances["annotations"]}
    instances["images"] = [one for one in instances["images"] if one["id"] in images]
    metric = catalogue.metric(f"coco_ap:iou={iou}")
    found = values(metric, build(metric, system(instances, results)))[0, :12]
    published = np.array(PUBLISHED[iou].split(), float)
    assert found == pytest.approx(published, rel=0, abs=1e-12)
    assert found == pytest.approx(pycocotools(instances, results, iou)[2], rel=0, abs=1e-12)


FULL = [pytest.param(first, marks=pytest.mark.slow) for first in range(60, 600, 60)]


@pytest.mark.parametrize("first", [0, *FULL])
def test_random_boxes(first: int) -> None:
    for seed in range(first, first + 60):
        compare(*random_set(seed))


@pytest.mark.parametrize("first", [0, *FULL[:3]])
def test_random_masks(first: int) -> None:
    for seed in range(first, first + 12):
        instances, results = random_set(seed)
        instances["annotations"] = with_masks(instances["annotations"])
        compare(instances, with_masks(results), "segm")


def test_no_detections_and_labels_without_objects() -> None:
    instances, _ = random_set(1)
    compare(instances, [])
    (first, *_) = instances["annotations"]
    one = instances | {"annotations": [first | {"iscrowd": 1}]}
    compare(one, [])


@pytest.mark.parametrize("objects", [10, 20, 100])
def test_recall_that_touches_a_recall_point(objects: int) -> None:
    """np.linspace(0, 1, 101)[70] lies above 0.7: recall 7 / 10 does not reach it."""
    compare(*ladder(objects))


def ladder(objects: int) -> tuple[Document, list[Document]]:
    """An object in every image, found with falling scores, and more and more false positives."""
    instances: Document = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "1"}]}
    results: list[Document] = []
    for id in range(1, objects + 1):
        own = {"image_id": id, "category_id": 1}
        box = [10.0, 10.0, 50.0, 50.0]
        instances["images"].append({"id": id, "width": 640, "height": 480})
        instances["annotations"].append(
            {**own, "id": id, "bbox": box, "area": 2500.0, "iscrowd": 0}
        )
        results.append({**own, "bbox": box, "score": 1 - id / 1000})
        away = [300.0, 300.0, 50.0, 50.0]
        results.append({**own, "bbox": away, "score": 1 - id / 1000 - 0.0005})
    return instances, results


def test_an_annotation_with_id_0_is_an_object_like_any_other() -> None:
    """pycocotools stores the id of the match and takes 0 for none, so that it counts a miss."""
    instances, results = ladder(10)
    renumbered = copy.deepcopy(instances)
    for one in renumbered["annotations"]:
        one["id"] -= 1
    metric = catalogue.metric("coco_ap")
    ours = values(metric, build(metric, system(renumbered, results)))[0, :12]
    assert as_theirs(ours) == pytest.approx(pycocotools(instances, results)[2], rel=0, abs=1e-12)
    assert abs(ours[0] - pycocotools(renumbered, results)[2][0]) > 0.01


@pytest.mark.parametrize("iou", ["bbox", "segm"])
def test_areas_are_of_what_is_matched(data: Path, iou: str) -> None:
    """pycocotools takes the areas of results from their masks, where these come alone, and from
    their boxes, where these come too; told of the others', it agrees.
    """
    folder = data / "coco-val2014-100"
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no folder {folder}")
    from pycocotools import mask as library

    instances, results = (
        json.loads(gzip.decompress((folder / f"instances_val2014_{name}.json.gz").read_bytes()))
        for name in ("100", "fakesegm100_results")
    )
    boxes = [library.toBbox(one["segmentation"]).tolist() for one in results]
    both = [{**one, "bbox": box} for one, box in zip(results, boxes, strict=True)]
    plain = [{key: part for key, part in one.items() if key != "segmentation"} for one in both]
    misled, told = (results, plain) if iou == "bbox" else (both, results)
    metric = catalogue.metric(f"coco_ap:iou={iou}")
    ours = values(metric, build(metric, system(instances, both)))[0, :12]
    assert ours == pytest.approx(pycocotools(instances, told, iou)[2], rel=0, abs=1e-12)
    differs = np.abs(ours - pycocotools(instances, misled, iou)[2]) > 1e-3
    sized = [3, 4, 5, 9, 10, 11]
    assert differs[sized].any()
    assert not np.delete(differs, sized).any()


def counts_of(instances: Document, table: Table, seed: int) -> tuple[Ints, Ints]:
    """How often each image counts: in order of the file, and of the table."""
    counts = np.random.default_rng(seed).poisson(1.0, len(instances["images"]))
    place = {str(image["id"]).encode(): i for i, image in enumerate(instances["images"])}
    return counts, counts[[place[id] for id in table.ids]]


@pytest.mark.parametrize("first", [0, *FULL[:3]])
def test_a_resample_is_pycocotools_on_repeated_images(first: int) -> None:
    for seed in range(first, first + 40):
        instances, results = random_set(seed, ties=False)
        assert_repetition(instances, results, results, seed)


@pytest.mark.parametrize("first", [0, *FULL[:3]])
def test_ties_keep_the_order_of_the_full_set(first: int) -> None:
    """With ties inside one image a resample is what pycocotools finds with the ranks of the full
    set as scores: the copies of a detection stay side by side.
    """
    for seed in range(first, first + 40):
        instances, results = random_set(seed)
        order = sorted(
            range(len(results)), key=lambda i: (-results[i]["score"], results[i]["image_id"], i)
        )
        ranks = {i: -place / len(results) for place, i in enumerate(order)}
        ranked = [{**one, "score": ranks[i]} for i, one in enumerate(results)]
        assert_repetition(instances, results, ranked, seed)


def assert_repetition(
    instances: Document, results: list[Document], literal: list[Document], seed: int
) -> None:
    metric = catalogue.metric("coco_ap")
    table = build(metric, system(instances, results))
    counts, weights = counts_of(instances, table, seed)
    precision, recall, stats = pycocotools(*repeated(instances, literal, counts))
    found = values(metric, table, weights[None])[0, :12]
    assert as_theirs(found) == pytest.approx(stats, rel=0, abs=1e-12)
    labels = [int(label) - 1 for label in table.header.scoring["labels"]]
    average, recalled = grid(table, 100, weights[:, None].astype(float))
    theirs = precision[..., 2][:, :, labels].mean(axis=1)
    assert as_theirs(average) == pytest.approx(theirs, rel=0, abs=1e-12)
    assert as_theirs(recalled) == pytest.approx(recall[..., 2][:, labels], rel=0, abs=1e-12)


@pytest.mark.parametrize("first", [0, *FULL[:3]])
def test_unrolled_ties_are_literal_repetition(first: int) -> None:
    """Repeated images interleave the ties of their copies; so do curves whose ties are unrolled."""
    differ = 0
    for seed in range(first, first + 40):
        instances, results = random_set(seed)
        metric = catalogue.metric("coco_ap")
        table = build(metric, system(instances, results))
        counts, weights = counts_of(instances, table, seed)
        outcomes = Outcomes.of(table, len(table.header.scoring["labels"]), 10)
        unrolled, panel = unroll(outcomes, weights)
        average, _ = Curves.of(unrolled, ()).measure(panel)
        precision = pycocotools(*repeated(instances, results, counts))[0]
        labels = [int(label) - 1 for label in table.header.scoring["labels"]]
        theirs = precision[..., 2][:, :, labels].mean(axis=1)
        ours = as_theirs(average[..., 0].transpose(2, 0, 1))
        assert ours == pytest.approx(theirs, rel=0, abs=1e-12)
        plain, _ = Curves.of(outcomes, ()).measure(weights[:, None])
        differ += not np.allclose(as_theirs(plain[..., 0].transpose(2, 0, 1)), theirs, atol=1e-9)
    assert differ > 0


def unroll(outcomes: Outcomes, weights: Ints) -> tuple[Outcomes, Floats]:
    """Every run of ties in one image, first copy by copy; copy k is an image of weight w > k."""
    found, most = outcomes.detections, int(weights.max(initial=0))
    keys = np.stack([found.label, found.score, found.image])
    changes = (np.diff(keys, axis=1, prepend=-1) != 0).any(axis=0)
    copy = np.tile(np.arange(most), len(found.image))
    source = np.repeat(np.arange(len(found.image)), most)
    order = np.lexsort((source, copy, np.cumsum(changes)[source]))
    source, copy = source[order], copy[order]
    detections = Detections(
        len(weights) + found.image[source] * most + copy,
        found.label[source],
        found.score[source],
        found.rank[source],
        found.hit[:, source],
        found.ignored[:, source],
    )
    panel = [weights, (weights[:, None] > np.arange(most)).ravel()]
    return replace(outcomes, detections=detections), np.concatenate(panel)[:, None].astype(float)
