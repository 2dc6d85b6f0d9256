"""A table of texts that every form of output writes in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """right: its texts are numbers."""

    heading: str
    right: bool = False


@dataclass(frozen=True)
class Grid:
    """rows: one text per column; breaks: numbers of the rows before which a line is drawn."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    breaks: frozenset[int] = field(default_factory=frozenset)
