"""A grid as a Markdown table (GitHub's), whatever its texts hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

from evalkit.errors import plain
from evalkit.report.grid import Grid

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
_WEB = re.compile(r"(?<=www)\.", re.IGNORECASE)  # GitHub links it without a scheme
_MARKUP = "\\`*_{}[]()#!~^$"


def escaped(text: str) -> str:
    """As text: no markup, no HTML, no mention, no link, no end of a cell."""
    shown = "".join(_one(one) for one in plain(text)).replace("://", "&#58;//")
    return _WEB.sub("&#46;", shown)


def _one(character: str) -> str:
    if character in _ENTITIES:
        return _ENTITIES[character]
    return f"\\{character}" if character in _MARKUP else character


def written(grid: Grid) -> str:
    """A bold title, the table, and the notes as a list."""
    lines = [f"**{escaped(grid.title)}**", ""]
    lines.append(_row(one.heading for one in grid.columns))
    lines.append("|" + "|".join("---:" if one.right else "---" for one in grid.columns) + "|")
    lines.extend(_row(row) for row in grid.rows)
    if grid.notes:
        lines += ["", *(f"- {escaped(note)}" for note in grid.notes)]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"
