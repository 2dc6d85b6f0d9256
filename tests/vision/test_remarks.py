"""What detection metrics say: labels that vanish, thresholds, files for the best one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.errors import DataError, MetricError, UsageError
from evalkit.metric import Metric
from evalkit.records.boxes import Box
from evalkit.records.example import Example, System
from evalkit.table import Table
from evalkit.tables.build import Builder
from evalkit.verbs.score_files import ScoreRequest, score_files
from evalkit.vision.assignment import best_threshold
from evalkit.vision.columns import Columns
from evalkit.vision.overlaps import box_iou

METRICS = ("coco_ap", "voc_ap")


def build(metric: Metric, examples: list[Example]) -> Table:
    fitted = metric.fit([one.references for one in examples])
    return Builder().table(metric, System("s", examples), fitted, "")


def images(*labels: str, empty: int = 20) -> list[Example]:
    """One image per text, with an object of each of its letters; then images without any."""
    return [
        Example(f"{i:03}", (), (tuple(Box((0, 0, 9, 9), one) for one in text),))
        for i, text in enumerate([*labels, *[""] * empty])
    ]


def shares(examples: list[Example], name: str, unit_of: Any = None) -> tuple[float, float]:
    """In per cent, of the resamples that lack a label: with the labels' values, and without."""
    units = len(examples) if unit_of is None else int(unit_of.max()) + 1
    weights = np.random.default_rng(5).poisson(1, (6400, units)).astype(np.uint8)
    found = []
    for spec in (name, f"{name}:per_class=false"):
        metric = catalogue.metric(spec)
        table = build(metric, examples)
        values = metric.scorer(table, unit_of).measure(weights, errors=False)[0]
        ((code, message),) = metric.resample_remarks(table, values, unit_of)
        assert code == "vanished-labels"
        share = re.search(r"([\d.]+)% of the resamples lack a label", message)
        assert share is not None
        found.append(float(share[1]))
    assert message.startswith("about")
    return found[0], found[1]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", "ab", "c"] + ["d"] * 5,
        ["abcdef"],  # all vanish together: 37 %, and not 94 %
        ["ab"] * 3 + ["c"] * 12,
    ],
)
def test_vanishing_labels_without_their_values(name: str, labels: list[str]) -> None:
    exact, drawn = shares(images(*labels), name)
    assert drawn == pytest.approx(exact, abs=4)


@pytest.mark.parametrize("name", METRICS)
def test_labels_vanish_with_their_clusters(name: str) -> None:
    examples = images(*["a"] * 6, empty=14)
    exact, drawn = shares(examples, name, np.arange(20) // 3)
    assert drawn == pytest.approx(exact, abs=3)
    assert exact == pytest.approx(100 * np.exp(-2), abs=2)
    metric = catalogue.metric(f"{name}:per_class=false")
    values: Any = np.zeros((1, 1))
    found = dict(metric.resample_remarks(build(metric, examples), values))
    assert float(re.findall(r"[\d.]+", found.get("vanished-labels", "0"))[0]) < 2


@pytest.mark.parametrize("name", METRICS)
def test_frequent_labels_do_not_vanish(name: str) -> None:
    metric = catalogue.metric(f"{name}:per_class=false")
    table = build(metric, images(*["ab"] * 13))
    assert not list(metric.resample_remarks(table, np.zeros((1, 12))))


def coco(folder: Path, scores: list[float]) -> tuple[str, str]:
    """Objects in ten images; those of label b in two, one in each kind of weather."""
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for id in range(1, 11):
        weather = "rain" if id % 2 else "sun"
        truth["images"].append({"id": id, "width": 99, "height": 99, "weather": weather})
        own = {"id": id, "image_id": id, "category_id": 1 + (id <= 2), "bbox": [0, 0, 9, 9]}
        truth["annotations"].append({**own, "area": 81})
    truth["categories"] = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    found = [
        {"image_id": i, "category_id": 1, "bbox": [0 if i > 3 else 50, 0, 9, 9], "score": score}
        for i, score in enumerate(scores, start=1)
    ]
    for name, content in (("results", found), ("instances", truth)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return str(folder / "results.json"), str(folder / "instances.json")


def test_slices_are_asked_of_their_own_examples(tmp_path: Path) -> None:
    """Label b is in one image of each slice, and in two of the set."""
    predictions, references = coco(tmp_path, [0.5])
    request = ScoreRequest(
        (predictions,), (references,), ("coco_ap:per_class=false",), slices=("weather",),
        resamples=200, cache=False,
    )  # fmt: skip
    said = {
        json.dumps(one["slice"]): float(re.findall(r"[\d.]+", one["message"])[0])
        for one in score_files(request).results[0].warnings
        if one["code"] == "vanished-labels"
    }
    assert said.pop("null") == pytest.approx(100 * np.exp(-2), abs=3)
    assert len(said) == 2
    for share in said.values():
        assert share == pytest.approx(100 * (1 - (1 - np.exp(-1)) * (1 - np.exp(-4))), abs=4)


SCORES = [0.9, 0.2, 0.1, 0.8, 0.7, 0.6, 0.5]


def test_the_best_threshold_of_files(tmp_path: Path) -> None:
    predictions, references = coco(tmp_path, SCORES)
    threshold, f1 = best_threshold(predictions, references)
    assert threshold == 0.5
    assert f1 == pytest.approx(2 * 4 / (5 + 10))
    assert best_threshold(Path(predictions), Path(references)) == (threshold, f1)
    metric = f"detection_f1:threshold={threshold}"
    request = ScoreRequest((predictions,), (references,), (metric,), interval="none", cache=False)
    assert score_files(request).results[0].scores[0]["value"] == pytest.approx(f1)


def test_the_lines_of_the_documentation(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, name in zip(coco(tmp_path, SCORES), ("results", "instances"), strict=True):
        Path(path).rename(tmp_path / f"val_{name}.json")
    page = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```text\n(from evalkit.vision.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(lines, {})
    assert capsys.readouterr().out == "--metric detection_f1:threshold=0.5\n"


def test_what_has_no_best_threshold(tmp_path: Path) -> None:
    predictions, references = coco(tmp_path, SCORES)
    with pytest.raises(UsageError, match="two files or two lists"):
        best_threshold(predictions, [], box_format="xywh")
    with pytest.raises(DataError, match="references of 2 images for predictions of 1 image"):
        best_threshold([[]], [[], []], box_format="xywh")
    found = [
        {"image_id": i % 2 + 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1, "system": name}
        for i, name in enumerate("ABAB")
    ]
    Path(predictions).write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(DataError, match="one system is wanted, but here are A, B"):
        best_threshold(predictions, references)


@pytest.mark.parametrize("name", ["detection_f1", "detection_confusion"])
def test_thresholds_are_finite_numbers(name: str) -> None:
    for value in ("nan", "inf", "-inf"):
        with pytest.raises(MetricError, match=f"threshold is a finite score, not {value}"):
            catalogue.metric(f"{name}:threshold={value}")
    with pytest.raises(MetricError, match=r"number; find the best .*assignment.best_threshold\("):
        catalogue.metric(f"{name}:iou=0.5,threshold=best")
    assert catalogue.metric(f"{name}:iou=0.6,threshold=-1").parameters["threshold"] == -1


@pytest.mark.parametrize("name", [*METRICS, "detection_f1", "detection_confusion"])
def test_that_there_is_no_detection_is_said(name: str) -> None:
    metric = catalogue.metric(name)
    (message,) = dict(metric.remarks(build(metric, images("a")))).values()
    assert message.startswith("there is no detection")


@pytest.mark.filterwarnings("error")
def test_overlaps_of_the_smallest_boxes() -> None:
    box = np.array([[0, 0, 5e-324, 5e-324], [0, 0, 1e150, 1e150]])
    for crowd in (False, True):
        assert box_iou(box, box, np.full(2, crowd)).tolist() == [0, 1]


def test_columns_of_boxes() -> None:
    boxes = [[Box((1, 2, 3, 4), "b", 0.5), Box((5, 6, 7, 8), "a")], [], [Box((9, 0, 1, 2), "c")]]
    found = Columns.of(boxes, {"a": 0, "b": 1})
    assert found.image.tolist() == [0, 0, 2]
    assert found.label.tolist() == [1, 0, -1]
    assert found.box.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 0, 1, 2]]
    assert Columns.of([[]], {}).box.shape == (0, 4)
