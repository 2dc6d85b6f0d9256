"""Columns that fit a terminal: as many as its width holds, and none of their values broken."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from evalkit.errors import plain
from evalkit.report.grid import Column

PADDING = 2  # beside every column
NARROWEST = 8  # of a folded name


def widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    """What each column takes with its padding, where nothing is folded."""
    return [
        PADDING + max(cell_len(plain(text)) for text in (one.heading, *(row[i] for row in rows)))
        for i, one in enumerate(columns)
    ]


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    folded: str | None = None,
    title: str | None = None,
    breaks: frozenset[int] = frozenset(),
) -> Table:
    """Every row on one line; `folded`: the column that is broken where the rest leaves no room.

    breaks: numbers of the rows before which a line stays empty.
    """
    made = Table(
        title=None if title is None else Text(plain(title)),
        title_justify="left",
        title_style="bold",
        box=None,
    )
    needed = widths(columns, rows)
    over = sum(needed) - width
    for column, needs in zip(columns, needed, strict=True):
        room = max(NARROWEST, needs - PADDING - over)
        is_broken = column.heading == folded and over > 0
        made.add_column(
            Text(plain(column.heading)),
            justify="right" if column.right else "left",
            no_wrap=not is_broken,
            overflow="fold",
            min_width=None if is_broken else needs - PADDING,
            max_width=room if is_broken else None,
        )
    for number, row in enumerate(rows):
        if number in breaks:
            made.add_row(*("" for _ in row))
        made.add_row(*(Text(plain(one)) for one in row))
    return made


def blocks(needed: Sequence[int], lead: int, width: int) -> list[list[int]]:
    """Which columns stand beside each other: the `lead` first ones again in every block."""
    room = width - sum(needed[:lead])
    found: list[list[int]] = []
    left = -1
    for number in range(lead, len(needed)):
        if needed[number] > left:
            found.append(list(range(lead)))
            left = room
        found[-1].append(number)
        left -= needed[number]
    return found or [list(range(lead))]
