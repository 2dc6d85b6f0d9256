"""Boxes as Python values: arrays of numpy or torch, dicts, or `Box`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evalkit.errors import DataError, UsageError, did_you_mean
from evalkit.records import boxes, masks
from evalkit.records.box_reader import BoxReader
from evalkit.records.boxes import FORMATS, Box, BoxRecord, Mask
from evalkit.records.fields import shown
from evalkit.records.masks import Size

_CROWDS = ("crowd", "iscrowd", "difficult")
_DETECTIONS = {"labels": "label", "scores": "score", "masks": "segmentation"}  # array -> part
_OBJECTS = {
    "labels": "label",
    **{name: name for name in _CROWDS},
    "area": "area",
    "masks": "segmentation",
}
_SIZE = ("size", "width", "height")  # of the image

Sized = tuple[Mapping[str, Any], Size | None]  # a box, and the size of its image


def prediction(value: Any, where: str, form: str | None = None) -> tuple[Box, ...]:
    """The detections of one image; form: xywh or xyxy, needed for all but `Box`."""
    return _image(value, where, form, scored=True)


def references(value: Any, where: str, form: str | None = None) -> tuple[tuple[Box, ...], ...]:
    """The objects of one image; a list of such values where there are several annotators."""
    if isinstance(value, list | tuple) and value and _is_image(value[0]):
        several = enumerate(value)
        return tuple(_image(own, f"{where}[{i}]", form, scored=False) for i, own in several)
    return (_image(value, where, form, scored=False),)


def _is_image(value: Any) -> bool:
    arrays = isinstance(value, Mapping) and ("boxes" in value or "masks" in value)
    return arrays or isinstance(value, list | tuple)


def _image(value: Any, where: str, form: str | None, *, scored: bool) -> tuple[Box, ...]:
    if isinstance(value, Mapping):
        several = _arrays(value, where, _DETECTIONS if scored else _OBJECTS)
        try:
            return _read(several, where, f"{where}, box {{}}", form, scored=scored)
        except DataError as error:
            raise DataError(error.message.replace('"bbox"', '"boxes"'), error.where) from None
    if not isinstance(value, list | tuple):
        message = 'the boxes of an image are wanted, {"boxes": …, "labels": …'
        more = ', "scores": …}' if scored else "}"
        raise DataError(f"{message}{more}, not {shown(value)}", where)
    if value and all(isinstance(one, Box) for one in value):
        several = [_parts(one, f"{where}, box {i}") for i, one in enumerate(value)]
        return _read(several, where, f"{where}, box {{}}", "xywh", scored=scored)
    places = [f"{where}[{i}]" for i in range(len(value))]
    several = [
        (one, _size(one, place) if isinstance(one, Mapping) else None)
        for one, place in zip(value, places, strict=True)
    ]
    return _read(several, where, f"{where}[{{}}]", form, scored=scored)


def _arrays(value: Mapping[str, Any], where: str, parts: Mapping[str, str]) -> list[Sized]:
    known = ("boxes", *parts, *_SIZE)
    if unknown := next((name for name in value if name not in known), None):
        hint = did_you_mean(str(unknown), known)
        raise DataError(f'no part of boxes is called "{unknown}"{hint}', where)
    boxed = () if "masks" in value else ("boxes",)
    needed = (*boxed, "labels", *(name for name in ("scores",) if name in parts))
    if missing := next((name for name in needed if name not in value), None):
        raise DataError(f'no "{missing}" here', where)
    if len(given := [name for name in _CROWDS if name in value]) > 1:
        raise DataError(f'both "{given[0]}" and "{given[1]}" are given; keep one', where)
    columns = {
        "bbox" if name == "boxes" else parts[name]: _listed(name, value[name], where)
        for name in ("boxes", *parts)
        if name in value
    }
    count = len(next(iter(columns.values())))
    for name, column in columns.items():
        if len(column) != count:
            first = "boxes" if "bbox" in columns else "labels"
            own = next((array for array, part in parts.items() if part == name), name)
            raise DataError(f"{count:,} {first}, but {len(column):,} {own}", where)
    size = _size(value, where)
    return [({name: own[i] for name, own in columns.items()}, size) for i in range(count)]


def _listed(name: str, column: Any, where: str) -> list[Any]:
    """Of a list, an array of numpy, or a tensor of torch, on whatever device."""
    pixels = name == "masks" and hasattr(column, "ndim")
    if pixels and column.ndim != 3:
        shape = " x ".join(map(str, column.shape))
        raise DataError(f"masks are wanted as [boxes, height, width], not as {shape}", where)
    if hasattr(column, "tolist") and not pixels:
        column = column.tolist()
    if not pixels and not isinstance(column, list | tuple):
        raise DataError(f"an array is wanted, not {shown(column)}", f"{where}[{name!r}]")
    return list(column)


def _parts(one: Box, where: str) -> Sized:
    """Of a box that someone made, and that nobody has checked."""
    if not isinstance(one.label, str):
        raise DataError(f"the label of a Box must be a text, not {shown(one.label)}", where)
    found = {"bbox": one.box, "label": one.label, "score": one.score, "crowd": one.crowd}
    found["area"] = one.area
    if one.mask is None:
        return found, None
    if not isinstance(one.mask, Mask):
        raise DataError(f"the mask of a Box must be a Mask, not {shown(one.mask)}", where)
    size = _size({"size": one.mask.size}, where)
    code: Any = {"size": size, "counts": one.mask.counts}
    return {**found, "segmentation": _json(one.mask.polygons) or code}, size


def _json(polygons: str) -> msgspec.Raw | None:
    return msgspec.Raw(polygons.encode()) if polygons else None


def _size(image: Mapping[str, Any], where: str) -> Size | None:
    """From `size`, (height, width), or from `width` and `height`."""
    found = _plain(image.get("size", (image.get("height"), image.get("width"))))
    if found == [None, None]:
        return None
    whole = isinstance(found, list) and all(isinstance(one, int) and one > 0 for one in found)
    if not whole or len(found) != 2:
        message = 'the size of an image is wanted as "size": (height, width), or "width", "height"'
        raise DataError(f"{message}, not {shown(found)}", where)
    return found[0], found[1]


def _plain(value: Any) -> Any:
    """Without numpy, torch and the bytes that pycocotools writes run lengths in."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        texts = {name: one.decode() for name, one in value.items() if isinstance(one, bytes)}
        return {name: texts.get(name) or _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _record(one: Any, form: str) -> BoxRecord:
    if not isinstance(one, Mapping):
        return boxes.record(one)
    pixels = {name for name in ("segmentation", "mask") if hasattr(one.get(name), "ndim")}
    parts = {
        name: masks.of_pixels(part) if name in pixels else _plain(part)
        for name, part in one.items()
    }
    try:
        return boxes.record(parts)
    except DataError as error:
        corners = "[left, top, right, bottom]" if form == "xyxy" else "[x, y, width, height]"
        raise DataError(error.message.replace("[x, y, width, height]", corners)) from None


def _read(
    several: Sequence[Sized], where: str, place: str, form: str | None, *, scored: bool
) -> tuple[Box, ...]:
    """place: of box {}."""
    if not several:
        return ()
    if form is None:
        raise UsageError(
            'box_format is missing: box_format="xywh" for x, y, width, height, '
            'box_format="xyxy" for two corners'
        )
    if form not in FORMATS:
        raise UsageError(f'no box format is called "{form}"{did_you_mean(form, FORMATS)}')
    reader = BoxReader(scored=scored, form=form)
    records = []
    for i, (one, size) in enumerate(several):
        try:
            records.append(_record(one, form))
        except DataError as error:
            raise DataError(error.message, place.format(i)) from None
        if size is not None:
            reader.sizes[str(i)] = size
    images = [str(i) for i in range(len(records))]
    found = tuple(reader.read(records, images, place.format))
    if reader.without_size:
        raise DataError(
            'polygons want the size of their image: give "size": (height, width), or "width" '
            'and "height", beside them',
            where,
        )
    return found
