"""The first record of a source, which is read on from its beginning afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from evalkit.errors import EvalkitError, ServiceError
from evalkit.records.formats import format_of
from evalkit.records.kinds import kind_of
from evalkit.records.parquet import read_parquet
from evalkit.records.source import Source


def holds_boxes(source: Source, chosen: str | None, references: Sequence[Source]) -> bool:
    """Told by the first record; where there is none, by the references.

    False for what cannot be read: whoever reads it says what is wrong. ServiceError.
    """
    record = _first_record(source, chosen)
    if record == {} and references:
        record = _first_record(references[0], None)
        if record and isinstance(annotations := record.get("annotations"), list):
            record = annotations[0] if annotations and isinstance(annotations[0], dict) else None
    return bool(record) and kind_of(record or {}).name == "boxes"


def _first_record(source: Source, chosen: str | None) -> dict[str, Any] | None:
    """Empty for an empty array."""
    try:
        form = format_of(source, chosen)
        if form == "parquet":
            return next((row for _, row in read_parquet(source)), None)
        if form not in ("json", "jsonl"):
            return None
        found = _parsed(source.peek())
        return _parsed(source.peek(-1)) if found is None else found
    except ServiceError:
        raise
    except (EvalkitError, RecursionError):
        return None


def _parsed(content: bytes) -> dict[str, Any] | None:
    text = content.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n").removeprefix("[").lstrip()
    if text.startswith("]"):
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
