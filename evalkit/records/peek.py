"""The first record of a file that can be read twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalkit.errors import EvalkitError
from evalkit.records.formats import format_of
from evalkit.records.kinds import kind_of
from evalkit.records.lines import open_bytes

_PEEK = 2**16  # bytes; more only where the first record is longer


def holds_boxes(source: str, chosen: str | None, references: Sequence[str]) -> bool:
    """Told by the first record; where there is none, by the references.

    False for what cannot be read twice, or not at all: whoever reads it says what is wrong.
    """
    record = _first_record(source, chosen)
    if record == {} and references:
        record = _first_record(references[0], None)
        if record and isinstance(annotations := record.get("annotations"), list):
            record = annotations[0] if annotations and isinstance(annotations[0], dict) else None
    return bool(record) and kind_of(record or {}).name == "boxes"


def _first_record(source: str, chosen: str | None) -> dict[str, Any] | None:
    """Empty for an empty array."""
    if "://" not in source and not Path(source).is_file():
        return None
    try:
        if format_of(source, chosen) not in ("json", "jsonl"):
            return None
        with open_bytes(source) as stream:
            text = stream.read(_PEEK)
            found = _parsed(text)
            return _parsed(text + stream.read()) if found is None else found
    except (EvalkitError, OSError, EOFError, RecursionError):
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
