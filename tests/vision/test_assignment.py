"""Assignments at one overlap, detection_f1, detection_confusion and voc_ap, each by itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import DataError, MetricError
from evalkit.metric import Metric, SumMetric
from evalkit.records.boxes import Box
from evalkit.records.example import Example, System
from evalkit.table import Floats, Table
from evalkit.tables.build import Builder
from evalkit.vision.assignment import assign, best_threshold
from evalkit.vision.matching import match
from evalkit.vision.overlaps import Pairs
from tests.corpora import boxes_system
from tests.vision.coco import random_set, system

OTHER, BACKGROUND = "(other)", "(background)"
NAMES = ("detection_f1", "detection_confusion", "voc_ap")


def build(metric: Metric, one: System) -> Table:
    fitted = metric.fit([example.references for example in one.examples])
    return Builder().table(metric, one, fitted, one.references_digest)


def values(metric: Metric, table: Table, weights: Any = None) -> dict[str, float]:
    ones = np.ones((1, len(table.ids)), np.uint8)
    scorer = metric.scorer(table)
    found = scorer.measure(ones if weights is None else weights, errors=False)[0][0]
    return dict(zip(table.header.outputs, found.tolist(), strict=True))


def image(predicted: list[Box], truths: list[Box], id: str = "1") -> Example:
    return Example(id, tuple(predicted), (tuple(truths),))


def cat(x: float, score: float | None = None, **more: Any) -> Box:
    return Box((x, 0.0, 100.0, 100.0), "cat", score, **more)


def dog(x: float, score: float | None = None, **more: Any) -> Box:
    return Box((x, 0.0, 100.0, 100.0), "dog", score, **more)


@pytest.mark.parametrize("iou", [0.3, 0.5, 1.0])
def test_assigning_is_matching(iou: float) -> None:
    """Random overlaps with many ties, as the matcher of all thresholds at once decides them."""
    for seed in range(100):
        generator = np.random.default_rng(seed)
        detections, objects = generator.integers(1, 8, 2)
        overlap = generator.integers(0, 11, (detections, objects)).ravel() / 10
        detection, object = np.indices((detections, objects)).reshape(2, -1)
        some = np.flatnonzero(overlap > 0)
        pairs = Pairs(detection[some], object[some], overlap[some])
        crowd = generator.random(objects) < 0.2
        cell, outside = np.zeros(detections, np.int64), np.zeros((detections, 1), np.bool_)
        wanted = match(pairs, cell, outside, crowd[:, None], crowd, np.array([iou]))
        taken = assign(pairs, int(detections), crowd, iou)
        ignored = (taken >= 0) & crowd[taken]
        assert np.array_equal(wanted.ignored[:, 0, 0], ignored)
        assert np.array_equal(wanted.hit[:, 0, 0], (taken >= 0) & ~ignored)


def test_a_threshold_counts_itself() -> None:
    metric = catalogue.metric("detection_f1:threshold=0.4")
    one = System("s", [image([cat(0, 0.4), cat(300, 0.39)], [cat(0), cat(600)])])
    assert values(metric, build(metric, one)) == pytest.approx(
        {"f1": 2 / 3, "precision": 1, "recall": 0.5}
    )


def test_labels_of_no_reference_are_false_positives() -> None:
    metric = catalogue.metric("detection_f1")
    table = build(metric, System("s", [image([cat(0, 0.9), dog(0, 0.9)], [cat(0)])]))
    assert values(metric, table)["precision"] == 0.5
    said = dict(metric.remarks(table))
    assert said["unknown-label"].startswith("1 detection with a label that no reference has")


@pytest.mark.parametrize("name", NAMES)
def test_that_nothing_counts_is_said(name: str) -> None:
    metric = catalogue.metric(name)
    empty = build(metric, System("s", [image([], [cat(0)])]))
    assert set(dict(metric.remarks(empty))) == {"no-detections"}
    assert values(metric, empty)[metric.outputs[0].name] == 0
    nothing = build(metric, System("s", [image([], [])]))
    assert all(np.isnan(list(values(metric, nothing).values())))
    assert not dict(metric.remarks(build(metric, boxes_system(24, 1)))).keys() - {"unknown-label"}


@pytest.mark.parametrize("name", NAMES[:2])
def test_scores_below_the_threshold_are_counted(name: str) -> None:
    metric = catalogue.metric(name)
    table = build(metric, System("s", [image([cat(0, 0.3), dog(9, 0.1)], [cat(0)])]))
    (said,) = dict(metric.remarks(table)).values()
    assert said == "no detection counts; 2 have a score below 0.5"


@pytest.mark.parametrize("spec", ["detection_f1:per_class=true", "detection_confusion"])
def test_gradients(spec: str) -> None:
    """Against central differences, at several weights, labels without detections among them."""
    metric = catalogue.metric(spec)
    assert isinstance(metric, SumMetric)
    for seed in range(5):
        table = build(metric, boxes_system(12, seed))
        scorer = metric.scorer(table)
        weights = np.random.default_rng(seed).poisson(1.0, (4, 12))
        sums = scorer.sums(weights)
        found = metric.gradient(sums, table.header.scoring)
        plain = SumMetric.gradient(metric, sums, table.header.scoring)
        present = (sums > 0)[:, None] & ~np.isnan(plain)
        assert np.allclose(found[present], plain[present], rtol=1e-6, atol=1e-9)


def test_per_class_resamples_are_repeated_images() -> None:
    metric = catalogue.metric("detection_f1:per_class=true,threshold=0.2")
    one = boxes_system(24, 3)
    counts = np.random.default_rng(0).poisson(1.0, 24)
    repeated = [
        Example(f"{example.id}-{copy}", example.prediction, example.references)
        for example, count in zip(one.examples, counts, strict=True)
        for copy in range(count)
    ]
    table, again = build(metric, one), build(metric, System("again", repeated))
    assert table.header.outputs == again.header.outputs
    assert values(metric, table, counts[None]) == pytest.approx(values(metric, again), nan_ok=True)


def overlap(detection: Box, truth: Box) -> float:
    (x, y, width, height), (left, top, across, down) = detection.box, truth.box
    shared_width = min(x + width, left + across) - max(x, left)
    shared_height = min(y + height, top + down) - max(y, top)
    if shared_width <= 0 or shared_height <= 0:
        return 0.0
    shared = shared_width * shared_height
    area = width * height
    return shared / (area if truth.crowd else area + across * down - shared)


def cells(one: System, labels: set[str], iou: float, threshold: float) -> Counter[tuple[str, str]]:
    """Detection by detection, as FiftyOne's _compute_matches with classwise=False."""
    counts: Counter[tuple[str, str]] = Counter()
    for example in one.examples:
        truths = sorted(example.references[0], key=lambda box: box.label)
        free = [True] * len(truths)
        ranked = [box for box in example.prediction if box.score >= threshold]
        for box in sorted(ranked, key=lambda box: -box.score):
            name = box.label if box.label in labels else OTHER
            wishes = [
                (not truth.crowd, overlap(box, truth), place)
                for place, truth in enumerate(truths)
                if free[place]
                and overlap(box, truth) >= min(iou, 1 - 1e-10)
                and (not truth.crowd or truth.label == box.label)
            ]
            if not wishes:
                counts[BACKGROUND, name] += 1
                continue
            *_, place = max(wishes)
            free[place] = truths[place].crowd
            if not truths[place].crowd:
                counts[truths[place].label, name] += 1
        for truth, left in zip(truths, free, strict=True):
            if left and not truth.crowd:
                counts[truth.label, BACKGROUND] += 1
    return counts


def shares(counts: Counter[tuple[str, str]], labels: set[str]) -> dict[str, float]:
    found = {}
    nan = float("nan")
    for actual in labels:
        total = sum(count for (one, _), count in counts.items() if one == actual)
        for name in (*labels, OTHER, BACKGROUND):
            found[f"{actual}→{name}"] = counts[actual, name] / total if total else nan
    for name in (*labels, OTHER):
        total = sum(count for (_, one), count in counts.items() if one == name)
        found[f"{BACKGROUND}→{name}"] = counts[BACKGROUND, name] / total if total else nan
    recalls: Floats = np.array([found[f"{label}→{label}"] for label in labels])
    defined = recalls[~np.isnan(recalls)]
    return found | {"balanced_recall": float(defined.mean()) if len(defined) else nan}


def test_confusion_detection_by_detection() -> None:
    for seed in range(150):
        instances, results = random_set(seed)
        iou, threshold = (0.5, 0.75)[seed % 2], (0.0, 0.3, 0.5)[seed // 2 % 3]
        one = system(instances, results)
        metric = catalogue.metric(f"detection_confusion:iou={iou},threshold={threshold}")
        labels = {box.label for example in one.examples for box in example.references[0]}
        wanted = shares(cells(one, labels, iou, threshold), labels)
        assert values(metric, build(metric, one)) == pytest.approx(wanted, nan_ok=True), seed


def test_only_its_own_label_can_take_a_crowd() -> None:
    metric = catalogue.metric("detection_confusion")
    crowd = Box((0, 0, 400, 400), "cat", crowd=True)
    table = build(metric, System("s", [image([cat(0, 0.9), dog(0, 0.9)], [crowd, dog(500)])]))
    found = values(metric, table)
    assert found[f"{BACKGROUND}→dog"] == 1
    assert np.isnan(found[f"{BACKGROUND}→cat"])


def test_confusion_takes_the_higher_score_where_overlaps_differ() -> None:
    metric = catalogue.metric("detection_confusion")
    table = build(metric, System("s", [image([dog(20, 0.9), cat(0, 0.8)], [cat(0)])]))
    assert values(metric, table)["cat→(other)"] == 1


def test_voc_has_a_second_detection_stay_false_where_coco_moves_on() -> None:
    """Two objects side by side; both detections overlap the first one most."""
    metric = catalogue.metric("voc_ap:iou=0.4")
    one = System("s", [image([cat(0, 0.9), cat(20, 0.8)], [cat(0), cat(50)])])
    assert values(metric, build(metric, one))["mAP"] == 0.5
    coco = catalogue.metric("detection_f1:iou=0.4")
    assert values(coco, build(coco, one))["f1"] == 1


@pytest.mark.parametrize(("difficult_first", "wanted"), [(True, 0.0), (False, 1.0)])
def test_voc_takes_the_first_of_equal_overlaps(difficult_first: bool, wanted: float) -> None:
    metric = catalogue.metric("voc_ap")
    objects = [cat(0, crowd=difficult_first), cat(0, crowd=not difficult_first)]
    table = build(metric, System("s", [image([cat(0, 0.9)], objects)]))
    assert values(metric, table)["mAP"] == wanted


def test_voc_takes_more_than_a_hundred_detections() -> None:
    metric = catalogue.metric("voc_ap")
    many = [cat(300, 0.9 - place / 1000) for place in range(150)]
    table = build(metric, System("s", [image([*many, cat(0, 0.1)], [cat(0)])]))
    assert values(metric, table)["mAP"] == pytest.approx(1 / 151)


def test_the_last_pixel() -> None:
    """Boxes of 2 x 1 pixels that share one: 1/3 with the last pixel, nothing without it."""
    boxes = [image([Box((1, 0, 1, 0), "cat", 0.9)], [Box((0, 0, 1, 0), "cat")])]
    for inclusive, wanted in ((True, 1.0), (False, 0.0)):
        metric = catalogue.metric(f"voc_ap:iou=0.33,inclusive={inclusive}")
        assert values(metric, build(metric, System("s", boxes)))["mAP"] == wanted


def test_tied_scores_are_said() -> None:
    metric = catalogue.metric("voc_ap")
    table = build(metric, System("s", [image([cat(0, 1.0), cat(300, 1.0)], [cat(0)])]))
    assert dict(metric.remarks(table))["tied-scores"].startswith("2 of 2 detections")


def test_resamples_that_lack_a_label_are_counted() -> None:
    metric = catalogue.metric("voc_ap")
    one = System("s", [image([cat(0, 0.9)], [cat(0)], "a"), image([], [dog(0)], "b")])
    table = build(metric, one)
    weights = np.array([[1, 1], [2, 0], [0, 1], [3, 1]])
    found = metric.scorer(table).measure(weights, errors=False)[0]
    assert found[:, 0] == pytest.approx([0.5, 1, 0, 0.5])
    ((code, message),) = metric.resample_remarks(table, found)
    assert code == "vanished-labels"
    assert message.startswith("50.0% of the resamples lack a label")


def test_the_best_threshold_of_lists() -> None:
    predictions = [{"boxes": [[0, 0, 9, 9], [50, 0, 9, 9]], "labels": [1, 1], "scores": [0.8, 0.3]}]
    references = [{"boxes": [[0, 0, 9, 9]], "labels": [1]}]
    threshold, f1 = best_threshold(predictions, references, box_format="xywh")
    assert (threshold, f1) == (0.8, 1.0)
    result = evalkit.score(
        predictions,
        references,
        [f"detection_f1:threshold={threshold}"],
        box_format="xywh",
        interval="none",
    )
    assert result.value("detection_f1") == 1
    nothing: list[Any] = [{"boxes": [], "labels": [], "scores": []}]
    with pytest.raises(MetricError, match="an object and a detection at least"):
        best_threshold(nothing, references, box_format="xywh")
    with pytest.raises((DataError, ValueError)):
        best_threshold(predictions, [], box_format="xywh")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("example", "says"),
    [
        (Example("1", (), ((cat(0),), (cat(0),))), "2 annotators, but it is defined against one"),
        (Example("1", (), ()), "0 annotators"),
        (image([cat(0)], [cat(0)]), 'id "1" has a detection without a score'),
    ],
)
def test_what_is_refused(name: str, example: Example, says: str) -> None:
    with pytest.raises(MetricError, match=says):
        build(catalogue.metric(name), System("bad", [example]))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("voc_ap:year=2009", "year is 2007 .11 points; also 2008, 2009. or 2012"),
        *((f"{name}:iou=0", "iou lies above 0 and is at most 1, not 0") for name in NAMES),
        ("detection_f1:iou=50", "not 50"),
    ],
)
def test_parameters(spec: str, says: str) -> None:
    with pytest.raises(MetricError, match=says):
        catalogue.metric(spec)


def test_more_labels_than_can_be_read() -> None:
    many = [image([], [Box((0, 0, 1, 1), str(number)) for number in range(101)])]
    one = System("s", many)
    for spec in ("detection_confusion", "detection_f1:per_class=true"):
        with pytest.raises(MetricError, match=r"\b101\b"):
            build(catalogue.metric(spec), one)
    metric = catalogue.metric("detection_f1")
    assert values(metric, build(metric, one))["recall"] == 0
