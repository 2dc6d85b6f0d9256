"""`results list`, `show`, `diff` and `prune`: what is stored, without counting anything anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from evalkit.errors import ResultError, UsageError
from evalkit.results import Result, load, places
from evalkit.results.pruning import (
    asides,
    beyond_newest,
    delete,
    foreign,
    is_older,
    parse_age,
    sweep,
)
from evalkit.results.store import Filters, Found, Stored, find, locate

SCHEMA = 1
KIND = "results"
Record = dict[str, Any]
AROUND = (
    *("note", "tags", "command", "versions", "git", "python"),
    *("platform", "host", "folder", "started", "seconds"),
)


def document(verb: str, **more: Any) -> Record:
    return {"schema": SCHEMA, "kind": KIND, "verb": verb, **more}


def list_results(folders: Sequence[str], filters: Filters) -> Record:
    """One record per result, with its headline value.

    `damaged`: what is no result any more; `unread`: what this evalkit cannot read, or may not.
    """
    found = find(folders, filters)
    return document(
        "list",
        results=[_listed(one, filters.metric) for one in found.results],
        damaged=_unread(found, damaged=True),
        unread=_unread(found, damaged=False),
    )


def _unread(found: Found, *, damaged: bool) -> list[Record]:
    return [
        {"path": places.shown(one.place), "reason": one.reason}
        for one in found.unread
        if one.damaged == damaged
    ]


def _listed(one: Stored, metric: str | None) -> Record:
    return {
        "path": one.shown,
        "set": one.set,
        "system": one.system,
        "protocol": one.protocol,
        "examples": one.document["inputs"].get("examples"),
        "headline": headline(one.document["scores"], metric),
        "metrics": one.labels,
        "started": one.started,
        "note": one.run.get("note"),
        "tags": one.tags,
    }


def headline(scores: Sequence[Record], metric: str | None = None) -> Record | None:
    """The first value of the first metric, or of the one that is named, on the whole set."""
    for record in scores:
        names = (record["label"], record["metric"], f"{record['label']} {record['output']}")
        if record["slice"] is None and (metric is None or metric in names):
            return record
    return None


def show_result(given: str, folders: Sequence[str]) -> tuple[Result, Record]:
    """Everything of one result but its tables and examples."""
    place = locate(given, folders)
    result = load(place)
    return result, document(
        "show", path=places.shown(place), result=result.document, run=result.run
    )


def diff_results(given: Sequence[str], folders: Sequence[str]) -> Record:
    """What differs between two results, fact by fact and value by value; no statistics."""
    (first, a), (second, b) = (
        (place, load(place)) for place in (locate(x, folders) for x in given)
    )
    return document(
        "diff",
        a=places.shown(first),
        b=places.shown(second),
        facts=list(_differing(_facts(a), _facts(b))),
        values=list(_values(a, b)),
        examples=_other_examples(a, b),
    )


def _facts(one: Result) -> dict[str, Any]:
    """Inputs, options, signatures and circumstances by dotted name."""
    plain = {key: one.document.get(key) for key in ("system", "set", "protocol")}
    kept = {key: one.document.get(key) for key in ("inputs", "options")}
    around = {key: one.run.get(key) for key in AROUND}
    signatures = {record["label"]: record["signature"] for record in one.scores}
    files = {
        name: sha256
        for kind, word in (("files", "file"), ("definitions", "definition"))
        for name, sha256 in _by_short_name(word, one.run.get(kind))
    }
    return {**dict(_flat({**plain, **kept, "signature": signatures, **around})), **files}


def _by_short_name(word: str, files: Any) -> Iterator[tuple[str, Any]]:
    """`file BART.jsonl`; by its whole path where two files have one name."""
    found = files if isinstance(files, Mapping) else {}
    short = [places.name(str(path)) for path in found]
    for path, sha256 in found.items():
        name = places.name(str(path))
        yield f"{word} {name if short.count(name) == 1 else path}", sha256


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{before}{key}.")
        else:
            yield f"{before}{key}", one


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Record]:
    for name in dict.fromkeys((*a, *b)):
        if a.get(name) != b.get(name):
            yield {"name": name, "a": a.get(name), "b": b.get(name)}


def _key(record: Mapping[str, Any]) -> tuple[str, str, str, str]:
    part = record["slice"] or {"field": "", "value": ""}
    return record["label"], record["output"], part["field"], part["value"]


def _values(a: Result, b: Result) -> Iterator[Record]:
    """Every value of either; equal ones as well, so that nothing seems to be left out."""
    ours, theirs = ({_key(record): record for record in one.scores} for one in (a, b))
    for key in dict.fromkeys((*ours, *theirs)):
        x, y = ours.get(key, {}), theirs.get(key, {})
        before, after = x.get("value"), y.get("value")
        wanted = ("metric", "label", "output", "slice", "higher_is_better", "scale")
        yield {
            **{name: (x or y)[name] for name in wanted},
            "a": before,
            "b": after,
            "n_a": x.get("n"),
            "n_b": y.get("n"),
            "difference": None if before is None or after is None else after - before,
            "interval_a": x.get("interval"),
            "interval_b": y.get("interval"),
            "detail": bool((x or y).get("detail")),
        }


def _other_examples(a: Result, b: Result) -> Record:
    """How many ids, predictions and references are not the same; the first ids of each."""
    ours, theirs = ({str(one["id"]): one for one in each.examples} for each in (a, b))
    both = [id for id in ours if id in theirs]
    found = {
        "only_a": [id for id in ours if id not in theirs],
        "only_b": [id for id in theirs if id not in ours],
        **{
            f"other_{name}": [id for id in both if ours[id].get(name) != theirs[id].get(name)]
            for name in ("prediction", "references", "cluster", "fields")
        },
    }
    return {name: {"count": len(ids), "first": ids[:5]} for name, ids in found.items()}


@dataclass(frozen=True)
class Prune:
    """Which of the filtered results go; `keep`: how many newest of each set and system stay.

    damaged: those that are no results any more, and no others.
    """

    older_than: str | None = None
    keep: int | None = None
    damaged: bool = False
    yes: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def prune_results(folders: Sequence[str], filters: Filters, asked: Prune) -> Record:
    """What goes, or would go without `yes`; each result goes whole or not at all."""
    if url := next((one for one in folders if places.is_url(one)), None):
        raise UsageError(f"--in {places.shown(url)}: only results in local folders are removed")
    if asked.keep is not None and asked.keep < 0:
        raise UsageError("--keep counts results; it must not be negative")
    if asked.damaged and (asked.keep is not None or asked.older_than is not None):
        raise UsageError("--damaged: the time of what cannot be read is not known; name it alone")
    age = None if asked.older_than is None else parse_age(asked.older_than)
    chosen: list[Stored] = []
    broken: list[Record] = []
    unread: list[Record] = []
    if filters != Filters() or age is not None or asked.keep is not None or asked.damaged:
        found = find(folders, filters)
        broken, unread = (_unread(found, damaged=one) for one in (True, False))
        chosen = found.results
        if age is not None:
            chosen = [one for one in chosen if is_older(one, age, asked.now)]
        if asked.keep is not None:
            chosen = beyond_newest(chosen, asked.keep)
        if asked.damaged:
            chosen = []
    else:
        _require_folders(folders)
    going = [one.place for one in chosen]
    going += [one["path"] for one in broken] if asked.damaged else []
    for place in going:
        if more := foreign(place):
            raise ResultError(f"holds {more}, which is no part of a result; move it first", place)
    left = asides(folders)
    if asked.yes:
        for place in going:
            delete(place)
        left = sweep(folders)
    return document(
        "prune",
        removed=asked.yes,
        results=[_listed(one, None) for one in chosen],
        leftovers=left,
        damaged=broken,
        damaged_removed=asked.damaged,
        unread=unread,
    )


def _require_folders(folders: Sequence[str]) -> None:
    """An empty folder has nothing to prune; one that is not there is a mistake."""
    for folder in folders:
        try:
            places.folders(folder)
        except OSError as error:
            raise ResultError(f"cannot be read: {error.strerror}", places.shown(folder)) from None
