"""Verdicts of a gate as a table for the terminal; hostile text stays text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from evalkit.errors import plain
from evalkit.report import gate_words as words
from evalkit.report.gate_words import Rule
from evalkit.report.terminal import WIDE

STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}
INDENT = 2
_PROBE = Console(width=10_000, force_terminal=False)
Column = tuple[str, bool, Callable[[Rule], str]]  # heading, whether numbers, text

RULE: Column = ("rule", False, lambda rule: str(rule["name"]))
SYSTEM: Column = ("system", False, lambda rule: str(rule["system"]))
SLICE: Column = ("slice", False, lambda rule: words.slice_name(rule) or "")
WANTED: Column = ("wanted", True, words.wanted)
VERDICT: Column = ("verdict", False, lambda rule: str(rule["verdict"]))
NUMBERS: tuple[Column, ...] = (
    ("n", True, lambda rule: f"{rule['n']:,}"),
    ("value", True, words.value),
    ("difference", True, words.difference),
    ("bounds", True, words.bounds),
)


def verdict_table(document: Mapping[str, Any], width: int = WIDE) -> Group:
    """A row per rule, system and slice; below, why each verdict; last, the gate's own.

    width: in columns; where a row is wider, its rule stands above it, then its system and slice.
    """
    rules: Sequence[Rule] = document["rules"]
    title = Text(": ".join(words.headline(document)), style="bold")
    names = _names(rules)
    numbers = [one for one in NUMBERS if one[0] != "difference" or any(map(one[2], rules))]
    shown: list[RenderableType] = [_table(rules, [RULE, *names, *numbers, WANTED, VERDICT])]
    for beside in ([*names[-1:], *numbers], numbers, numbers[:-1]):  # the others stand above
        if _width(shown) > width:
            shown = [*_grouped(rules, names, [*beside, VERDICT])]
    note = words.bounds_note(rules)
    notes = [Text(note, style="dim")] if note else []
    return Group(title, *shown, *notes, *map(Text, _reasons(rules)), _last(document))


def _names(rules: Sequence[Rule]) -> list[Column]:
    """System and slice, where they tell rows apart."""
    several = len({rule["system"] for rule in rules}) > 1
    sliced = any(rule["slice"] for rule in rules)
    return [*([SYSTEM] if several else []), *([SLICE] if sliced else [])]


def _width(parts: Sequence[RenderableType]) -> int:
    """Of the widest table; lines of text wrap at their words."""
    tables = [
        one for one in parts if not (isinstance(one, Padding) and isinstance(one.renderable, Text))
    ]
    return max(Measurement.get(_PROBE, _PROBE.options, one).maximum for one in tables)


def _grouped(
    rules: Sequence[Rule], names: Sequence[Column], columns: Sequence[Column]
) -> Iterator[RenderableType]:
    """The headings; then a line for the rule, and below it its rows, all equally wide."""
    widths = [
        max(cell_len(text) for text in (heading, *(plain(cell(rule)) for rule in rules)))
        for heading, _, cell in columns
    ]
    yield Padding.indent(_table([], columns, widths), INDENT)

    def line(rule: Rule) -> str:
        named = ", ".join(filter(None, (one[2](rule) for one in names if one not in columns)))
        where = f" ({named})" if named else ""
        bounds = "" if NUMBERS[-1] in columns else words.bounds(rule)
        said = ", ".join(filter(None, (bounds, f"wanted {words.wanted(rule)}")))
        return plain(f"{rule['name']}{where}: {said}")

    for (text, _), members in groupby(rules, lambda rule: (line(rule), rule.get("where"))):
        yield Padding.indent(Text(text), 1)
        yield Padding.indent(_table(list(members), columns, widths, headings=False), INDENT)


def _table(
    rules: Sequence[Rule],
    columns: Sequence[Column],
    widths: Sequence[int | None] | None = None,
    *,
    headings: bool = True,
) -> Table:
    """widths: of the columns, at least."""
    table = Table(box=None, show_header=headings)
    least = widths or [None] * len(columns)
    for (name, numeric, _), cells in zip(columns, least, strict=True):
        whole = name in ("slice", "verdict")
        table.add_column(
            name,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=cells,
        )
    for rule in rules:
        styled = [Text(plain(cell(rule))) for _, _, cell in columns]
        styled[-1].stylize(STYLES[rule["verdict"]])
        table.add_row(*styled)
    return table


def _reasons(rules: Sequence[Rule]) -> Iterator[str]:
    for rule in rules:
        if rule["verdict"] != "pass":
            where = " ".join(filter(None, (rule["system"], words.slice_name(rule))))
            yield plain(f"{rule['name']} ({where}): {rule['reason']}")


def _last(document: Mapping[str, Any]) -> Text:
    verdict = document["verdict"]
    return Text(f"gate: {verdict}", style=STYLES[verdict])
