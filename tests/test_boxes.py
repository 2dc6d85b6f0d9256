"""Boxes: COCO's files, JSON lines, arrays; what is read, what is an error, and where."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import evalkit
from evalkit.errors import DataError, UsageError
from evalkit.records import masks
from evalkit.records.boxes import Box, Mask
from evalkit.records.example import Example, System
from evalkit.records.joining import Partners
from evalkit.records.masks import Runs
from evalkit.records.reading import ReadOptions, read_systems
from evalkit.verbs.score import _examples

RESULTS: list[dict[str, Any]] = [
    {"image_id": 7, "category_id": 18, "bbox": [1, 2, 30, 40], "score": 0.5},
    {"image_id": 9, "category_id": 3, "bbox": [0, 0, 10.5, 10], "score": 0.5},
    {"image_id": 7, "category_id": 3, "bbox": [5, 5, 10, 10], "score": 0.9},
]
INSTANCES: dict[str, Any] = {
    "info": {},
    "images": [
        {"id": 7, "width": 100, "height": 80, "file_name": "7.jpg"},
        {"id": 9, "width": 100, "height": 80, "file_name": "9.jpg"},
        {"id": 11, "width": 100, "height": 80, "file_name": "11.jpg"},
    ],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 3, "bbox": [0, 0, 10, 10], "area": 80},
        {"id": 2, "image_id": 7, "category_id": 18, "bbox": [1, 2, 30, 40], "area": 900.5},
        {"id": 3, "image_id": 9, "category_id": 3, "bbox": [0, 0, 50, 50], "area": 9, "iscrowd": 1},
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}],
}
CAR, DOG = (0.0, 0.0, 10.5, 10.0), (1.0, 2.0, 30.0, 40.0)
SIZES = {"width": 100, "height": 80}


def written(folder: Path, name: str, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    if name.removesuffix(".gz").endswith(".jsonl") and not isinstance(content, str):
        text = "".join(json.dumps(one) + "\n" for one in content)
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(folder / name)


def read(preds: str, *refs: str, kind: str | None = None, **options: Any) -> System:
    (system,) = read_systems([preds], refs, ReadOptions(**options), kind)
    return system


def coco(folder: Path, results: Any, instances: Any = INSTANCES, **options: Any) -> System:
    preds = written(folder, "results.json", results)
    return read(preds, written(folder, "instances.json", instances), **options)


def changed(number: int, **more: Any) -> dict[str, Any]:
    """The instances with parts of annotation `number` replaced; None takes a part away."""
    annotations = [dict(one) for one in INSTANCES["annotations"]]
    annotations[number].update(more)
    kept = {key: value for key, value in annotations[number].items() if value is not None}
    annotations[number] = kept
    return {**INSTANCES, "annotations": annotations}


def by_id(system: System) -> dict[str, Example]:
    return {one.id: one for one in system.examples}


@pytest.mark.parametrize("name", ["results.json", "results.json.gz"])
def test_coco_results_and_instances(tmp_path: Path, name: str) -> None:
    refs = written(tmp_path, name.replace("results", "instances"), INSTANCES)
    system = read(written(tmp_path, name, RESULTS), refs)
    assert (system.kind, system.missing, system.unused) == ("boxes", 0, 0)
    assert system.remarks == (("empty-images", "1 of 3 images have no detection"),)
    assert [one.id for one in system.examples] == ["11", "7", "9"]
    found = by_id(system)
    assert found["11"].prediction == ()
    assert found["11"].references == ((),)
    assert found["7"].prediction == (Box(DOG, "dog", 0.5), Box((5, 5, 10, 10), "car", 0.9))
    assert found["7"].references == ((Box(DOG, "dog", area=900.5),),)
    assert found["9"].references == (
        (
            Box((0, 0, 10, 10), "car", area=80),
            Box((0, 0, 50, 50), "car", crowd=True, area=9),
        ),
    )
    assert found["9"].fields == {**SIZES, "file_name": "9.jpg"}


def test_only_images_with_detections(tmp_path: Path) -> None:
    system = coco(tmp_path, RESULTS, partners=Partners(only_predicted=True))
    assert ([one.id for one in system.examples], system.unused) == (["7", "9"], 1)


@pytest.mark.parametrize("kind", [None, "boxes"])
def test_no_detection_at_all_is_legal(tmp_path: Path, kind: str | None) -> None:
    system = coco(tmp_path, [], kind=kind)
    assert [one.prediction for one in system.examples] == [(), (), ()]
    with pytest.raises(DataError, match="no image has a detection"):
        coco(tmp_path, [], kind=kind, partners=Partners(only_predicted=True))


def test_names_that_are_not_unique_get_their_id(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "dog"}, {"id": 18, "name": "dog"}]
    found = by_id(coco(tmp_path, RESULTS, {**INSTANCES, "categories": categories}))
    assert [box.label for box in found["7"].prediction] == ["dog#18", "dog#3"]
    assert [box.label for box in found["7"].references[0]] == ["dog#18"]


def test_without_categories_the_ids_are_the_labels(tmp_path: Path) -> None:
    instances = {name: one for name, one in INSTANCES.items() if name != "categories"}
    found = by_id(coco(tmp_path, RESULTS, instances))
    assert [box.label for box in found["7"].prediction] == ["18", "3"]


def test_names_of_categories_are_labels_too(tmp_path: Path) -> None:
    preds = written(
        tmp_path, "p.jsonl", [{"image_id": 9, "boxes": [{"box": CAR, "class": "car", "score": 1}]}]
    )
    system = read(preds, written(tmp_path, "instances.json", INSTANCES))
    assert by_id(system)["9"].prediction == (Box(CAR, "car", 1.0),)


def test_categories_that_are_called_by_numbers(tmp_path: Path) -> None:
    """As digits are: id 3 is "0", and id 18 is "3"."""
    digits = [{"id": 3, "name": "0"}, {"id": 18, "name": "3"}]
    refs = written(tmp_path, "instances.json", {**INSTANCES, "categories": digits})
    box = {"image_id": 7, "box": CAR, "score": 1}
    lines = [{**box, "category_id": 3}, {**box, "label": "3"}, {**box, "category_id": "18"}]
    found = by_id(read(written(tmp_path, "p.jsonl", lines), refs))
    assert [one.label for one in found["7"].prediction] == ["0", "3", "3"]
    with pytest.raises(DataError, match=r'p.jsonl:1: 3 is the id of "0" and the name of another'):
        read(written(tmp_path, "p.jsonl", [{**box, "label": 3}]), refs)


BOX_A = {"bbox": [0, 0, 10.5, 10], "category_id": 3, "score": 0.5}
BOX_B = {"box": [0, 0, 10.5, 10], "label": "3", "confidence": 0.5}
BOX_C = {"box": [0, 0, 10.5, 10], "category": 3, "score": 0.5, "mask": None, "extra": [1]}


@pytest.mark.parametrize("box", [BOX_A, BOX_B, BOX_C])
@pytest.mark.parametrize("own", ["boxes", "detections", "predictions", "prediction"])
@pytest.mark.parametrize("theirs", ["boxes", "annotations", "objects", "references"])
def test_one_record_per_image(tmp_path: Path, box: dict[str, Any], own: str, theirs: str) -> None:
    preds = written(tmp_path, "p.jsonl", [{"image_id": 9, own: [box]}])
    truth = {"bbox": [0, 0, 10, 10], "class": 3, "crowd": True, "area": 4}
    refs = written(
        tmp_path, "r.jsonl", [{"id": "9", **SIZES, theirs: [truth]}, {"id": 7, theirs: []}]
    )
    system = read(preds, refs)
    assert [one.id for one in system.examples] == ["7", "9"]
    one = system.examples[1]
    assert one.prediction == (Box(CAR, "3", 0.5),)
    assert one.references == ((Box((0, 0, 10, 10), "3", None, True, 4.0),),)
    assert one.fields == SIZES


def test_one_record_per_box(tmp_path: Path) -> None:
    """As COCO's results, but as lines, of two systems."""
    lines = [{**one, "system": name} for name in ("b", "a") for one in RESULTS]
    preds = written(tmp_path, "p.jsonl", lines)
    refs = written(tmp_path, "instances.json", INSTANCES)
    systems = read_systems([preds], [refs], ReadOptions())
    assert [one.name for one in systems] == ["b", "a"]
    assert systems[0].examples == systems[1].examples == coco(tmp_path, RESULTS).examples


def test_references_may_be_one_record_per_box(tmp_path: Path) -> None:
    preds = written(tmp_path, "p.json", RESULTS)
    refs = written(tmp_path, "r.jsonl", INSTANCES["annotations"])
    found = by_id(read(preds, refs))
    assert [box.label for box in found["9"].references[0]] == ["3", "3"]


def test_references_beside_the_predictions_and_several_annotators(tmp_path: Path) -> None:
    box = {"bbox": [0, 0, 10.5, 10], "label": "car"}
    record = {"id": 1, "boxes": [{**box, "score": 1}], "references": [[box], [], [box, box]]}
    (one,) = read(written(tmp_path, "p.jsonl", [record])).examples
    assert one.prediction == (Box(CAR, "car", 1.0),)
    assert one.references == ((Box(CAR, "car"),), (), (Box(CAR, "car"), Box(CAR, "car")))


def test_chosen_fields(tmp_path: Path) -> None:
    flat = [{**one, "frame": one["image_id"], "image_id": 0} for one in RESULTS]
    assert coco(tmp_path, flat, fields={"id": "frame"}).examples == coco(tmp_path, RESULTS).examples
    with pytest.raises(DataError, match='--field id=fram: no record has a field "fram"'):
        coco(tmp_path, flat, fields={"id": "fram"})


def test_clusters_and_slices_come_from_the_images(tmp_path: Path) -> None:
    images = [
        {**one, "video": one["id"] % 2 == 1, "weather": "rain"} for one in INSTANCES["images"]
    ]
    system = coco(tmp_path, RESULTS, {**INSTANCES, "images": images}, fields={"cluster": "video"})
    assert {one.cluster for one in system.examples} == {"true"}
    assert system.examples[0].fields["weather"] == "rain"


def test_corners(tmp_path: Path) -> None:
    corners = [{**RESULTS[0], "bbox": [60, 50, 90, 70]}]
    with pytest.raises(DataError, match=r"results.json: 1 of 1 boxes leave.*--box-format xyxy"):
        coco(tmp_path, corners)
    (box,) = by_id(coco(tmp_path, corners, box_format="xyxy"))["7"].prediction
    assert box.box == (60, 50, 30, 20)
    (box,) = by_id(coco(tmp_path, corners, box_format="xywh"))["7"].prediction
    assert box.box == (60, 50, 90, 70)
    with pytest.raises(UsageError, match='"xyhw"; did you mean "xywh"'):
        coco(tmp_path, corners, box_format="xyhw")


def test_corners_among_the_references(tmp_path: Path) -> None:
    preds = written(tmp_path, "p.jsonl", [{"id": 1, "boxes": []}])
    truth = [{"bbox": [60, 50, 90, 70], "label": 1}]
    refs = written(tmp_path, "r.jsonl", [{"id": 1, **SIZES, "boxes": truth}])
    with pytest.raises(DataError, match=r"r.jsonl: 1 of 1 boxes leave"):
        read(preds, refs)
    (one,) = read(preds, refs, box_format="xyxy").examples
    assert one.references[0][0].box == (60, 50, 30, 20)


def test_a_few_boxes_may_leave_their_image(tmp_path: Path) -> None:
    results = [*RESULTS, {**RESULTS[0], "bbox": [90, 70, 95, 75]}]
    assert len(by_id(coco(tmp_path, results))["7"].prediction) == 3


def test_areas_that_are_not_given_are_counted(tmp_path: Path) -> None:
    system = coco(tmp_path, RESULTS, changed(0, area=None))
    assert by_id(system)["9"].references[0][0].area is None
    _, (code, message) = system.remarks
    assert code == "no-area"
    assert message.startswith("1 of 3 references have no area")


def test_the_order_of_detections_is_part_of_the_identity(tmp_path: Path) -> None:
    one, other = coco(tmp_path, RESULTS), coco(tmp_path, RESULTS[::-1])
    assert one.references_digest == other.references_digest
    assert one.predictions_digest != other.predictions_digest
    integers = [{**box, "bbox": [float(side) for side in box["bbox"]]} for box in RESULTS]
    assert coco(tmp_path, integers).predictions_digest == one.predictions_digest
    moved = coco(tmp_path, [RESULTS[1], RESULTS[0], RESULTS[2]])  # order of images
    assert moved.predictions_digest == one.predictions_digest


def test_shared_data_is_the_same_from_both_forms(data: Path) -> None:
    folder = data / "coco-val2014-100"
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no folder {folder}")
    instances = str(folder / "instances_val2014_100.json.gz")
    results = str(folder / "instances_val2014_fakebbox100_results.json.gz")
    preds, refs = str(folder / "preds" / "fakebbox100.jsonl.gz"), str(folder / "refs.jsonl.gz")
    ours, theirs = read(preds, refs), read(results, instances)
    document = json.loads(gzip.decompress(Path(instances).read_bytes()))
    name = {str(one["id"]): one["name"] for one in document["categories"]}
    assert sum(len(one.prediction) for one in theirs.examples) == 734
    assert sum(len(one.references[0]) for one in theirs.examples) == 839
    assert sum(box.crowd for one in theirs.examples for box in one.references[0]) == 9
    for one, other in zip(ours.examples, theirs.examples, strict=True):
        assert one.id == other.id
        assert renamed(one.prediction, name) == list(other.prediction)
        bare = [msgspec.structs.replace(box, mask=None) for box in other.references[0]]
        assert renamed(one.references[0], name) == bare
        assert {"width", "height"} <= set(one.fields) & set(other.fields)
    mixed = read(preds, instances)
    assert mixed.examples == theirs.examples
    assert mixed.predictions_digest == theirs.predictions_digest


def renamed(boxes: Sequence[Box], name: dict[str, str]) -> list[Box]:
    return [msgspec.structs.replace(box, label=name[box.label]) for box in boxes]


def test_shared_masks_have_the_boxes_and_areas_of_pycocotools(data: Path) -> None:
    folder = data / "coco-val2014-100"
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no folder {folder}")
    library = pytest.importorskip("pycocotools.mask")
    instances = folder / "instances_val2014_100.json.gz"
    results = folder / "instances_val2014_fakesegm100_results.json.gz"
    system = read(str(results), str(instances))
    detections = [box for one in system.examples for box in one.prediction]
    assert len(detections) == 734
    for box in detections:
        assert box.mask is not None
        assert box.box == tuple(library.toBbox(masks.run_lengths(box.mask)).tolist())
    document = json.loads(gzip.decompress(instances.read_bytes()))
    size = {one["id"]: (one["height"], one["width"]) for one in document["images"]}
    theirs: dict[str, list[Any]] = {}
    for one in document["annotations"]:
        code = library.frPyObjects(one["segmentation"], *size[one["image_id"]])
        code = library.merge(code) if isinstance(code, list) else code
        theirs.setdefault(str(one["image_id"]), []).append(code["counts"])
    for one in system.examples:
        ours = [masks.run_lengths(box.mask)["counts"] for box in one.references[0]]
        ours = [own if isinstance(own, bytes) else own.encode() for own in ours]
        assert ours == theirs.get(one.id, [])


def test_run_lengths_of_random_masks_are_read_as_pycocotools_does() -> None:
    library = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(0)
    found, lengths, theirs = [], [], []
    for _ in range(500):
        height, width = (int(one) for one in generator.integers(1, 40, 2))
        share = generator.choice([0, 0.02, 0.3, 0.7, 1])
        pixels = np.asfortranarray(generator.random((height, width)) < share, np.uint8)
        flat = pixels.ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff([0, *edges, len(flat)]).tolist()
        lengths.append([0, *runs] if flat[0] else runs)
        code = library.encode(pixels)
        theirs.append(tuple(library.toBbox(code).tolist()))
        found.append(Mask((height, width), code["counts"].decode()))
    runs = Runs.of(found)
    assert runs.valid.all()
    assert runs.boxes(found) == theirs
    assert [masks.compressed(one) for one in lengths] == [one.counts for one in found]
    assert runs.count.tolist() == [one for own in lengths for one in own]


@pytest.mark.parametrize("counts", ["", "zz~", "P", "abc" * 30, "é"])
def test_strings_that_are_no_run_lengths(counts: str) -> None:
    assert Runs.of([Mask((5, 5), counts)]).valid.tolist() == [False]


SEGMENTED = {"image_id": 7, "category_id": 3, "score": 1}


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        ({"size": [80, 100], "counts": "zz"}, 'the run lengths "zz" are no code of 80 x 100'),
        ({"size": [8, 10], "counts": [80]}, "8 x 10 pixels .*but the image has 80 x 100"),
        ({"size": [80, 100], "counts": [1, 2]}, "add up to 3, not to the 8,000 pixels"),
        ({"size": [80, 100], "counts": [-1, 8001]}, "the run lengths"),
        ({"size": [80, 100]}, "a segmentation must be polygons"),
        ([[1, 2, 3]], "a polygon must be a list of corners"),
        ([["a"]], "a segmentation must be polygons"),
        ([], 'no "bbox" and no "segmentation" here'),
    ],
)
def test_masks_that_cannot_be(tmp_path: Path, segmentation: Any, says: str) -> None:
    with pytest.raises(DataError, match=rf"results.json\[1\]: .*{says}"):
        coco(tmp_path, [RESULTS[0], {**SEGMENTED, "segmentation": segmentation}])


def test_masks_without_a_box(tmp_path: Path) -> None:
    runs = {"size": [80, 100], "counts": [81, 3, 7916]}
    polygon = [[5, 5, 15.5, 5, 15.5, 25, 5, 25]]
    results = [{**SEGMENTED, "segmentation": one} for one in (runs, polygon)]
    one, other = by_id(coco(tmp_path, results))["7"].prediction
    assert (one.box, other.box) == ((1, 1, 1, 3), (5, 5, 10.5, 20))
    assert one.mask == Mask((80, 100), masks.compressed([81, 3, 7916]))
    assert json.loads(other.mask.polygons) == polygon


def test_polygons_want_the_size_of_their_image(tmp_path: Path) -> None:
    instances = changed(0, segmentation=[[0, 0, 10, 0, 10, 10]])
    assert by_id(coco(tmp_path, RESULTS, instances))["9"].references[0][0].mask is not None
    instances["images"] = [{"id": one["id"]} for one in INSTANCES["images"]]
    system = coco(tmp_path, RESULTS, instances)
    assert by_id(system)["9"].references[0][0].mask is None
    assert "no-size" in [code for code, _ in system.remarks]


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"score": NAN}, "the score must be a finite number, not nan"),
        ({"score": -INFINITY}, "the score must be a finite number, not -inf"),
        ({"score": None}, 'no "score" in this detection'),
        ({"score": "high"}, '"score" must be a number, not "high"'),
        ({"bbox": [0, NAN, 1, 1]}, r"the coordinates must be finite numbers, not \[0.0, nan"),
        ({"bbox": [0, 0, INFINITY, 1]}, "the coordinates must be finite"),
        ({"bbox": [9, 0, -2.5, 1]}, r"the width is negative \(-2.5\); .*read as xywh"),
        ({"bbox": [9, 0, 1, -1]}, "the height is negative"),
        ({"bbox": [1, 2, 3]}, '"bbox" must be four numbers'),
        ({"bbox": ["1", 2, 3, 4]}, '"bbox" must be four numbers'),
        ({"bbox": None}, 'no "bbox" and no "segmentation" here'),
        ({"box": [1, 2, 3, 4]}, 'both "bbox" and "box" are given; keep one'),
        ({"category_id": 1.5}, '"category_id" must be a text or a whole number, not 1.5'),
        ({"category_id": True}, '"category_id" must be'),
        ({"category_id": None}, "no label: name it"),
        ({"category_id": 90}, r"1 box of 3 .*does not have: 90; its categories are 3 \(car\)"),
        ({"image_id": None}, 'no "image_id" here'),
        ({"image_id": [1]}, '"image_id" must be'),
        ({"image_id": 70}, "1 of 2 ids are not in .*instances.json: 70"),
    ],
)
@pytest.mark.parametrize("name", ["results.json", "results.jsonl"])
def test_what_is_no_detection(tmp_path: Path, parts: Any, says: str, name: str) -> None:
    """The second of three; NaN and Infinity as Python writes them."""
    results = [RESULTS[0], {**RESULTS[1], **parts}, RESULTS[2]]
    place = r"results.json\[1\]" if name == "results.json" else "results.jsonl:2"
    refs = written(tmp_path, "instances.json", INSTANCES)
    with pytest.raises(DataError, match=f"{place}: .*{says}"):
        read(written(tmp_path, name, results), refs)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"score": NAN}, "the score must be a finite number"),
        ({"bbox": [0, 0, -1, 1]}, "the width is negative"),
        ({"score": None}, 'no "score"'),
        ({"label": 1.5}, '"label" must be'),
        ({"category": "x"}, 'both "label" and "category" are given'),
        ({"label": ""}, "no label"),
    ],
)
def test_what_is_no_detection_in_a_list(tmp_path: Path, parts: Any, says: str) -> None:
    good = {"bbox": [0, 0, 1, 1], "label": "a", "score": 1}
    records = [{"id": 1, "boxes": [good]}, {"id": 2, "boxes": [good, {**good, **parts}]}]
    refs = [{"id": i, "boxes": [{"bbox": [0, 0, 1, 1], "label": "a"}]} for i in (1, 2)]
    with pytest.raises(DataError, match=rf"p.jsonl:2: boxes\[1\]: .*{says}"):
        read(written(tmp_path, "p.jsonl", records), written(tmp_path, "r.jsonl", refs))


@pytest.mark.parametrize(
    ("instances", "says"),
    [
        (changed(1, id=1), r"annotations\[1\]: annotation id 1 already appeared at .*\[0\]"),
        (changed(1, image_id=70), r"annotations\[1\]: .*not among \"images\": 70"),
        (changed(1, image_id=None), r'annotations\[1\]: no "image_id"'),
        (changed(1, category_id=4), r"annotations\[1\]: 1 box of 3 .*does not have: 4"),
        (changed(1, iscrowd=2), r"annotations\[1\]: crowd must be 0 or 1, not 2"),
        (changed(1, area=-1), r"annotations\[1\]: the area must be"),
        (changed(1, area=NAN), r"annotations\[1\]: the area must be .*not nan"),
        (changed(1, bbox=[0, 0, -1, 1]), r"annotations\[1\]: the width is negative"),
        ({**INSTANCES, "annotations": []}, "no box in any reference"),
        ({**INSTANCES, "images": []}, 'not among "images": 9, 7'),
        ({**INSTANCES, "images": [{"id": 7}, {"id": 7}]}, r"images\[1\]: id \"7\" already"),
        ({**INSTANCES, "images": [7]}, r"images\[0\]: an image must be a JSON object"),
        ({**INSTANCES, "categories": [{"id": 3}] * 2}, r"categories\[1\]: two categories"),
        ({**INSTANCES, "categories": ["car"]}, r"categories\[0\]: a category must have an id"),
        ({**INSTANCES, "annotations": {}}, "a JSON array is wanted"),
        ('{"annotations": [', "not valid JSON"),
    ],
)
def test_what_are_no_instances(tmp_path: Path, instances: Any, says: str) -> None:
    with pytest.raises(DataError, match=f"instances.json: .*{says}"):
        coco(tmp_path, RESULTS, instances)


def test_annotation_id_0_is_an_id_like_any_other(tmp_path: Path) -> None:
    assert coco(tmp_path, RESULTS, changed(0, id=0)).examples == coco(tmp_path, RESULTS).examples


def test_results_of_another_set(tmp_path: Path) -> None:
    results = [{**one, "image_id": one["image_id"] + 100} for one in RESULTS]
    says = r"no id here \(107, 109\) is in .*instances.json \(7, 9, 11, …\).*different sets"
    with pytest.raises(DataError, match=says):
        coco(tmp_path, results)


def test_names_on_one_side_and_ids_on_the_other(tmp_path: Path) -> None:
    preds = written(tmp_path, "p.json", RESULTS)
    truth = [{"bbox": [0, 0, 1, 1], "label": "dog"}]
    refs = written(tmp_path, "r.jsonl", [{"id": i, "boxes": truth} for i in (7, 9)])
    with pytest.raises(DataError, match=r"no label of a detection \(18, 3\).*\(dog\)"):
        read(preds, refs)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.json", INSTANCES, "a COCO file of annotations, but detections are wanted"),
        ("p.json", "[1]", r"p.json\[0\]: a JSON object is wanted, not 1"),
        ("p.json", [RESULTS[0], 1], r"p.json\[1\]: a box must be an object"),
        ("p.json", "[", "not valid JSON"),
        ("p.json", "7", "a JSON array is wanted"),
        ("p.json", "", "the file is empty"),
        ("p.json", "[" * 200_000, "nested too deeply|not valid JSON"),
        ("p.jsonl", [RESULTS], "a JSON array, but one JSON object per line"),
        ("p.jsonl", '{"bbox": [0, 0, 1, 1]\n', "p.jsonl:1: not valid JSON"),
        ("p.jsonl", [{"id": 1, "boxes": 3}], "p.jsonl:1: a list of boxes is wanted, not 3"),
        ("p.jsonl", [{"id": 1, "boxes": [3]}], r"p.jsonl:1: boxes\[0\]: a box must be an object"),
        ("p.jsonl", [{"id": 7, "boxes": []}] * 2, 'p.jsonl:2: id "7" already appeared'),
        ("p.jsonl", [{"id": 7, "labels": []}], "no prediction in this record"),
        ("p.tsv", "bbox\n1\n", "boxes are read from JSON"),
        ("none.json", None, "no such file"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: Any, says: str) -> None:
    if content is not None:
        written(tmp_path, name, content)
    refs = written(tmp_path, "instances.json", INSTANCES)
    with pytest.raises((DataError, UsageError), match=says):
        read(str(tmp_path / name), refs, kind="boxes")


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    lines = "".join(json.dumps(one) + "\n" for one in RESULTS)
    assert coco(tmp_path, lines).examples == coco(tmp_path, RESULTS).examples


def test_the_format_of_boxes_means_nothing_elsewhere(tmp_path: Path) -> None:
    path = written(tmp_path, "p.jsonl", [{"id": 1, "prediction": "a", "ref": "a"}])
    with pytest.raises(UsageError, match="--box-format is for boxes, but these records hold text"):
        read(path, box_format="xyxy")


def test_a_text_that_only_comes_with_a_box_stays_a_text(tmp_path: Path) -> None:
    record = {"id": 1, "prediction": "a dog", "references": ["a cat"], "bbox": [0, 0, 1, 1]}
    assert read(written(tmp_path, "p.jsonl", [record])).kind == "text"
    probable = {"id": 1, "prediction": {"boxes": 0.5, "bags": 0.5}, "gold": "bags", "bbox": []}
    assert read(written(tmp_path, "p.jsonl", [probable])).kind == "labels"


DETECTED = {"boxes": [[1, 2, 30, 40], [5, 5, 10, 10]], "labels": [18, 3], "scores": [0.5, 0.25]}
TRUE = {"boxes": [[1, 2, 31, 42]], "labels": [18], "iscrowd": [1], "area": [7]}


def python(predictions: Any, references: Any, box_format: str | None) -> list[Example]:
    from evalkit.records.kinds import kind, with_box_format

    known = with_box_format(kind("boxes"), box_format)
    return _examples(predictions, references, None, None, {}, known)


def as_arrays(module: str, image: dict[str, Any]) -> dict[str, Any]:
    if module == "list":
        return image
    library = pytest.importorskip(module)
    make = library.tensor if module == "torch" else library.array
    return {name: make(column) for name, column in image.items()}


@pytest.mark.parametrize("module", ["list", "numpy", "torch"])
def test_arrays(module: str) -> None:
    detected, true = as_arrays(module, DETECTED), as_arrays(module, TRUE)
    (one,) = python([detected], [true], "xyxy")
    assert one.prediction == (Box((1, 2, 29, 38), "18", 0.5), Box((5, 5, 5, 5), "3", 0.25))
    assert one.references == ((Box((1, 2, 30, 40), "18", crowd=True, area=7.0),),)
    (one,) = python([detected], [[true, true]], "xywh")
    assert one.prediction[0] == Box((1, 2, 30, 40), "18", 0.5)
    assert len(one.references) == 2


def test_an_image_without_boxes() -> None:
    empty = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int), "scores": np.zeros(0)}
    (one,) = python([empty], [[]], "xywh")
    assert (one.prediction, one.references) == ((), ((),))


def test_boxes_as_dicts_and_as_boxes() -> None:
    record = {"bbox": [0, 0, 10.5, 10], "label": "car", "score": 1}
    box = Box(CAR, "car", 1.0)
    (one,) = python([[record]], [[record]], "xywh")
    assert one.prediction == (box,)
    assert one.references == ((msgspec.structs.replace(box, score=None),),)
    (one,) = python([[box]], [[[box], [box]]], None)
    assert one.prediction == (box,)
    assert len(one.references) == 2


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"labels": [1]}, r"predictions\[0\]: 2 boxes, but 1 labels"),
        ({"scores": [0.5, NAN]}, r"predictions\[0\], box 1: the score must be a finite number"),
        ({"boxes": [1, 2]}, r"box 0: .boxes. must be four numbers"),
        ({"boxes": [[1, 2, 3], [1, 2, 3]]}, r"box 0: .boxes. must be four numbers"),
        ({"boxes": [[0, 0, 1, 1], [5, 5, 1, 9]]}, r"box 1: the width is negative"),
        ({"labels": [1.5, 2.5]}, r"must be a text or a whole number, not 1.5"),
        ({"score": [1, 1]}, 'no part of boxes is called "score"; did you mean "scores"'),
        ({"boxes": 3}, r"predictions\[0\]\['boxes'\]: an array is wanted"),
    ],
)
def test_arrays_that_cannot_be(parts: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        python([{**DETECTED, **parts}], [TRUE], "xyxy")


def test_the_format_of_a_box_is_not_guessed() -> None:
    with pytest.raises(UsageError, match='box_format is missing: box_format="xywh"'):
        python([DETECTED], [TRUE], None)
    with pytest.raises(UsageError, match='"xyhw"; did you mean'):
        python([DETECTED], [TRUE], "xyhw")
    with pytest.raises(UsageError, match="box_format is for boxes, but these are text"):
        evalkit.score(["a"], ["a"], "bleu", box_format="xywh")
    missing = {name: column for name, column in DETECTED.items() if name != "scores"}
    with pytest.raises(DataError, match='no "scores" here'):
        python([missing], [TRUE], "xyxy")


def test_the_python_door_gives_what_the_files_give(tmp_path: Path) -> None:
    from evalkit import catalogue

    metric = catalogue.metric("coco_ap:per_class=false")
    system = coco(tmp_path, RESULTS)
    ids = [one.id for one in system.examples]
    given: dict[str, Any] = {"ids": ids, "resamples": 100, "interval": "none"}
    references = [one.references for one in system.examples]
    detected = [
        {
            "boxes": np.array([box.box for box in one.prediction]).reshape(-1, 4),
            "labels": [box.label for box in one.prediction],
            "scores": np.array([box.score for box in one.prediction]),
        }
        for one in system.examples
    ]
    result = evalkit.score(detected, references, metric, box_format="xywh", **given)
    other = evalkit.score([one.prediction for one in system.examples], references, metric, **given)
    assert result.document["inputs"] == other.document["inputs"]
    assert result.document["inputs"]["predictions"] == system.predictions_digest
    assert result.document["inputs"]["references"] == system.references_digest
    assert result.scores[0]["value"] == other.scores[0]["value"]
    assert replace(system, name="x").predictions_digest == system.predictions_digest


@pytest.mark.parametrize("odd", [1.0, NAN])
def test_ids_and_fields_of_images_are_read_once(tmp_path: Path, odd: float) -> None:
    """A text that looks like JSON stays a text; NaN elsewhere in the record changes nothing."""
    box = {"bbox": [1, 2, 3, 4], "label": "car"}
    row = {"id": "0.jpg", "weather": "true", "note": "[1]", "odd": odd, "objects": [box]}
    preds = written(tmp_path, "p.jsonl", [row | {"boxes": [box | {"score": 0.5}]}])
    (image,) = read(preds, kind="boxes").examples
    assert image.id == "0.jpg"
    assert (image.fields["weather"], image.fields["note"]) == ("true", "[1]")
