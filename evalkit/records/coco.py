"""COCO's JSON files as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.errors import DataError
from evalkit.records.fields import shown, text_id


def is_annotations(document: Mapping[str, Any]) -> bool:
    """Whether an object is a whole COCO file and not one record."""
    return isinstance(document.get("annotations"), list)


def captions(document: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    """One record per image that has captions: image_id, references, in order of appearance."""
    if not is_annotations(document):
        raise DataError(
            "one JSON object, but an array of records or COCO annotations are wanted; "
            "JSON lines are named .jsonl",
            source,
        )
    by_image: dict[str, list[Any]] = {}
    for number, annotation in enumerate(document["annotations"]):
        where = f"{source}: annotations[{number}]"
        if not isinstance(annotation, dict):
            raise DataError(f"must be a JSON object, not {shown(annotation)}", where)
        for name in ("image_id", "caption"):
            if name not in annotation:
                raise DataError(f'no "{name}" in this annotation', where)
        by_image.setdefault(text_id(annotation["image_id"], where), []).append(
            annotation["caption"]
        )
    return [{"image_id": id, "references": texts} for id, texts in by_image.items()]
