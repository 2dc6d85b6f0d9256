"""Boxes in files: what their fields may be called and hold, and what each mistake is called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import DataError
from evalkit.records.boxes import Box
from evalkit.records.example import Example, System
from evalkit.records.reading import ReadOptions, read_systems
from tests.conftest import Command

BOX: dict[str, Any] = {"bbox": [10, 20, 30, 40], "label": "car"}
DOCUMENTED = {"image_id": "a.jpg", **BOX, "score": 0.9}
OBJECTS = {"id": "a.jpg", "width": 640, "height": 480, "objects": [{**BOX, "area": 800}]}


def written(folder: Path, name: str, content: Any) -> str:
    text = json.dumps(content)
    if name.endswith(".jsonl"):
        text = "".join(json.dumps(one) + "\n" for one in content)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def read(folder: Path, predictions: Any, references: Any, **options: Any) -> list[System]:
    """Lists are JSON lines, anything else is a JSON document."""
    files = [
        written(folder, f"{name}.{'jsonl' if isinstance(one, list) else 'json'}", one)
        for name, one in (("p", predictions), ("r", references))
    ]
    return read_systems(files[:1], files[1:], ReadOptions(**options), "boxes")


def only(folder: Path, predictions: Any, references: Any, **options: Any) -> Example:
    (system,) = read(folder, predictions, references, **options)
    (example,) = system.examples
    return example


def test_the_lines_of_the_documentation(tmp_path: Path) -> None:
    found = only(tmp_path, [DOCUMENTED], [OBJECTS])
    assert found.id == "a.jpg"
    assert found.prediction == (Box((10, 20, 30, 40), "car", 0.9),)
    assert found.references == ((Box((10, 20, 30, 40), "car", area=800),),)
    image = {"id": "a.jpg", "boxes": [{**BOX, "score": 0.9}]}
    assert only(tmp_path, [image], [OBJECTS]) == found


@pytest.mark.parametrize("text", ["sun", "12", " 7", "01", "1e3", "null", "true", "[1]", ""])
def test_texts_stay_texts(tmp_path: Path, text: str) -> None:
    """As slice, cluster, system and id; JSON within a text is none."""
    truth = {**OBJECTS, "id": f"x{text}", "weather": text, "cluster": f"c{text}"}
    image = {"id": f"x{text}", "system": f"s{text}", "boxes": [{**BOX, "score": 0.9}]}
    (system,) = read(tmp_path, [image], [truth])
    assert system.name == f"s{text}"
    (found,) = system.examples
    assert (found.id, found.cluster, found.fields["weather"]) == (f"x{text}", f"c{text}", text)
    if text:
        images = [{**OBJECTS, "id": text}, {**OBJECTS, "id": "7"}]
        systems = read(tmp_path, [{"id": text, "system": text, "boxes": []}], images)
        assert [one.name for one in systems] == [text]
        assert {one.id for one in systems[0].examples} == {text, "7"}


SEGMENTED = {"image_id": "a.jpg", "label": "car", "score": 0.9}
SQUARE = [[10, 20, 30, 20, 30, 40]]


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        ([[0, 0, 1e9, 0, 1e9, 1e9]], "a corner of a polygon lies more than 1,000,000 pixels away"),
        ([[0, 0, -2e6, 0, 5, 5]], "a corner of a polygon lies more than 1,000,000 pixels away"),
        ([[4, 3, 33, 3]], "a polygon must be a list of corners, three or more"),
        ([*SQUARE, [1, 1, 2, 2]], "a polygon must be a list of corners, three or more"),
        ({"size": [480, 640], "counts": [-1, 307201]}, "the run lengths hold a negative one, -1"),
        ([], 'no "bbox" and no "segmentation" here, or an empty one'),
    ],
)
@pytest.mark.parametrize("box", [{}, {"bbox": [1, 2, 3, 4]}])
def test_segmentations(tmp_path: Path, segmentation: Any, says: str, box: dict[str, Any]) -> None:
    if not segmentation and box:
        return
    detection = {**SEGMENTED, **box, "segmentation": segmentation}
    with pytest.raises(DataError, match=f"p.jsonl:1: {says}"):
        read(tmp_path, [detection], [OBJECTS])


def test_polygons_of_images_of_unknown_size(tmp_path: Path) -> None:
    truth = {"id": "a.jpg", "objects": [BOX]}
    says = 'polygons without a "bbox" want the "width" and "height" of their image'
    with pytest.raises(DataError, match=f"p.jsonl:1: {says}"):
        read(tmp_path, [{**SEGMENTED, "segmentation": SQUARE}], [truth])


def test_a_first_record_with_a_mask_alone(tmp_path: Path) -> None:
    code = {"size": [480, 640], "counts": [480, 3, 306717]}
    (found,) = only(tmp_path, [{**SEGMENTED, "mask": code}], [OBJECTS]).prediction
    assert found.box == (1, 0, 1, 3)
    files = [str(tmp_path / "p.jsonl")], [str(tmp_path / "r.jsonl")]
    assert read_systems(*files, ReadOptions())[0].kind == "boxes"


def images(boxes: Sequence[Sequence[float]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    truths, found = [], []
    for id, box in enumerate(boxes, start=1):
        truths.append({"id": id, "width": 100, "height": 80, "objects": [BOX]})
        found.append({"image_id": id, "bbox": box, "label": "car", "score": 0.5})
    return found, truths


def test_corners_where_one_of_forty_leaves_its_image(tmp_path: Path) -> None:
    corners = [[60, 50, 90, 70]] * 39
    for last, what in ([60, 50, 90, 70], "none"), ([60, 50, 102, 70], "only 1"):
        files = images([*corners, last])
        says = rf"p.jsonl: 40 of 40 boxes leave .* but {what} of them as two corners; .* xyxy"
        with pytest.raises(DataError, match=says):
            read(tmp_path, *files)


def test_boxes_of_another_resolution(tmp_path: Path) -> None:
    files = images([[150, 120, 90, 60]] * 6 + [[1, 1, 5, 5]] * 4)
    says = (
        r"6 of 10 boxes leave .*, and 6 as two corners, as does \[150.0, 120.0, 90.0, 60.0\] in "
        "100 x 80 pixels; .*resolution.*normalised.*--box-format xywh to score them as they are"
    )
    with pytest.raises(DataError, match=says):
        read(tmp_path, *files)
    assert len(read(tmp_path, *files, box_format="xywh")[0].examples) == 10


@pytest.mark.parametrize("sized", [True, False])
def test_normalised_boxes_are_said(tmp_path: Path, sized: bool) -> None:
    found, truths = images([[0.1, 0.2, 0.3, 0.4]] * 3)
    if not sized:
        truths = [{"id": one["id"], "objects": one["objects"]} for one in truths]
    (system,) = read(tmp_path, found, truths)
    says = "every box of a detection lies within 0 to 1, as shares of an image do"
    assert dict(system.remarks)["normalised"].startswith(says)
    (system,) = read(tmp_path, images([[10, 20, 30, 40]])[0], truths[:1])
    assert "normalised" not in dict(system.remarks)


def test_difficult_is_a_name_of_crowd_and_ignore_is_none(tmp_path: Path) -> None:
    marked = [
        ({"difficult": 1}, True, 0),
        ({"difficult": 0}, False, 0),
        ({"iscrowd": 0, "ignore": 0, "difficult": 0}, False, 0),
        ({"iscrowd": 1, "ignore": 1}, True, 0),
        ({"iscrowd": 0, "ignore": 1}, False, 1),
        ({"iscrowd": 0, "difficult": 1}, False, 1),
        ({"ignore": 1}, False, 1),
    ]
    for parts, crowd, passed_over in marked:
        truth = {**OBJECTS, "objects": [{**BOX, **parts}]}
        (system,) = read(tmp_path, [DOCUMENTED], [truth])
        assert system.examples[0].references[0][0].crowd == crowd
        said = dict(system.remarks).get("passed-over", "")
        assert said.startswith("1 reference marked `ignore` or `difficult`") == bool(passed_over)
    with pytest.raises(DataError, match='"difficult" must be 0 or 1, not "no"'):
        read(tmp_path, [DOCUMENTED], [{**OBJECTS, "objects": [{**BOX, "difficult": "no"}]}])


HALF = "a\ud800"


def test_half_of_a_surrogate_pair(tmp_path: Path) -> None:
    says = r"a text is not valid Unicode: it holds '\\ud800'"
    for found in ({**DOCUMENTED, "label": HALF}, {"id": "a.jpg", "boxes": [], "system": HALF}):
        with pytest.raises(DataError, match=f"p.jsonl:1: {says}"):
            read(tmp_path, [found], [OBJECTS])
    with pytest.raises(DataError, match=f"r.jsonl:1: {says}"):
        read(tmp_path, [DOCUMENTED], [{**OBJECTS, "weather": HALF}])
    instances: dict[str, Any] = {"images": [{"id": "a.jpg"}], "annotations": [], "categories": []}
    for part, one in (("categories", {"id": 1, "name": HALF}), ("images", {"id": 7, "at": HALF})):
        broken = {**instances, part: [one]}
        with pytest.raises(DataError, match=rf"r.json: {part}\[0\]: {says}"):
            read(tmp_path, [DOCUMENTED], broken)


@pytest.mark.parametrize("box", [[0, 0, 1e200, 1e200], [0, 0, 1e308, 1], [1e308, 0, 1e308, 1]])
@pytest.mark.parametrize("side", ["p", "r"])
def test_boxes_that_overflow(tmp_path: Path, box: list[float], side: str) -> None:
    large = {"bbox": box}
    sides = {
        "p": ([{**DOCUMENTED, **large}], [OBJECTS]),
        "r": ([DOCUMENTED], [{**OBJECTS, "objects": [{**BOX, **large}]}]),
    }
    with pytest.raises(DataError, match=f"{side}.jsonl:1: .*no image is so large"):
        read(tmp_path, *sides[side])


@pytest.mark.parametrize("name", ["results", "annotations"])
def test_results_within_an_object(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f'p.json: an array of boxes is wanted: .*"{name}"'):
        read(tmp_path, {name: [DOCUMENTED]}, [OBJECTS])


def test_one_json_object_is_one_record(tmp_path: Path) -> None:
    expected = only(tmp_path, [DOCUMENTED], [OBJECTS])
    image = {"id": "a.jpg", "boxes": [{**BOX, "score": 0.9}]}
    assert only(tmp_path, image, OBJECTS) == expected
    assert only(tmp_path, DOCUMENTED, [OBJECTS]) == expected


def test_undefined_values_of_slices_are_said_once(tmp_path: Path, evalkit_command: Command) -> None:
    """Areas that only some slices have; the notes name what is undefined, and where."""
    truths = [{**OBJECTS, "id": f"{i}", "weather": f"w{i}"} for i in range(4)]
    found = [{**DOCUMENTED, "image_id": f"{i}"} for i in range(4)]
    written(tmp_path, "p.jsonl", found)
    written(tmp_path, "r.jsonl", truths)
    done = evalkit_command("score", "p.jsonl", "--refs", "r.jsonl", "--slice", "weather")
    assert done.returncode == 0, done.stderr
    lines = [one for one in done.stderr.splitlines() if "undefined" in one]
    assert len(lines) == 2
    assert "coco_ap: APm, APl, ARm and 1 more undefined: the metric is not" in lines[0]
    assert "coco_ap: undefined in slices: APm of weather=w0, APl of weather=w0" in lines[1]
    assert "and 13 more" in lines[1]
