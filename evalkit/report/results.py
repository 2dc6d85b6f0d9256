"""Stored results on the terminal: the list, one result, what two differ in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evalkit.errors import counted, plain
from evalkit.report.terminal import listing, score_table
from evalkit.report.values import digits, heading, named, shown
from evalkit.results import Result

Record = Mapping[str, Any]


def results_list(rows: Sequence[Record]) -> Table:
    """One line per result."""
    made = _table("set", "system", "protocol", "n", "headline", "when", "tags", right=("n",))
    for row in rows:
        made.add_row(*(Text(plain(one)) for one in _listed(row)))
    return made


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


def difference(found: Record) -> Group:
    """Facts that differ, then every value; detail values only where they differ."""
    parts: list[RenderableType] = []
    if found["facts"]:
        facts = _table("fact", "A", "B")
        for one in found["facts"]:
            cells = (one["name"], _fact(one["a"]), _fact(one["b"]))
            facts.add_row(*(Text(plain(cell)) for cell in cells))
        parts.append(facts)
    if moved := [
        f"{_counts(name)}: {one['count']:,} ({_first(one)})"
        for name, one in found["examples"].items()
        if one["count"]
    ]:
        parts += [Text(plain(one)) for one in moved]
    values = _table("value", "slice", "A", "B", "B - A", right=("A", "B", "B - A"))
    for one in found["values"]:
        if not one["detail"] or one["difference"] != 0:
            values.add_row(*(Text(plain(cell)) for cell in _value(one)))
    return Group(*parts, values)


def _fact(value: Any) -> str:
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


def _table(*headings: str, right: Sequence[str] = ()) -> Table:
    made = Table(box=None)
    for name in headings:
        if name in right:
            made.add_column(name, justify="right", no_wrap=True)
        else:
            made.add_column(name, overflow="fold")
    return made
