"""Overlaps, matching, curves and what coco_ap says of a table, each by itself."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.errors import MetricError, MissingDependencyError
from evalkit.metric import Metric
from evalkit.records.boxes import Box, Mask
from evalkit.records.example import Example, System
from evalkit.table import Array, Floats, Table
from evalkit.tables.build import Builder
from evalkit.vision import precision
from evalkit.vision.columns import places
from evalkit.vision.matching import match
from evalkit.vision.outcomes import image_order
from evalkit.vision.overlaps import Pairs, box_iou, pairs_in_cells
from evalkit.vision.precision import RECALLS, reached, running
from tests.corpora import boxes_system
from tests.vision.coco import random_set, system

THRESHOLDS = np.array([0.5, 0.75])
METRIC = catalogue.metric("coco_ap")


def build(one: System, metric: Metric = METRIC) -> Table:
    fitted = metric.fit([example.references for example in one.examples])
    return Builder().table(metric, one, fitted, one.references_digest)


def values(table: Table, weights: Any) -> Floats:
    return METRIC.scorer(table).measure(np.atleast_2d(weights), errors=False)[0]


def image(predicted: list[Box], truths: list[Box], id: str = "1") -> Example:
    return Example(id, tuple(predicted), (tuple(truths),))


def cat(x: float, score: float | None = None, **more: Any) -> Box:
    return Box((x, 0.0, 100.0, 100.0), "cat", score, **more)


def codes(table: Table) -> dict[str, Any]:
    return dict(METRIC.remarks(table))


def test_golden() -> None:
    """The hand-derived file, without the readers between."""
    path = Path(__file__).parents[1] / "golden" / "metrics" / "coco_ap.json"
    golden = json.loads(path.read_text(encoding="utf-8"))

    def boxes(listed: list[dict[str, Any]]) -> list[Box]:
        return [Box(tuple(one["box"]), one["label"], one.get("score")) for one in listed]

    examples = [
        image(boxes(one["prediction"]), boxes(one["references"]), str(number))
        for number, one in enumerate(golden["examples"])
    ]
    table = build(System("golden", examples))
    found = dict(zip(table.header.outputs, values(table, [1, 1])[0], strict=True))
    assert {name: found[name] for name in golden["values"]} == pytest.approx(golden["values"])
    assert all(np.isnan(found[name]) for name in ("APs", "APl", "ARs", "ARl"))


def test_overlap_of_boxes() -> None:
    box = np.array([[0.0, 0, 4, 4]])
    others = np.array([[2.0, 2, 4, 4], [4, 0, 4, 4], [0, 0, 4, 4], [0, 0, 0, 4], [1, 1, 2, 2]])
    plain = box_iou(np.repeat(box, 5, axis=0), others, np.zeros(5, np.bool_))
    assert plain.tolist() == [4 / 28, 0, 1, 0, 4 / 16]
    crowd = box_iou(np.repeat(box, 5, axis=0), others, np.ones(5, np.bool_))
    assert crowd.tolist() == [4 / 16, 0, 1, 0, 4 / 16]


def test_pairs_lie_in_one_cell() -> None:
    detection, object = pairs_in_cells(np.array([1, 1, 4, 5]), np.array([0, 1, 1, 5]))
    assert detection.tolist() == [0, 0, 1, 1, 3]
    assert object.tolist() == [1, 2, 1, 2, 3]


def matched(
    iou: list[list[float]], *, ignored: tuple[int, ...] = (), crowd: tuple[int, ...] = ()
) -> tuple[list[str], list[str]]:
    """One cell; iou [detections, objects]; per threshold and detection: Hit, Ignored or -."""
    table = np.array(iou)
    detections, objects = table.shape
    detection, object = np.indices(table.shape).reshape(2, -1)
    pairs = Pairs(detection, object, table.ravel())
    left_out = np.isin(np.arange(objects), (*ignored, *crowd))[:, None]
    found = match(
        pairs,
        np.zeros(detections, np.int64),
        np.zeros((detections, 1), np.bool_),
        left_out,
        np.isin(np.arange(objects), crowd),
        THRESHOLDS,
    )
    low, high = (
        "".join("H" if hit else "I" if no else "-" for hit, no in zip(*both, strict=True))
        for both in zip(found.hit[:, 0].T, found.ignored[:, 0].T, strict=True)
    )
    return list(low), list(high)


def test_matching_is_greedy_in_order_of_score() -> None:
    assert matched([[0.6, 0.8], [0.0, 0.9]]) == (["H", "-"], ["H", "-"])
    assert matched([[0.6, 0.55], [0.7, 0.0]]) == (["H", "-"], ["-", "-"])
    assert matched([[0.5, 0.0], [0.0, 0.75]]) == (["H", "H"], ["-", "H"])


def test_the_last_of_equal_overlaps_is_taken() -> None:
    assert matched([[0.8, 0.8], [0.8, 0.0]]) == (["H", "H"], ["H", "H"])
    assert matched([[0.8, 0.8], [0.0, 0.8]]) == (["H", "-"], ["H", "-"])


def test_an_object_that_counts_goes_before_one_that_does_not() -> None:
    assert matched([[0.6, 0.9]], ignored=(1,)) == (["H"], ["I"])
    assert matched([[0.9], [0.9]], ignored=(0,)) == (["I", "-"], ["I", "-"])
    assert matched([[0.9], [0.9]], crowd=(0,)) == (["I", "I"], ["I", "I"])


def test_a_threshold_of_1_admits_what_rounding_took() -> None:
    pairs = Pairs(np.array([0]), np.array([0]), np.array([1 - 1e-12]))
    no = np.zeros((1, 1), np.bool_)
    found = match(pairs, np.zeros(1, np.int64), no, no, no[0], np.array([1.0]))
    assert found.hit.all()


def test_places() -> None:
    assert places(np.array([3, 3, 5, 3])).tolist() == [0, 1, 0, 0]
    assert places(np.array([], np.int64)).tolist() == []


def test_images_with_numbers_come_in_order_of_number() -> None:
    ids = [b"10", b"9", b"a", b"009", b"B"]
    assert image_order(ids).tolist() == [2, 1, 4, 0, 3]


@pytest.mark.parametrize("operation", [np.add, np.maximum])
def test_running(operation: np.ufunc) -> None:
    generator = np.random.default_rng(0)
    for rows in (1, 2, 31, 32, 100, 1000):
        numbers = generator.integers(0, 9, (rows, 64)).astype(float)
        assert np.array_equal(running(operation, numbers), operation.accumulate(numbers))


def test_recall_points_are_compared_as_floats() -> None:
    """All recalls k / n for n up to 300 against a search among the points."""
    for objects in range(1, 301):
        hits = np.arange(objects + 1, dtype=np.float64)
        wanted = np.searchsorted(RECALLS, hits / objects, side="right") - 1
        assert np.array_equal(reached(hits, np.array(float(objects))), wanted)


def under(table: Table, weights: Any, monkeypatch: pytest.MonkeyPatch, worthwhile: int) -> Floats:
    monkeypatch.setattr(precision, "WORTHWHILE", worthwhile)
    return values(table, weights)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.float64])
def test_the_kernel_agrees_with_numpy(monkeypatch: pytest.MonkeyPatch, dtype: type) -> None:
    pytest.importorskip("numba", reason="numba is not installed (extra `fast`)")
    for seed in range(12):
        table = build(system(*random_set(seed)))
        generator = np.random.default_rng(seed)
        weights: Array = generator.poisson(1.0, (128, len(table.ids))).astype(dtype)
        weights[:30] = 10 * (weights[:30] > 0)  # numbers of objects that ten divides
        compiled = under(table, weights, monkeypatch, 0)
        plain = under(table, weights, monkeypatch, sys.maxsize)
        assert np.allclose(compiled, plain, rtol=0, atol=1e-12, equal_nan=True)


def test_the_kernel_is_used_for_full_panels_of_small_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(precision, "_compiled", lambda hits: asked.append(hits))
    table = build(boxes_system(24, 1))
    under(table, np.ones((64, 24), np.uint8), monkeypatch, 0)
    assert len(asked) == 1
    others: list[Any] = [np.ones((63, 24)), np.full((64, 24), 300), np.full((64, 24), 0.5)]
    for weights in others:
        under(table, weights, monkeypatch, 0)
    assert len(asked) == 1


def test_without_numba_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(precision, "SLOW", 0)
    precision._say_slow.cache_clear()
    table = build(boxes_system(24, 1))
    for _ in range(2):
        under(table, np.ones((64, 24), np.uint8), monkeypatch, 0)
    assert [one.getMessage() for one in caplog.records if "pip install numba" in one.getMessage()]
    assert len(caplog.records) == 1


def test_fractional_weights_are_shares_of_images() -> None:
    table = build(boxes_system(24, 2))
    counts = np.random.default_rng(0).integers(1, 4, (3, 24))
    assert np.allclose(values(table, counts / 8), values(table, counts), rtol=1e-12, equal_nan=True)


def test_tied_images_come_in_order_of_their_numbers() -> None:
    """Image 9 before image 10: the hit comes first. By bytes of the ids it would come second."""
    examples = [
        image([cat(500, 0.5)], [cat(0)], "10"),
        image([cat(0, 0.5)], [cat(0)], "9"),
    ]
    found = values(build(System("ties", examples)), [1, 1])
    assert found[0, 1] == pytest.approx(51 / 101)
    renamed = [replace(one, id="x" + one.id) for one in examples]
    assert values(build(System("ties", renamed)), [1, 1])[0, 1] == pytest.approx(51 / 101 / 2)


def test_what_is_left_out_is_said() -> None:
    many = [cat(0, score / 200) for score in range(103)]
    unknown = replace_label(cat(0, 0.9), "unicorn")
    table = build(System("out", [image([*many, unknown], [cat(0)])]))
    said = codes(table)
    assert said["unknown-label"].startswith("1 detection with a label that no reference has")
    assert said["cut"].startswith("3 detections beyond the 100 best")
    assert values(table, [1])[0, 0] == pytest.approx(1)


def replace_label(box: Box, label: str) -> Box:
    return Box(box.box, label, box.score)


def test_scores_that_tie_and_no_detections_are_said() -> None:
    tied = build(System("tied", [image([cat(0, 1.0), cat(300, 1.0)], [cat(0)])]))
    assert codes(tied)["tied-scores"].startswith("2 of 2 detections have the same score")
    empty = build(System("empty", [image([], [cat(0)])]))
    assert set(codes(empty)) == {"no-detections"}
    assert values(empty, [1])[0, :3].tolist() == [0, 0, 0]
    assert codes(build(boxes_system(24, 1))).keys() == {"unknown-label"}


def test_without_any_object_nothing_is_defined() -> None:
    assert np.isnan(values(build(System("none", [image([cat(0, 0.5)], [])])), [1])).all()


def test_resamples_that_lack_a_label_are_counted() -> None:
    dog = replace_label(cat(0), "dog")
    examples = [image([cat(0, 0.9)], [cat(0)], "a"), image([], [dog], "b"), image([], [], "c")]
    table = build(System("two", examples))
    found = values(table, np.array([[1, 1, 1], [2, 0, 1], [0, 1, 0], [3, 1, 0]]))
    assert found[:, 0] == pytest.approx([0.5, 1, 0, 0.5])
    metric: Any = METRIC
    ((code, message),) = metric.resample_remarks(table, found)
    assert code == "vanished-labels"
    assert message.startswith("50.0% of the resamples lack a label")
    assert not list(metric.resample_remarks(table, found[[0, 3]]))


def test_the_area_of_a_reference_is_given_or_that_of_its_box() -> None:
    own = values(build(System("s", [image([cat(0, 0.5)], [cat(0)])])), [1])[0]
    given = values(build(System("s", [image([cat(0, 0.5)], [cat(0, area=900.0)])])), [1])[0]
    assert np.isnan(own[3])
    assert own[5] == pytest.approx(1)
    assert np.isnan(given[5])
    assert given[3] == pytest.approx(1)


@pytest.mark.parametrize(
    ("example", "says"),
    [
        (Example("1", (), ((cat(0),), (cat(0),))), "2 annotators, but AP is defined against one"),
        (Example("1", (), ()), "0 annotators"),
        (image([cat(0)], [cat(0)]), 'id "1" has a detection without a score'),
    ],
)
def test_what_coco_ap_refuses(example: Example, says: str) -> None:
    with pytest.raises(MetricError, match=says):
        build(System("bad", [example]))


def test_masks_that_are_missing_or_of_another_size() -> None:
    metric = catalogue.metric("coco_ap:iou=segm")
    masked = cat(0, 0.5, mask=Mask((2, 2), "04"))
    for predicted, side in ((cat(0, 0.5), "detection"), (masked, "reference")):
        with pytest.raises(MetricError, match=f'id "1" has a {side} without a mask'):
            build(System("none", [image([predicted], [cat(0)])]), metric)
    pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra `detection`)")
    from pycocotools import mask as library

    def square(side: int) -> Mask:
        code = library.encode(np.ones((side, side), np.uint8, order="F"))
        return Mask((side, side), code["counts"].decode())

    example = image([cat(0, 0.5, mask=square(8))], [cat(0, mask=square(9))])
    with pytest.raises(MetricError, match="different sizes"):
        build(System("sizes", [example]), metric)


def test_masks_without_pycocotools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    metric = catalogue.metric("coco_ap:iou=segm")
    mask = Mask((2, 2), "04")
    with pytest.raises(MissingDependencyError, match="pip install pycocotools"):
        build(System("s", [image([cat(0, 0.5, mask=mask)], [cat(0, mask=mask)])]), metric)


def test_iou_is_one_of_two() -> None:
    with pytest.raises(MetricError, match='did you mean "segm"'):
        catalogue.metric("coco_ap:iou=segmm")


@pytest.mark.parametrize("clusters", [None, 7])
def test_resampled_labels_move_as_far_as_sets_do(clusters: int | None) -> None:
    """sqrt(m / (m - 1)) of what they moved, m the images (clusters) with objects of the label."""
    one = boxes_system(24, 1)
    table = build(one)
    count = len(table.ids)
    unit_of = None if clusters is None else np.arange(count) % clusters
    scorer = METRIC.scorer(table, unit_of)
    weights = np.random.default_rng(6).poisson(1, (64, clusters or count)).astype(np.uint8)
    plain, stretched = (
        measured(weights, errors=False)[0] for measured in (scorer.measure, scorer.resampled)
    )
    ones = scorer.measure(np.ones((1, weights.shape[1]), np.uint8), errors=False)[0]
    names = table.header.outputs
    moved = np.zeros_like(plain[:, 12:])
    for column, label in enumerate(table.header.scoring["labels"], start=12):
        assert names[column] == f"AP {label}"
        units = {
            position if unit_of is None else unit_of[position]
            for position, example in enumerate(one.examples)
            for box in example.references[0]
            if box.label == label and not box.crowd
        }
        factor = np.sqrt(len(units) / (len(units) - 1)) if len(units) > 1 else 1.0
        moved[:, column - 12] = ones[0, column] + (plain[:, column] - ones[0, column]) * factor
    np.testing.assert_allclose(stretched[:, 12:], moved, rtol=0, atol=1e-12)
    np.testing.assert_allclose(stretched[:, 0], np.nanmean(moved, axis=1), rtol=0, atol=1e-12)
    assert (np.abs(stretched[:, 0] - plain[:, 0]) > 1e-6).any()
