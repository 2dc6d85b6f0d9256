"""COCO's instances: images, annotations with boxes and masks, categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from evalkit.errors import DataError
from evalkit.records import raw
from evalkit.records.box_reader import SHOWN, BoxReader, Categories
from evalkit.records.boxes import Box
from evalkit.records.fields import PREDICTION_FILE, FieldNames, shown, text_id
from evalkit.records.image_files import ImageFile, box_records, place_of
from evalkit.records.joining import Line, Records
from evalkit.records.masks import image_size


def read_instances(document: raw.Fields, file: ImageFile, reader: BoxReader) -> Records:
    """Every image is a record, also one without annotations.

    reader: takes the categories, and the sizes of the images.
    """
    for name in ("images", "annotations"):
        if name not in document:
            raise DataError(f'no "{name}" in this COCO file', file.source.name)
    reader.form = "xywh"  # whatever other files hold
    reader.categories = _categories(document, file.source.name)
    images = _images(document, replace(file, form="images"))
    for id, line in images.lines.items():
        if size := image_size(line.rest):
            reader.sizes[id] = size
    objects = _objects(document, replace(file, form="annotations"), reader, images)
    for id, line in images.lines.items():
        images.lines[id] = line._replace(references=(tuple(objects[id]),))
    return images


def _categories(document: raw.Fields, source: str) -> Categories | None:
    """Labels are the names; a name that several categories have becomes `name#id`."""
    names: dict[str, str] = {}
    for i, text in enumerate(raw.elements(document.get("categories", []), source)):
        where = f"{source}: categories[{i}]"
        one = raw.value(text, where)
        if not isinstance(one, dict) or "id" not in one:
            raise DataError(f"a category must have an id, and best a name: {shown(one)}", where)
        id = text_id(one["id"], where)
        if id in names:
            raise DataError(f"two categories have the id {id}; ids must be unique", where)
        names[id] = str(one.get("name") or id)
    counts = Counter(names.values())
    labels = {id: f"{name}#{id}" if counts[name] > 1 else name for id, name in names.items()}
    return Categories(source, labels) if labels else None


def _images(document: raw.Fields, file: ImageFile) -> Records:
    images = file.records()
    aliases = {"id": ("id",), "cluster": PREDICTION_FILE["cluster"]}
    names = FieldNames(aliases, file.chosen)
    for number, text in enumerate(raw.elements(document["images"], file.source.name), start=1):
        where = file.place(number)
        record = raw.value(text, where)
        if not isinstance(record, dict):
            raise DataError(f"an image must be a JSON object, not {shown(record)}", where)
        id = names.require(record, "id", where)
        cluster = names.cluster(record, where) if file.clusters else None
        images.add(id, Line(number, None, None, cluster, names.rest(record)))
    file.seen |= names.seen
    return images


def _objects(
    document: raw.Fields, file: ImageFile, reader: BoxReader, images: Records
) -> Mapping[str, list[Box]]:
    objects: dict[str, list[Box]] = {id: [] for id in images.lines}
    numbers: dict[Any, int] = {}
    strangers: list[tuple[str, str]] = []
    texts = enumerate(raw.elements(document["annotations"], file.source.name), start=1)
    for chunk, each in box_records(texts, replace(file, chosen={})):
        ids = []
        for (number, _), one in zip(chunk, each, strict=True):
            if one.image_id is None:
                raise DataError('no "image_id" in this annotation', file.place(number))
            if one.id is not None and numbers.setdefault(one.id, number) != number:
                raise DataError(
                    f"annotation id {one.id} already appeared at {file.place(numbers[one.id])}; "
                    "ids must be unique",
                    file.place(number),
                )
            ids.append(str(one.image_id))
            if ids[-1] not in objects:
                strangers.append((ids[-1], file.place(number)))
        numbered = [number for number, _ in chunk]
        own = reader.read(each, ids, partial(place_of, file, numbered))
        for id, box in zip(ids, own, strict=True):
            objects.setdefault(id, []).append(box)
    if strangers:
        listed = dict.fromkeys(id for id, _ in strangers)
        more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        raise DataError(
            f'annotations of images that are not among "images": '
            f"{', '.join(islice(listed, SHOWN))}{more}",
            strangers[0][1],
        )
    reader.refuse_unknown()
    return objects
