"""What a prediction and a reference hold where the task is to find objects in images."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from evalkit.errors import DataError
from evalkit.records.fields import shown

FORMATS = ("xywh", "xyxy")
OWN_FIELDS = ("bbox", "box", "segmentation")  # that tell a box from other records
LARGEST = 1e150  # pixels, of all sides together; areas of such sides are finite

Four = tuple[float, float, float, float]
Name = int | str


class Mask(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The pixels of an object, as run lengths or as polygons; run lengths where both are empty.

    size: (height, width) of the image; counts: COCO's compressed string; polygons: JSON, a list of
    [x, y, x, y, …], which only a metric of masks turns into run lengths (`masks.run_lengths`).
    """

    size: tuple[int, int]
    counts: str = ""
    polygons: str = ""


class Box(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A detection or an object. box: x, y, width, height in pixels.

    score: of a detection; crowd, area: of a reference (area None: of the mask, or width x height).
    """

    box: Four
    label: str
    score: float | None = None
    crowd: bool = False
    area: float | None = None
    mask: Mask | None = None


_NOTHING = msgspec.Raw()
_EMPTY = (b"", b"null", b"[]")


class BoxRecord(msgspec.Struct, gc=False):
    """A box as files write it, by all the names that its parts go by."""

    bbox: Four | None = None
    score: float | None = None
    category_id: Name | None = None
    image_id: Name | None = None
    id: Name | None = None
    area: float | None = None
    iscrowd: bool | int | None = None
    segmentation: msgspec.Raw = _NOTHING
    box: Four | None = None
    confidence: float | None = None
    label: Name | None = None
    category: Name | None = None
    class_: Name | None = msgspec.field(name="class", default=None)
    crowd: bool | int | None = None
    difficult: bool | int | None = None
    ignore: Any = None
    mask: msgspec.Raw = _NOTHING
    system: str | None = None


_FOUR = "four numbers, [x, y, width, height]"
_LABEL = "a text or a whole number"
_NUMBER = "a number"
_WANTED = {
    **dict.fromkeys(("bbox", "box"), _FOUR),
    **dict.fromkeys(("label", "category", "category_id", "class"), _LABEL),
    **dict.fromkeys(("score", "confidence", "area"), _NUMBER),
    **dict.fromkeys(("iscrowd", "crowd", "difficult"), "0 or 1"),
    **dict.fromkeys(("image_id", "id"), "a text or a whole number"),
    "system": "a name",
}
_RAW = ("segmentation", "mask")


def is_boxes(value: Any) -> bool:
    """Whether a prediction is one image's boxes: a list of them, or arrays of their parts."""
    if isinstance(value, Mapping):
        parts = (value[name] for name in ("boxes", "masks") if name in value)
        return any(not isinstance(one, int | float) for one in parts)
    if not isinstance(value, list | tuple):
        return False
    if not value:
        return True
    first = value[0]
    return isinstance(first, Box) or (isinstance(first, Mapping) and is_box(first))


def is_box(record: Mapping[str, Any]) -> bool:
    """Whether a record, of values or of JSON, is one box; `mask` may be the name of a file."""
    found = record.get("mask")
    text = bytes(found).lstrip()[:1] in (b"[", b"{") if isinstance(found, msgspec.Raw) else False
    mask = text or isinstance(found, list | dict) or hasattr(found, "ndim")
    return mask or any(name in record for name in OWN_FIELDS)


def record(value: Any) -> BoxRecord:
    """From plain Python values; DataError without a place where a part is of another type."""
    if not isinstance(value, Mapping):
        raise DataError(
            f'a box must be an object such as {{"bbox": [x, y, w, h]}}, not {shown(value)}'
        )
    plain = {**value}
    for name in _RAW:
        if name in plain:
            plain[name] = msgspec.Raw(msgspec.json.encode(plain[name]))
    try:
        return msgspec.convert(plain, BoxRecord)
    except msgspec.ValidationError as error:
        for part, wanted in _WANTED.items():
            if re.search(rf"`\$\.{part}\b", str(error)):
                message = f'"{part}" must be {wanted}, not {shown(plain[part])}'
                raise DataError(message) from None
        raise DataError(f"not a box: {error}") from None


def only(*given: tuple[str, Any]) -> Any:
    """The one value that is given under several names, or None; DataError where two are."""
    found = [(name, value) for name, value in given if value is not None]
    if len(found) > 1:
        raise DataError(f'both "{found[0][0]}" and "{found[1][0]}" are given; keep one')
    return found[0][1] if found else None


def four(one: BoxRecord) -> Four | None:
    return one.bbox if one.box is None else only(("bbox", one.bbox), ("box", one.box))


def name(one: BoxRecord) -> Name | None:
    """The label, as it stands in the file."""
    found: Name | None = only(
        ("category_id", one.category_id),
        ("label", one.label),
        ("category", one.category),
        ("class", one.class_),
    )
    return found


def score(one: BoxRecord) -> float | None:
    if one.confidence is None:
        return one.score
    found: float = only(("score", one.score), ("confidence", one.confidence))
    return found


def crowd(one: BoxRecord) -> bool:
    """VOC calls it difficult; where both names are given, crowd decides."""
    found = (
        one.iscrowd if one.crowd is None else only(("iscrowd", one.iscrowd), ("crowd", one.crowd))
    )
    found = one.difficult if found is None else found
    if found not in (None, 0, 1):
        raise DataError(f"crowd must be 0 or 1, not {shown(found)}")
    return bool(found)


def passed_over(one: BoxRecord) -> bool:
    """Whether an object that is no crowd is marked `ignore`, or `difficult` against `iscrowd`."""
    return bool(one.ignore or one.difficult) and not crowd(one)


def segmentation(one: BoxRecord) -> bytes:
    """JSON; empty where there is none."""
    if one.segmentation is _NOTHING and one.mask is _NOTHING:
        return b""
    given = {"segmentation": bytes(one.segmentation), "mask": bytes(one.mask)}
    found = only(*((name, text) for name, text in given.items() if text not in _EMPTY))
    return found or b""


def upright(corners: Four) -> Four:
    """x, y, width, height of a box given by its corners."""
    left, top, right, bottom = corners
    return left, top, right - left, bottom - top


def refuse_shape(box: Four, form: str) -> None:
    """DataError for a box that is not finite, or whose width, height or area cannot be."""
    if not all(map(math.isfinite, box)):
        raise DataError(f"the coordinates must be finite numbers, not {shown(list(box))}")
    if box[2] < 0 or box[3] < 0:
        side = "width" if box[2] < 0 else "height"
        hint = (
            "; the boxes are read as xyxy, two corners"
            if form == "xyxy"
            else "; the boxes are read as xywh"
        )
        raise DataError(f"the {side} is negative ({min(box[2:]):g}){hint}")
    if sum(map(abs, box)) > LARGEST:
        raise DataError(f"no image is so large: {shown(list(box))}")


def finite(value: float, role: str) -> float:
    if not math.isfinite(value):
        raise DataError(f"the {role} must be a finite number, not {shown(value)}")
    return value
