"""A stored value as text: how many digits, its interval, its heading with its direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]
SMALL, LARGE = 4, 2  # digits


def digits(record: Record) -> int:
    """4 on scales up to 10, else 2; of an open scale, 4 up to a value of 2."""
    high, value = record["scale"][1], record.get("value")
    small = abs(value or 0) <= 2 if high is None else high <= 10
    return SMALL if small else LARGE


def shown(record: Record | None) -> str:
    """`25.54 [23.19, 28.04]`; the status where there is no value."""
    if record is None:
        return ""
    if record["value"] is None:
        return str(record["status"])
    places, bounds = digits(record), record["interval"]
    value = f"{record['value']:.{places}f}"
    if bounds is not None:
        return f"{value} [{bounds['low']:.{places}f}, {bounds['high']:.{places}f}]"
    asked = record.get("interval_reason") != "not asked for"
    return f"{value} [no interval]" if asked else value


def named(record: Record) -> str:
    """`rouge rougeL`; the label alone where the output is called like the metric."""
    own = record["output"] == record["metric"]
    return str(record["label"]) if own else f"{record['label']} {record['output']}"


def heading(record: Record) -> str:
    return f"{named(record)} {'↑' if record['higher_is_better'] else '↓'}"
