"""Files of boxes in JSON: one record per image, or one record per box, of one or many systems."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any

import msgspec

from evalkit.errors import DataError, UsageError
from evalkit.records import boxes, raw
from evalkit.records.box_reader import CHUNK, BoxReader
from evalkit.records.boxes import Box, BoxRecord
from evalkit.records.fields import ABSENT, FieldNames, shown, text_id
from evalkit.records.formats import format_of, place
from evalkit.records.joining import Line, Records
from evalkit.records.kinds import Aliases
from evalkit.records.masks import image_size
from evalkit.records.parquet import read_parquet
from evalkit.records.source import Source

Numbered = Iterator[tuple[int, Any]]  # (number from 1, a JSON text or a plain value)

_CHOSEN = {"id": "image_id", "system": "system", "prediction": "bbox"}  # of one box
_BOX = msgspec.json.Decoder(BoxRecord)
_BOXES = msgspec.json.Decoder(list[BoxRecord])


@dataclass
class ImageFile:
    """A file and how it is to be read.

    chosen: `--field`; seen: takes the names of the fields that there are.
    """

    source: Source
    form: str
    chosen: Mapping[str, str]
    clusters: bool
    seen: set[str] = field(default_factory=set)

    def place(self, number: int) -> str:
        return place(self.source, self.form, number)

    def records(self) -> Records:
        return Records(self.source, self.form)


def opened(
    source: Source, chosen: str | None, named: Collection[str]
) -> tuple[str, raw.Fields | None, Numbered]:
    """(format, a whole COCO file or None, the records). named: the fields that are needed."""
    form = format_of(source, chosen)
    if form == "json":
        return form, *raw.read_json(source)
    if form == "jsonl":
        return form, None, raw.read_json_lines(source)
    if form == "parquet":
        rows = read_parquet(source, {*named, *BoxRecord.__struct_encode_fields__})
        return form, None, ((number, json.dumps(row)) for number, row in rows)
    raise UsageError(
        f"{source}: boxes are read from JSON and Parquet; name the file .json, .jsonl or .parquet"
    )


def read_images(
    records: Numbered,
    file: ImageFile,
    aliases: Aliases,
    detections: BoxReader | None,
    objects: BoxReader | None,
) -> dict[str | None, Records]:
    """By the `system` field, in order of first appearance; None where there is no such field.

    detections, objects: None where the file has no predictions, or no references that count.
    """
    first = next(records, None)
    if first is None:
        return {None: file.records()}
    records = chain([first], records)
    if is_box(raw.fields(first[1], file.place(first[0]))):
        if detections is None:
            assert objects is not None
            return _by_box(records, file, objects)
        return _by_box(records, file, detections)
    return _by_image(records, file, aliases, detections, objects)


def is_box(record: Mapping[str, Any]) -> bool:
    """Whether a record is one box and not an image."""
    return boxes.is_box(record)


def _by_box(records: Numbered, file: ImageFile, reader: BoxReader) -> dict[str | None, Records]:
    found: dict[str | None, dict[str, list[Box]]] = {}
    numbers: dict[tuple[str | None, str], int] = {}
    ids: dict[Any, str] = {}
    for chunk, each in box_records(records, file):
        names = []
        for one, (number, _) in zip(each, chunk, strict=True):
            id = one.id if one.image_id is None else one.image_id
            if id not in ids:
                ids[id] = _text_id(id, file.place(number))
            names.append(ids[id])
        own = reader.read(each, names, partial(place_of, file, [number for number, _ in chunk]))
        for one, name, box, (number, _) in zip(each, names, own, chunk, strict=True):
            by_image = found.setdefault(one.system, {})
            if name in by_image:
                by_image[name].append(box)
            else:
                by_image[name] = [box]
                numbers[one.system, name] = number
        if None in found and len(found) > 1:
            message = "some records name their system and some do not"
            raise DataError(message, file.place(chunk[0][0]))
    systems = {}
    for system, by_image in found.items():
        systems[system] = file.records()
        for name, several in by_image.items():
            prediction = tuple(several) if reader.scored else None
            references = None if reader.scored else (tuple(several),)
            line = Line(numbers[system, name], prediction, references, None, {})
            systems[system].lines[name] = line
    return systems


def box_records(
    records: Numbered, file: ImageFile
) -> Iterator[tuple[list[tuple[int, Any]], list[BoxRecord]]]:
    """Some at a time, with what they were read from."""
    while chunk := list(islice(records, CHUNK)):
        yield chunk, _decoded(chunk, file)


def _decoded(chunk: Sequence[tuple[int, Any]], file: ImageFile) -> list[BoxRecord]:
    """One by one and slowly where a name is chosen, or something is wrong and a message due."""
    if not file.chosen.keys() & _CHOSEN.keys():
        try:
            return [_BOX.decode(text) for _, text in chunk]
        except (*raw.UNREADABLE, TypeError):
            pass
    return [_box(text, file.place(number), file) for number, text in chunk]


def _box(text: Any, where: str, file: ImageFile) -> BoxRecord:
    value = raw.value(text, where)
    if isinstance(value, dict):
        file.seen.update(value)
        for canonical, name in _CHOSEN.items():
            chosen = file.chosen.get(canonical)
            if chosen in value:
                value = {**value, name: value[chosen]}
    try:
        return boxes.record(value)
    except DataError as error:
        raise DataError(error.message, where) from None


def place_of(file: ImageFile, numbers: Sequence[int], i: int) -> str:
    return file.place(numbers[i])


def _text_id(id: Any, where: str) -> str:
    if id is None:
        raise DataError('no "image_id" here; name the field with --field id=FIELD', where)
    return text_id(id, where)


def _by_image(
    records: Numbered,
    file: ImageFile,
    aliases: Aliases,
    detections: BoxReader | None,
    objects: BoxReader | None,
) -> dict[str | None, Records]:
    systems: dict[str | None, Records] = {}
    names = FieldNames(aliases, file.chosen)
    heavy = {*aliases["references"], *aliases.get("prediction", ()), *file.chosen.values()}
    for number, text in records:
        where = file.place(number)
        record = {
            name: one if name in heavy else raw.value(one, where)
            for name, one in raw.fields(text, where).items()
        }
        if "image_id" in record and "id" not in file.chosen:
            record.pop("id", None)
        system = _system(names, record, where) if "system" in aliases else None
        own = systems.setdefault(system, file.records())
        if len(systems) > 1 and None in systems:
            raise DataError("some records name their system and some do not", where)
        given = _plain(names.get(record, "id", where), where)
        id = str(len(own.lines) + 1) if given is ABSENT else text_id(given, where)
        rest = {name: _plain(one, where) for name, one in names.rest(record).items()}
        prediction = references = None
        for reader in (detections, objects):
            if reader is not None and (size := image_size(rest)):
                reader.sizes.setdefault(id, size)
        if detections is not None:
            written = names.require(record, "prediction", where)
            prediction = _read(detections, _list(written, where), id, where)
        if objects is not None:
            get = names.require if detections is None else names.get
            written = get(record, "references", where)
            if written is not ABSENT:
                references = tuple(
                    _read(objects, several, id, where) for several in _annotators(written, where)
                )
        cluster = names.cluster(record, where) if file.clusters else None
        own.add(given, Line(number, prediction, references, cluster, rest))
    file.seen |= names.seen
    return systems


def _system(names: FieldNames, record: Mapping[str, Any], where: str) -> str | None:
    found = _plain(names.get(record, "system", where), where)
    if found is ABSENT:
        return None
    if not isinstance(found, str) or not found:
        raise DataError(f"the system must be a name, not {shown(found)}", where)
    return found


def _plain(found: Any, where: str) -> Any:
    """Decoded once: a text that looks like JSON stays one."""
    return raw.value(found, where) if isinstance(found, msgspec.Raw) else found


def _read(reader: BoxReader, records: Sequence[BoxRecord], id: str, where: str) -> tuple[Box, ...]:
    return tuple(reader.read(records, [id] * len(records), lambda i: f"{where}: boxes[{i}]"))


def _list(text: Any, where: str) -> list[BoxRecord]:
    if isinstance(text, msgspec.Raw):
        try:
            return _BOXES.decode(text)
        except raw.UNREADABLE:
            pass
    found = raw.value(text, where)
    if not isinstance(found, list):
        raise DataError(f"a list of boxes is wanted, not {shown(found)}", where)
    return [_in_list(one, f"{where}: boxes[{i}]") for i, one in enumerate(found)]


def _in_list(value: Any, where: str) -> BoxRecord:
    try:
        return boxes.record(value)
    except DataError as error:
        raise DataError(error.message, where) from None


def _annotators(text: Any, where: str) -> list[list[BoxRecord]]:
    """A list of boxes is of one annotator; a list of such lists of several."""
    if isinstance(text, msgspec.Raw) and not bytes(text).lstrip()[1:].lstrip().startswith(b"["):
        return [_list(text, where)]
    found = raw.value(text, where)
    if isinstance(found, list) and found and all(isinstance(one, list) for one in found):
        return [_list(one, f"{where}: annotators[{i}]") for i, one in enumerate(found)]
    return [_list(found, where)]
