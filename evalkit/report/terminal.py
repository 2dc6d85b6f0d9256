"""Results as a table for the terminal; hostile text stays text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from evalkit.errors import counted, plain
from evalkit.results import Result

Record = Mapping[str, Any]
WIDE = 200  # columns where the output is not a terminal
NAMED = 3  # of the values that are undefined
_PROBE = Console(width=10_000, force_terminal=False)


def console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    return (
        made
        if made.is_terminal
        else Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=WIDE)
    )


def score_table(results: Sequence[Result], width: int = WIDE) -> Group:
    """Systems of one set by metric, a row more for each slice; long where it would not fit."""
    parts: list[Table | Text] = []
    for name, members in _by_set(results).items():
        table = _set_table(name, members)
        if Measurement.get(_PROBE, _PROBE.options, table).maximum > width:
            table = _long_table(name, members)
        parts.append(table)
        parts.extend(_footnotes(members))
    return Group(*parts)


def _by_set(results: Sequence[Result]) -> dict[str, list[Result]]:
    sets: dict[str, list[Result]] = {}
    for result in results:
        sets.setdefault(result.set, []).append(result)
    return sets


def _set_table(name: str, members: Sequence[Result]) -> Table:
    columns = _columns(members)
    slices = _slices(members)
    table = Table(title=Text(plain(name)), title_justify="left", title_style="bold", box=None)
    table.add_column("system", no_wrap=True, overflow="fold")
    if len(slices) > 1:
        table.add_column("slice", no_wrap=True, overflow="fold")
    table.add_column("n", justify="right")
    for _, _, record in columns:
        table.add_column(_heading(record), justify="right", no_wrap=True)
    for result in members:
        cells = {
            (record["label"], record["output"], _slice_name(record)): record
            for record in result.scores
        }
        for position, part in enumerate(slices):
            row = [cells.get((label, output, part)) for label, output, _ in columns]
            present = [record for record in row if record is not None]
            if not present:
                continue
            system = Text(plain(result.system)) if position == 0 else Text("")
            lead = [system, Text(plain(part or ""))] if len(slices) > 1 else [system]
            table.add_row(*lead, Text(f"{present[0]['n']:,}"), *map(_cell, row))
    return table


def _long_table(name: str, members: Sequence[Result]) -> Table:
    """A row per metric, system and slice, for narrow terminals."""
    table = Table(title=Text(plain(name)), title_justify="left", title_style="bold", box=None)
    for heading in ("metric", "system"):
        table.add_column(heading, overflow="fold")
    for heading in ("n", "value"):
        table.add_column(heading, justify="right", no_wrap=True)
    for label, output, _ in _columns(members):
        for result in members:
            for record in result.scores:
                if (record["label"], record["output"]) == (label, output):
                    part = _slice_name(record)
                    system = Text(plain(result.system if part is None else f"  {part}"))
                    number = Text(f"{record['n']:,}")
                    table.add_row(_heading(record), system, number, _cell(record))
    return table


def _is_shown(record: Record) -> bool:
    return not record.get("detail")


def _heading(record: Record) -> Text:
    arrow = "↑" if record["higher_is_better"] else "↓"
    own = record["output"] == record["metric"]
    name = record["label"] if own else f"{record['label']} {record['output']}"
    return Text(f"{plain(name)} {arrow}")


def _columns(members: Sequence[Result]) -> list[tuple[str, str, Record]]:
    """(label, output, a record of it) of every metric of any member."""
    found: dict[tuple[str, str], Record] = {}
    unavailable: set[str] = set()
    for result in members:
        for record in filter(_is_shown, result.scores):
            if record["status"] == "unavailable" and record["label"] in unavailable:
                continue
            if record["status"] == "unavailable":
                unavailable.add(record["label"])
            found.setdefault((record["label"], record["output"]), record)
    return [(label, output, record) for (label, output), record in found.items()]


def _slices(members: Sequence[Result]) -> list[str | None]:
    return list(
        dict.fromkeys(_slice_name(record) for result in members for record in result.scores)
    )


def _slice_name(record: Record) -> str | None:
    part = record["slice"]
    return None if part is None else f"{part['field']}={part['value']}"


def _cell(record: Record | None) -> Text:
    if record is None:
        return Text("")
    if record["value"] is None:
        return Text(record["status"], style="yellow")
    high = record["scale"][1]
    small = abs(record["value"]) <= 2 if high is None else high <= 10
    digits = 4 if small else 2
    cell = Text(f"{record['value']:.{digits}f}", style="bold")
    bounds = record["interval"]
    if bounds is not None:
        cell.append(f" [{bounds['low']:.{digits}f}, {bounds['high']:.{digits}f}]", style="not bold")
    elif record["interval_reason"] != "not asked for":
        cell.append(" [no interval]", style="not bold yellow")
    return cell


def _footnotes(members: Sequence[Result]) -> Iterator[Text]:
    whole = [record for record in members[0].scores if record["slice"] is None]
    methods: dict[str, list[str]] = {}
    for record in whole:
        if record["interval"]:
            labels = methods.setdefault(record["interval"]["method"], [])
            if record["label"] not in labels:
                labels.append(record["label"])
    if methods:
        one = next(record["interval"] for record in whole if record["interval"])
        drawn = ""
        if set(methods) - {"wilson", "cluster-t"}:
            drawn = f", {one['resamples']:,} resamples, seed {one['seed']}"
        which = ", ".join(
            method if len(methods) == 1 else f"{method} ({', '.join(labels)})"
            for method, labels in methods.items()
        )
        yield Text(
            f"{100 * one['level']:g} % intervals by {which}; "
            f"{counted(one['units'], one['unit'])}{drawn}",
            style="dim",
        )
    yield from _estimands(whole)
    if hidden := sum(not _is_shown(record) for record in whole):
        yield Text(f"{counted(hidden, 'more value')} of each system in result.json", style="dim")
    for label in dict.fromkeys(record["label"] for record in whole):
        found = next(record for record in whole if record["label"] == label)
        if found["signature"] is not None:
            yield Text(plain(f"{label}: {found['signature']}"), style="dim")


def _estimands(whole: Sequence[Record]) -> Iterator[Text]:
    """What centred intervals hold, and by how much resampling inflates the first of each metric."""
    shown: set[str] = set()
    for record in whole:
        bounds = record["interval"]
        if not bounds or bounds["method"] != "centred" or record["label"] in shown:
            continue
        shown.add(record["label"])
        bias = bounds.get("bias_in_standard_errors") or 0.0
        yield Text(
            plain(
                f"{record['label']}: the interval is one of {bounds['estimand']}; resamples of "
                f"{record['output']} lie {bias:+.1f} standard errors off, which is taken out"
            ),
            style="dim",
        )


def notes(results: Sequence[Result]) -> Iterator[str]:
    """One line per caution, with how often it applies; for stderr."""
    seen: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for warning in result.warnings:
            place = f"{result.system}"
            if warning["slice"]:
                place += f", {warning['slice']['field']}={warning['slice']['value']}"
            subject = f"{warning['metric']}: " if warning["metric"] else ""
            message = f"{subject}{warning['message']}"
            seen.setdefault((warning["code"], subject), []).append(f"{place}: {message}")
        for label, status, text in _without_value(result):
            seen.setdefault((status, label), []).append(text)
        for record in result.scores:
            asked = record.get("interval_reason", "not asked for") != "not asked for"
            if record["interval"] is None and asked:
                text = (
                    f"{result.system}: {record['label']} {_slice_name(record) or ''}".rstrip()
                    + f": no interval: {record['interval_reason']}"
                )
                seen.setdefault(("no-interval", record["label"]), []).append(text)
    for (_, _), messages in seen.items():
        more = f" (and {len(messages) - 1} more like it)" if len(messages) > 1 else ""
        yield plain(messages[0] + more)


def _without_value(result: Result) -> Iterator[tuple[str, str, str]]:
    """(metric, status, a line) of what the whole set leaves without a value, then of the slices."""
    whole: dict[tuple[str, str, str], list[str]] = {}
    parts: dict[str, list[str]] = {}
    for record in result.scores:
        if record["status"] == "ok":
            continue
        label, status = record["label"], record["status"]
        if record["slice"] is None:
            whole.setdefault((label, status, record["reason"]), []).append(record["output"])
        elif status == "undefined":
            parts.setdefault(label, []).append(f"{record['output']} of {_slice_name(record)}")
    for (label, status, reason), names in whole.items():
        some = len(names) < sum(
            one["label"] == label and one["slice"] is None for one in result.scores
        )
        what = f" {_some(names)}" if some and status == "undefined" else ""
        yield label, status, f"{result.system}: {label}:{what} {status}: {reason}"
    for label, names in parts.items():
        text = f"{result.system}: {label}: undefined in slices: {_some(names)}"
        yield label, "undefined in slices", text


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def listing(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and what they are."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, title in rows:
        table.add_row(Text(plain(name)), Text(plain(title)))
    return table


def written(folders: Sequence[Path]) -> Iterator[str]:
    """A line each for a few folders, one line for many."""
    if len(folders) <= 3:
        yield from (plain(f"wrote {folder}") for folder in folders)
    else:
        parents = dict.fromkeys(str(folder.parent) for folder in folders)
        yield plain(f"wrote {len(folders)} results to {', '.join(parents)}")


def _range(scale: Sequence[float | None]) -> str:
    low, high = scale
    if low is None:
        return "any number" if high is None else f"up to {high:g}"
    return f"from {low:g} on" if high is None else f"{low:g} to {high:g}"


_AUTO = {"mean": "wilson where every example counts 0 or 1, else bootstrap-t"}


def facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a catalogue entry, one line each."""
    for key, value in found.items():
        if key == "outputs":
            for output in value:
                better = "higher" if output["higher_is_better"] else "lower"
                yield "output", f"{output['output']}: {_range(output['scale'])}, {better} is better"
        elif key == "parameters":
            for one in value:
                default = f" = {one['default']!r}" if "default" in one else " (required)"
                yield "parameter", f"{one['name']}: {one['type']}{default}"
        elif key == "interval" and "metric" in found:
            yield "interval auto", _AUTO.get(value, value)
        elif value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield key.replace("_", " "), " ".join(text.split())
