"""A leaderboard for the terminal, in Markdown, in LaTeX and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from evalkit.errors import counted, plain
from evalkit.report import columns, latex, markdown, separated
from evalkit.report.grid import Column, Grid
from evalkit.report.terminal import WIDE
from evalkit.report.values import heading, shown

Record = Mapping[str, Any]
FORMS = ("table", "markdown", "latex", "csv")


def grid(board: Record) -> Grid:
    """Ranked systems, a line between clusters, and what the clusters mean."""
    values = _columns(board)
    clustered = any(row["cluster"] is not None for row in board["rows"])
    lead = [Column("rank", right=True), *([Column("cluster", right=True)] if clustered else [])]
    rows = [
        [
            _number(row["rank"]),
            *([_number(row["cluster"])] if clustered else []),
            row["system"],
            f"{row['scores'][0]['n']:,}" if row["scores"] else "",
            *(shown(_record(row, key)) for key in values),
        ]
        for row in board["rows"]
    ]
    clusters = [row["cluster"] for row in board["rows"]]
    return Grid(
        f"{board['set']}, protocol {board['protocol']}",
        [
            *lead,
            Column("system"),
            Column("n", right=True),
            *(Column(heading(record), right=True) for record in values.values()),
        ],
        rows,
        list(_notes(board)),
        frozenset(i for i in range(1, len(clusters)) if clusters[i] != clusters[i - 1]),
    )


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)


def _columns(board: Record) -> dict[tuple[str, str], Record]:
    """Every value of any system, the one that ranks first."""
    found: dict[tuple[str, str], Record] = {}
    for row in board["rows"]:
        for record in row["scores"]:
            key = record["label"], record["output"]
            if key not in found or found[key]["value"] is None:
                found[key] = record
    ranking = board["label"], board["output"]
    return {ranking: found[ranking], **found}


def _record(row: Record, key: tuple[str, str]) -> Record | None:
    for record in row["scores"]:
        if (record["label"], record["output"]) == key:
            return dict(record)
    return None


def _notes(board: Record) -> Iterator[str]:
    test, label = board["test"], heading(board)
    level = f"{100 * (1 - test['level']):g} %"
    if test["reason"] is not None:
        yield f"ranked by {label}; differences not tested: {test['reason']}"
    else:
        corrected = "uncorrected" if test["correction"] == "none" else test["correction"].title()
        pairs = counted(len(board["pairs"]), "pair")
        yield (
            f"ranked by {label}; every system of a cluster is significantly better than every one "
            f"of the clusters below it ({level}, paired randomisation, {test['swaps']:,} swaps, "
            f"{corrected} over {pairs})"
        )
    if missing := [row["system"] for row in board["rows"] if row["rank"] is None]:
        yield f"not ranked, because the value is not there: {', '.join(missing)}"


def table(board: Record, width: int = WIDE) -> Group:
    """For the terminal, with a blank line between clusters; what has no room stands below."""
    made = grid(board)
    lead = [one.heading for one in made.columns].index("n") + 1
    needed = columns.widths(made.columns, made.rows)
    parts = [
        columns.table(
            [made.columns[i] for i in chosen],
            [[row[i] for i in chosen] for row in made.rows],
            width=width,
            folded="system",
            title=made.title if number == 0 else "",
            breaks=made.breaks,
        )
        for number, chosen in enumerate(columns.blocks(needed, lead, width))
    ]
    return Group(*parts, *(Text(plain(note), style="dim") for note in made.notes))


def text(board: Record, form: str) -> str:
    """form: one of FORMS but `table`."""
    if form == "markdown":
        return markdown.written(grid(board))
    return latex.written(grid(board)) if form == "latex" else separated.written(_flat(board))


def _flat(board: Record) -> Sequence[Record]:
    """A row per system; value, low and high of everything, in full."""
    rows = []
    for row in board["rows"]:
        flat = {
            **{key: board[key] for key in ("set", "protocol")},
            **{key: row[key] for key in ("rank", "cluster", "system")},
        }
        for key, column in _columns(board).items():
            record = _record(row, key) or {"value": None, "interval": None, "n": None}
            bounds = record["interval"] or {"low": None, "high": None}
            name = heading(column)[:-2]
            flat |= {name: record["value"], f"{name} low": bounds["low"]}
            flat |= {f"{name} high": bounds["high"], f"{name} n": record["n"]}
        rows.append(flat)
    return rows
