"""Records as CSV (RFC 4180) that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.errors import plain

FORMULA = tuple("=+-@＝＋－＠")


def cell(value: Any) -> Any:
    """Numbers in full; a text that a spreadsheet would run gets an apostrophe before it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def written(rows: Sequence[Mapping[str, Any]]) -> str:
    """The keys of the first row are the header."""
    stream = io.StringIO()
    if rows:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([cell(key) for key in rows[0]])
        writer.writerows([cell(value) for value in row.values()] for row in rows)
    return stream.getvalue()
