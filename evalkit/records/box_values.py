"""Boxes as Python values: arrays of numpy or torch, dicts, or `Box`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.errors import DataError, UsageError, did_you_mean
from evalkit.records import boxes
from evalkit.records.box_reader import BoxReader
from evalkit.records.boxes import FORMATS, Box, BoxRecord
from evalkit.records.fields import shown

_DETECTIONS = {"labels": "label", "scores": "score"}  # array -> part of a box
_OBJECTS = {"labels": "label", "crowd": "crowd", "iscrowd": "iscrowd", "area": "area"}


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
    return isinstance(value, list | tuple) or (isinstance(value, Mapping) and "boxes" in value)


def _image(value: Any, where: str, form: str | None, *, scored: bool) -> tuple[Box, ...]:
    if isinstance(value, Mapping):
        records = _arrays(value, where, _DETECTIONS if scored else _OBJECTS)
        return _read(records, where, form, scored=scored)
    if not isinstance(value, list | tuple):
        message = 'the boxes of an image are wanted, {"boxes": …, "labels": …'
        more = ', "scores": …}' if scored else "}"
        raise DataError(f"{message}{more}, not {shown(value)}", where)
    if all(isinstance(one, Box) for one in value):
        return _checked(value, where, scored=scored)
    records = []
    for i, one in enumerate(value):
        try:
            records.append(boxes.record(one))
        except DataError as error:
            raise DataError(error.message, f"{where}[{i}]") from None
    return _read(records, where, form, scored=scored)


def _arrays(value: Mapping[str, Any], where: str, parts: Mapping[str, str]) -> list[BoxRecord]:
    known = ("boxes", *parts)
    if unknown := next((name for name in value if name not in known), None):
        hint = did_you_mean(str(unknown), known)
        raise DataError(f'no part of boxes is called "{unknown}"{hint}', where)
    for name in known[: 2 + ("scores" in parts)]:
        if name not in value:
            raise DataError(f'no "{name}" here', where)
    columns = {name: _listed(value[name], f"{where}[{name!r}]") for name in value}
    sides = columns.pop("boxes")
    for name, column in columns.items():
        if len(column) != len(sides):
            raise DataError(f"{len(sides):,} boxes, but {len(column):,} {name}", where)
    records = []
    for i, box in enumerate(sides):
        own = {parts[name]: column[i] for name, column in columns.items()}
        try:
            records.append(boxes.record({"bbox": box, **own}))
        except DataError as error:
            raise DataError(error.message.replace("bbox", "boxes"), f"{where}, box {i}") from None
    return records


def _listed(column: Any, where: str) -> list[Any]:
    """Of a list, an array of numpy, or a tensor of torch, on whatever device."""
    if hasattr(column, "tolist"):
        column = column.tolist()
    if not isinstance(column, list | tuple):
        raise DataError(f"an array is wanted, not {shown(column)}", where)
    return list(column)


def _read(
    records: Sequence[BoxRecord], where: str, form: str | None, *, scored: bool
) -> tuple[Box, ...]:
    if not records:
        return ()
    if form is None:
        raise UsageError(
            'box_format is missing: box_format="xywh" for x, y, width, height, '
            'box_format="xyxy" for two corners'
        )
    if form not in FORMATS:
        raise UsageError(f'no box format is called "{form}"{did_you_mean(form, FORMATS)}')
    reader = BoxReader(scored=scored, form=form)
    return tuple(reader.read(records, [where] * len(records), lambda i: f"{where}, box {i}"))


def _checked(values: Sequence[Box], where: str, *, scored: bool) -> tuple[Box, ...]:
    for i, one in enumerate(values):
        try:
            boxes.refuse_shape(one.box, "xywh")
            if scored and one.score is None:
                raise DataError("a detection without a score")
            boxes.finite(one.score or 0.0, "score")
        except DataError as error:
            raise DataError(error.message, f"{where}, box {i}") from None
    return tuple(values)
