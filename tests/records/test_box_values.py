"""Boxes and masks from Python: what numpy, torch and pycocotools make, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit.errors import DataError
from evalkit.records import box_values, masks
from evalkit.records.boxes import Box, Mask
from evalkit.verbs.score import score

DETECTED = {"boxes": [[1, 2, 30, 40], [5, 5, 10, 10]], "labels": [18, 3], "scores": [0.5, 0.25]}
TRUE = {"boxes": [[1, 2, 31, 42]], "labels": [18], "area": [7]}
POLYGON = [[4, 3, 33, 3, 33, 20, 4, 20]]
PIXELS = np.zeros((2, 40, 50), np.bool_)
PIXELS[0, 3:20, 4:33] = True
PIXELS[1, 0, 0] = True
RECORD: dict[str, Any] = {"label": 1, "score": 0.5}


def predicted(value: Any, form: str | None = "xywh") -> tuple[Box, ...]:
    return box_values.prediction(value, "predictions[0]", form)


def code(pixels: Any) -> dict[str, Any]:
    library = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    found: dict[str, Any] = library.encode(np.asfortranarray(pixels, np.uint8))
    return found


def test_masks_are_what_pycocotools_makes_of_them() -> None:
    generator = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        pixels = generator.random((37, 23)) < share
        ours = masks.of_pixels(pixels)
        assert ours["size"] == [37, 23]
        assert ours["counts"].encode() == code(pixels)["counts"]


@pytest.mark.parametrize("module", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_pixels(module: str, dtype: str) -> None:
    """[boxes, height, width] beside boxes or alone, and [height, width] in one record."""
    library = pytest.importorskip(module)
    pixels: Any = PIXELS.astype(dtype)
    pixels = library.as_tensor(pixels) if module == "torch" else pixels
    expected = Mask((40, 50), masks.of_pixels(PIXELS[0])["counts"])
    parts = {name: DETECTED[name] for name in ("labels", "scores")}
    for value in ({**DETECTED, "masks": pixels}, {**parts, "masks": pixels}):
        one, other = predicted(value)
        assert one.mask == expected
        assert other.mask == Mask((40, 50), masks.of_pixels(PIXELS[1])["counts"])
    assert (one.box, other.box) == ((4, 3, 29, 17), (0, 0, 1, 1))
    (one,) = predicted([{**RECORD, "segmentation": pixels[0]}])
    assert (one.mask, one.box) == (expected, (4, 3, 29, 17))


def test_run_lengths_as_pycocotools_writes_them() -> None:
    found = code(PIXELS[0])
    text = {**found, "counts": found["counts"].decode()}
    array = {**text, "size": np.array(found["size"])}
    for one in (found, text, array):
        (box,) = predicted([{**RECORD, "segmentation": one}])
        assert box.mask == Mask((40, 50), text["counts"])
        assert box.box == (4, 3, 29, 17)
    listed = {"labels": [1], "scores": [0.5], "masks": [found]}
    assert predicted(listed) == (box,)


@pytest.mark.parametrize("size", [{"size": (40, 50)}, {"width": 50, "height": np.int64(40)}])
def test_polygons_with_the_size_of_their_image(size: dict[str, Any]) -> None:
    (one,) = predicted([{**RECORD, **size, "segmentation": POLYGON}])
    (two,) = predicted({"labels": [1], "scores": [0.5], "masks": [POLYGON], **size})
    (three,) = predicted([{**RECORD, **size, "segmentation": [np.array(POLYGON[0])]}])
    assert one == two == three
    assert one.mask is not None
    assert (one.mask.size, one.box) == ((40, 50), (4, 3, 29, 17))


def test_the_python_door_scores_masks() -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra `detection`)")
    given = {"labels": [1, 2], "masks": PIXELS}
    result = score(
        [{**given, "scores": [0.9, 0.8]}] * 8,
        [given] * 8,
        "coco_ap:iou=segm",
        box_format="xywh",
        resamples=100,
    )
    assert result.scores[0]["value"] == pytest.approx(1)
    assert [one["code"] for one in result.warnings if one["metric"] is None] == ["no-area"]


Make = Callable[[Any], Any]
NUMBERS: list[Make] = [
    lambda values: list(np.array(values)),
    lambda values: [np.float64(one) if np.ndim(one) == 0 else np.array(one) for one in values],
    lambda values: [[np.float32(two) for two in one] if np.ndim(one) else one for one in values],
]


@pytest.mark.parametrize("make", NUMBERS)
def test_lists_of_what_numpy_makes(make: Make) -> None:
    value = {**DETECTED, "boxes": make(DETECTED["boxes"]), "scores": make(DETECTED["scores"])}
    assert predicted(value) == predicted(DETECTED)


def test_lists_of_tensors() -> None:
    torch = pytest.importorskip("torch")
    value = {name: list(torch.as_tensor(column)) for name, column in DETECTED.items()}
    assert predicted(value) == predicted(DETECTED)


def test_records_of_what_numpy_makes() -> None:
    record = {"bbox": np.array([1, 2, 3, 4]), "label": np.int64(1), "score": np.float32(0.5)}
    assert predicted([record]) == (Box((1, 2, 3, 4), "1", 0.5),)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([{**RECORD, "segmentation": POLYGON}], 'polygons without a "bbox" want'),
        ([{**RECORD, "bbox": [1, 2, 3, 4], "segmentation": POLYGON}], "polygons want the size of"),
        ([{**RECORD, "segmentation": PIXELS}], r"\[height, width\], not as 2 x 40 x 50"),
        ([{**RECORD, "segmentation": PIXELS[0] * 0.5}], "true or false .*apply a threshold"),
        ({**DETECTED, "masks": PIXELS[:, None]}, r"\[boxes, height, width\], not as 2 x 1 x 40"),
        ({**DETECTED, "masks": PIXELS[:1]}, "2 boxes, but 1 masks"),
        ({**DETECTED, "masks": 3}, r"\['masks'\]: an array is wanted"),
        ({**DETECTED, "size": (40,)}, 'the size of an image is wanted as "size": .height, width'),
        ({**DETECTED, "width": 40}, 'the size of an image is wanted as "size": .height, width'),
        ([Box((1, 2, 3, 4), 1, 0.5)], "box 0: the label of a Box must be a text, not 1"),  # type: ignore[arg-type]
        ([Box((1, 2, 3), "1", 0.5)], r'box 0: "bbox" must be four numbers, .*\[1, 2, 3\]'),  # type: ignore[arg-type]
        ([Box((1, 2, -3, 4), "1", 0.5)], "box 0: the width is negative"),
        ([Box((1, 2, 3, 4), "1")], 'box 0: no "score"'),
        ([Box((1, 2, 3, 4), "1", 0.5, mask=Mask((4, 5), "zzzz"))], "box 0: the run lengths"),
        ([Box((1, 2, 3, 4), "1", 0.5, mask="zz")], "box 0: the mask of a Box must be a Mask"),  # type: ignore[arg-type]
        ([Box((1, 2, 3, 4), "1", 0.5, mask=Mask((4, 5), polygons="["))], "a segmentation must be"),
        ([Box((1, 2, 3, 4), "\ud800", 0.5)], "the label is not valid Unicode"),
        ({**DETECTED, "labels": ["\ud800", "a"]}, "box 0: the label is not valid Unicode"),
    ],
)
def test_what_cannot_be(value: Any, says: str) -> None:
    with pytest.raises(DataError, match=rf"predictions\[0\].*{says}"):
        predicted(value)


@pytest.mark.parametrize("area", [-5.0, float("nan")])
def test_areas_of_boxes_that_cannot_be(area: float) -> None:
    with pytest.raises(DataError, match=r"references\[0\], box 0: the area must be a number"):
        box_values.references([Box((1, 2, 3, 4), "1", area=area)], "references[0]")


def test_corners_are_asked_for_as_corners() -> None:
    with pytest.raises(DataError, match=r"four numbers, \[left, top, right, bottom\], not \[1, 2"):
        predicted({**DETECTED, "boxes": [[1, 2, 3], [1, 2, 3]]}, "xyxy")


def test_difficult_objects() -> None:
    ((found,),) = box_values.references({**TRUE, "difficult": [True]}, "references[0]", "xywh")
    assert found.crowd
    with pytest.raises(DataError, match='both "crowd" and "difficult" are given; keep one'):
        box_values.references({**TRUE, "crowd": [1], "difficult": [1]}, "references[0]", "xywh")


def test_names_on_one_side_and_ids_on_the_other() -> None:
    named = {**DETECTED, "labels": ["cat", "dog"]}
    with pytest.raises(DataError, match=r"no label of a detection \(cat, dog\).*\(18\)"):
        evalkit.score([named], [TRUE], "coco_ap", box_format="xywh")


def test_references_without_any_box() -> None:
    empty: dict[str, Any] = {"boxes": [], "labels": []}
    with pytest.raises(DataError, match="no box in any reference"):
        evalkit.score([DETECTED], [empty], "coco_ap", box_format="xywh")


def test_what_files_say_is_said_of_lists() -> None:
    truth = {name: TRUE[name] for name in ("boxes", "labels")}
    shares = {**DETECTED, "boxes": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.1, 0.1]]}
    none: dict[str, Any] = {"boxes": [], "labels": [], "scores": []}
    given: dict[str, Any] = {"box_format": "xywh", "interval": "none"}
    result = evalkit.score([shares, none], [truth, truth], "coco_ap", **given)
    said = {one["code"] for one in result.warnings}
    assert {"empty-images", "no-area", "normalised"} <= said
