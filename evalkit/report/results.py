"""Stored results on the terminal: the list, one result, what two differ in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from evalkit.errors import counted, plain
from evalkit.report import columns
from evalkit.report.grid import Column
from evalkit.report.terminal import WIDE, listing, score_table
from evalkit.report.values import digits, heading, named, shown
from evalkit.results import Result

Record = Mapping[str, Any]
LIST = (
    *(Column("set"), Column("system"), Column("protocol"), Column("n", right=True)),
    *(Column("headline"), Column("when"), Column("tags")),
)
FACTS = (Column("fact"), Column("A"), Column("B"))
VALUES = (
    *(Column("value"), Column("slice")),
    *(Column(name, right=True) for name in ("A", "B", "B - A")),
)
LONGEST = 20  # characters of a system's name that is not folded for the sake of others
SPARED = ("protocol", "tags", "n", "when")  # in this order, where there is no room


def results_list(rows: Sequence[Record], width: int = WIDE) -> Group:
    """One line per result; where that is too narrow by set, without what is said there."""
    cells = [list(_listed(row)) for row in rows]
    if sum(columns.widths(LIST, cells)) <= width:
        return Group(columns.table(LIST, cells, width=width))
    parts: list[RenderableType] = []
    hidden: set[str] = set()
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [texts for texts in cells if texts[0] == name]
        kept = _fitting(own, width)
        hidden.update(one.heading for i, one in enumerate(LIST) if i not in kept)
        shown = [[texts[i] for i in kept] for texts in own]
        chosen = [LIST[i] for i in kept]
        parts.append(columns.table(chosen, shown, width=width, folded="system", title=name))
    left_out = ", ".join(one.heading for one in LIST[1:] if one.heading in hidden)
    more = f"not shown, for want of room: {left_out} (--json has all)"
    return Group(*parts, *([Text(more, style="dim")] if left_out else []))


def _fitting(cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns of one set's list that have room: names and values stay."""
    kept = list(range(1, len(LIST)))
    needed = columns.widths(LIST, cells)
    needed[1] = min(needed[1], LONGEST)
    empty = [i for i in kept if not any(texts[i] for texts in cells)]
    spare = [i for name in SPARED for i in kept if LIST[i].heading == name]
    for one in dict.fromkeys((*empty, *spare)):
        if sum(needed[i] for i in kept) <= width:
            break
        kept.remove(one)
    return kept


def _listed(row: Record) -> Iterator[str]:
    record = row["headline"]
    yield from (row["set"], row["system"], row["protocol"])
    yield "" if row["examples"] is None else f"{row['examples']:,}"
    yield "" if record is None else f"{named(record)} {shown(record)}"
    yield moment(row["started"])
    yield " ".join(f"{name}={value}" for name, value in row["tags"].items())


def moment(started: str | None) -> str:
    """`2026-01-31 12:00`, in UTC."""
    return "–" if started is None else started.replace("T", " ")[:16]


def one_result(result: Result, width: int) -> Group:
    """Scores with slices, then what they rest on."""
    facts = [(name, text) for name, text in _facts(result) if text]
    warnings = [Text(plain(f"warning: {one['message']}")) for one in result.warnings]
    return Group(score_table([result], width), *warnings, Text(""), listing(facts))


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    document, run = result.document, result.run
    yield "system", result.system
    yield "set", result.set
    yield "protocol", str(document.get("protocol", ""))
    yield "note", str(run.get("note") or "")
    yield "tags", _pairs(run.get("tags"))
    yield "inputs", _pairs(document["inputs"])
    yield "options", _pairs(document.get("options"))
    for source, sha256 in (run.get("files") or {}).items():
        yield "file", f"{source} sha256 {sha256 or 'not known'}"
    yield "command", shlex.join(map(str, run.get("command") or ()))
    yield "folder", str(run.get("folder") or "")
    yield "when", f"{run['started']}, {run.get('seconds')} s" if run.get("started") else ""
    yield "host", ", ".join(str(run[key]) for key in ("host", "platform") if run.get(key))
    yield "versions", _pairs({"python": run.get("python"), **(run.get("versions") or {})})
    if git := run.get("git"):
        state = {True: ", with changes", False: "", None: ", changes not known"}[git.get("dirty")]
        yield "git", f"{git.get('commit')}{state}"
    held = ", ".join(result.tables)
    yield "tables", f"{held} ({counted(len(result.examples), 'stored example')})"


def _pairs(values: Any) -> str:
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(
        f"{name} {_brief(one)}" for name, one in values.items() if one not in (None, "")
    )


def _brief(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def difference(found: Record, width: int = WIDE) -> Group:
    """Facts that differ, then every value; detail values only where they differ."""
    parts = list(_differing(found["facts"], width))
    if moved := [
        f"{_counts(name)}: {one['count']:,} ({_first(one)})"
        for name, one in found["examples"].items()
        if one["count"]
    ]:
        parts += [Text(plain(one)) for one in moved]
    rows = [
        list(_value(one)) for one in found["values"] if not one["detail"] or one["difference"] != 0
    ]
    kept = [i for i in range(len(VALUES)) if i != 1 or any(row[1] for row in rows)]
    cells = [[row[i] for i in kept] for row in rows]
    shown = columns.table([VALUES[i] for i in kept], cells, width=width, folded="slice")
    return Group(*parts, shown)


def _differing(facts: Sequence[Record], width: int) -> Iterator[RenderableType]:
    """Side by side what has room so, then the rest below each other."""
    rows = [(one["name"], _fact(one["a"]), _fact(one["b"])) for one in facts]
    beside = [row for row in rows if max(map(cell_len, row[1:])) * 3 <= width]
    if sum(columns.widths(FACTS, beside)) > width:
        beside = []
    if beside:
        yield columns.table(FACTS, beside, width=width)
    for row in rows:
        if row not in beside:
            yield Text(plain(f" {row[0]}"))
            yield from (
                Text(plain(f"   {side}  {text}")) for side, text in zip("AB", row[1:], strict=True)
            )


def _fact(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return shlex.join(value)
    return "–" if value is None else str(value)


def _counts(name: str) -> str:
    kind, _, what = name.partition("_")
    return f"examples only in {what.upper()}" if kind == "only" else f"examples with another {what}"


def _first(one: Record) -> str:
    more = ", …" if one["count"] > len(one["first"]) else ""
    return ", ".join(one["first"]) + more


def _value(one: Record) -> Iterator[str]:
    part = one["slice"]
    yield heading(one)
    yield "" if part is None else f"{part['field']}={part['value']}"
    for side in ("a", "b"):
        if one[f"n_{side}"] is None:
            yield "–"
        else:
            record = {
                "scale": one["scale"],
                "value": one[side],
                "interval": one[f"interval_{side}"],
            }
            yield shown({**record, "status": "no value", "interval_reason": "not asked for"})
    known = one["difference"]
    places = digits({"scale": one["scale"], "value": max(abs(one[x] or 0) for x in "ab")})
    yield "" if known is None else f"{known:+.{places}f}"


def verification(found: Record) -> Group:
    """One line per result: agrees, differs, or cannot be verified; below it why."""
    lines = []
    for one in found["results"]:
        lines.append(f"{one['path']}: {one['verdict']}")
        lines.extend(f"  {reason}" for reason in (*one["reasons"], *one["notes"]))
    return Group(*(Text(plain(line)) for line in lines))
