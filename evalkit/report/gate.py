"""Verdicts of a gate as a table for the terminal; hostile text stays text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from evalkit.errors import plain

Row = Mapping[str, Any]
STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}


def verdict_table(document: Mapping[str, Any]) -> Group:
    """A row per rule, system and slice; below, why each verdict; last, the gate's own."""
    rows: Sequence[Row] = document["rules"]
    title = f"{document['set']} against {document['baseline'] or 'fixed limits'}"
    table = Table(title=Text(plain(title)), title_justify="left", title_style="bold", box=None)
    columns = list(_columns(rows))
    for name, numeric, _ in columns:
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row, cells in zip(rows, zip(*(one for _, _, one in columns), strict=True), strict=True):
        styled = [Text(plain(cell)) for cell in cells]
        styled[-1].stylize(STYLES[row["verdict"]])
        table.add_row(*styled)
    return Group(table, *(Text(line) for line in _reasons(rows)), _last(document))


def _columns(rows: Sequence[Row]) -> Iterator[tuple[str, bool, list[str]]]:
    """(heading, whether numbers, cells); a column that says nothing is left out."""
    yield "rule", False, [row["name"] for row in rows]
    if len({row["system"] for row in rows}) > 1:
        yield "system", False, [row["system"] for row in rows]
    if any(row["slice"] for row in rows):
        yield "slice", False, [_slice(row) for row in rows]
    yield "n", True, [f"{row['n']:,}" for row in rows]
    yield "value", True, [_number(row["value"]) for row in rows]
    if any(row["difference"] is not None for row in rows):
        yield "difference", True, [_signed(row["difference"]) for row in rows]
    yield "bounds", True, [_bounds(row) for row in rows]
    yield "wanted", True, [_wanted(row) for row in rows]
    yield "verdict", False, [row["verdict"] for row in rows]


def _slice(row: Row) -> str:
    part = row["slice"]
    return "" if part is None else f"{part['field']}={part['value']}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4g}" if value else "0"


def _bounds(row: Row) -> str:
    found = row["interval"]
    form = _number if row["difference"] is None else _signed
    return "" if found is None else f"[{form(found['low'])}, {form(found['high'])}]"


def _wanted(row: Row) -> str:
    if row["kind"] == "exact":
        return f"± {row['threshold']:.4g}"
    better = row["higher_is_better"]
    if row["difference"] is not None:
        return f"{'>' if better else '<'} {row['threshold']:+.4g}"
    return f"{'≥' if row['kind'] == 'at_least' else '≤'} {row['threshold']:.4g}"


def _reasons(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row["verdict"] != "pass":
            where = " ".join(filter(None, (row["system"], _slice(row))))
            yield plain(f"{row['name']} ({where}): {row['reason']}")


def _last(document: Mapping[str, Any]) -> Text:
    verdict = document["verdict"]
    return Text(f"gate: {verdict}", style=STYLES[verdict])
