"""Finding stored results in folders: by set, protocol, system, metric and tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from evalkit.errors import ResultError, counted, did_you_mean
from evalkit.results import places
from evalkit.results.reading import DamagedError, read_facts
from evalkit.results.swapping import targets

PARTS = ("run.json", "examples.jsonl.gz")
DEEPEST = 2  # a results folder holds sets, and a set holds systems
DEFAULT = ("results",)
LISTED = 12  # names in a message


@dataclass(frozen=True)
class Stored:
    """A result by its folder; `document` is result.json and `run` is run.json, read already."""

    place: str
    document: Mapping[str, Any]
    run: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """The place without what is secret in a URL."""
        return places.shown(self.place)

    @property
    def system(self) -> str:
        return str(self.document["system"])

    @property
    def set(self) -> str:
        return str(self.document["set"])

    @property
    def protocol(self) -> str:
        return str(self.document.get("protocol", ""))

    @property
    def started(self) -> str | None:
        """`2026-01-31T12:00:00Z`; None where Python saved it."""
        found = self.run.get("started")
        return found if isinstance(found, str) else None

    @property
    def tags(self) -> dict[str, str]:
        found = self.run.get("tags")
        return {str(key): str(one) for key, one in found.items()} if isinstance(found, dict) else {}

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(record["label"] for record in self.document["scores"]))


@dataclass(frozen=True)
class Unread:
    """What lies where a result should, and why it was not read.

    damaged: it is no result any more; else another evalkit, or another user, may well read it.
    """

    place: str
    reason: str
    damaged: bool


@dataclass(frozen=True)
class Found:
    """Results in order of set, time and system; whatever could not be read."""

    results: list[Stored]
    unread: list[Unread]


@dataclass(frozen=True)
class Filters:
    """What a result must be; set, protocol and system may hold `*`. tags: (name, value)."""

    set: str | None = None
    protocol: str | None = None
    systems: tuple[str, ...] = ()
    metric: str | None = None
    tags: tuple[tuple[str, str], ...] = field(default_factory=tuple)

    def hold(self, one: Stored) -> bool:
        names = {name for record in one.document["scores"] for name in _names(record)}
        return (
            _like(one.set, self.set)
            and _like(one.protocol, self.protocol)
            and (not self.systems or any(_like(one.system, system) for system in self.systems))
            and (self.metric is None or self.metric in names)
            and all(_like(one.tags.get(name), value) for name, value in self.tags)
        )

    def could_hold(self, one: Unread) -> bool:
        """By its folder's name, which is all that is known of it."""
        system = places.name(one.place)
        return _like(places.name(places.parent(one.place)), self.set) and (
            not self.systems or any(_like(system, wanted) for wanted in self.systems)
        )


def _like(name: str | None, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return name is not None and (name == wanted or fnmatchcase(name, wanted))


def _names(record: Mapping[str, Any]) -> tuple[str, ...]:
    label, output = record["label"], record["output"]
    return label, record["metric"], f"{label} {output}"


def find(folders: Sequence[str], filters: Filters) -> Found:
    """ResultError where a folder is not there, holds no result, or none that is asked for."""
    results: dict[str, Stored] = {}
    unread: dict[str, Unread] = {}
    for place in dict.fromkeys(places_of(folders)):
        try:
            results[place] = Stored(place, *read_facts(place))
        except ResultError as error:
            unread[place] = Unread(place, str(error), isinstance(error, DamagedError))
    chosen = [one for one in results.values() if filters.hold(one)]
    broken = [one for one in unread.values() if filters.could_hold(one)]
    where = ", ".join(map(places.shown, folders))
    if not results and not unread:
        raise ResultError("no results here; `evalkit score` writes them, --in names others", where)
    if not chosen and not broken:
        raise ResultError(_no_match(list(results.values()), filters), where)
    chosen.sort(key=lambda one: (one.set, one.started or "", one.system, one.place))
    return Found(chosen, broken)


def _no_match(results: Sequence[Stored], filters: Filters) -> str:
    """Which filter leaves nothing, and what it could be."""
    lists = (
        ("--set", filters.set, {one.set for one in results}),
        ("--protocol", filters.protocol, {one.protocol for one in results}),
        ("--metric", filters.metric, {label for one in results for label in one.labels}),
    )
    for flag, wanted, known in lists:
        alone = {flag.removeprefix("--"): wanted}
        if wanted is not None and not any(Filters(**alone).hold(one) for one in results):  # type: ignore[arg-type]
            return f"no result has {flag} {wanted}{did_you_mean(wanted, known)}"
    for wanted in filters.systems:
        if not any(_like(one.system, wanted) for one in results):
            known = {one.system for one in results}
            return f"no result has --system {wanted}{did_you_mean(wanted, known)}"
    for name, value in filters.tags:
        if not any(_like(one.tags.get(name), value) for one in results):
            known = {f"{key}={one}" for result in results for key, one in result.tags.items()}
            return f"no result has --tag {name}={value}{did_you_mean(f'{name}={value}', known)}"
    return f"none of {counted(len(results), 'result')} here matches all of these filters"


def places_of(folders: Sequence[str]) -> Iterator[str]:
    """The folders of all results in result folders, set folders or folders of sets."""
    for folder in folders:
        if not places.is_url(folder) and not Path(folder).exists():
            raise ResultError("no such folder; --in names the one that holds results", folder)
        try:
            with places.named_publicly(folder):
                yield from _places_in(folder, 0)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ResultError(
                f"cannot be read as a folder of results: {reason}", places.shown(folder)
            ) from None


def _places_in(folder: str, depth: int) -> Iterator[str]:
    names = places.folders(folder)
    if places.holds(folder, "result.json"):
        yield folder
        return
    if depth and _was_result(folder, names):
        yield folder
        return
    if depth == DEEPEST:
        return
    left = set() if places.is_url(folder) else {one.name for one in targets(Path(folder))}
    for name in sorted({one for one in names if not one.startswith(".")} | left):
        inside = places.join(folder, name)
        if name in left:
            yield inside
        else:
            yield from _places_in(inside, depth + 1)


def _was_result(folder: str, names: Sequence[str]) -> bool:
    """It holds parts of a result; a folder of folders may be a set or a system called tables."""
    tables = "tables" in names and not places.folders(places.join(folder, "tables"))
    return tables or any(places.holds(folder, part) for part in PARTS)


def locate(given: str, folders: Sequence[str] = DEFAULT) -> str:
    """The place of a result: a path or URL that leads to one, else SET/SYSTEM or SYSTEM.

    folders: those that hold results, searched by name; one that is not there holds none.
    ResultError where there is no such result, with what was meant, or more than one.
    """
    if places.is_url(given) or places.name(given) == "result.json":
        return given
    path = Path(given)
    if inside := _results_at(path):
        if len(inside) == 1:
            return inside[0]
        shown = ", ".join(inside[:3])
        raise ResultError(f"holds {counted(len(inside), 'result')}; name one ({shown}, …)", given)
    if (found := named(given, folders)) is not None:
        return found
    if path.is_dir():
        raise ResultError("holds no result; evalkit score writes one", given)
    raise ResultError(f"no such result{_meant(path, folders)} (evalkit results list)", given)


def named(given: str, folders: Sequence[str] = DEFAULT) -> str | None:
    """The place of the result SET/SYSTEM or SYSTEM in folders of results; None where none is.

    ResultError where several are called so.
    """
    found = _by_name(folders).get(given, [])
    if len(found) > 1:
        raise ResultError(
            f"could be any of {', '.join(map(places.shown, found))}; name one by its path", given
        )
    return found[0] if found else None


def _results_at(path: Path) -> list[str]:
    """The results that a path leads to, also one that a killed process left aside."""
    if path.is_dir():
        return list(places_of([str(path)]))
    aside = path.name and path.parent.is_dir() and path in targets(path.parent)
    return [str(path)] if aside else []


def _by_name(folders: Sequence[str]) -> dict[str, list[str]]:
    """The places of results by SYSTEM and by SET/SYSTEM."""
    known: dict[str, list[str]] = {}
    there = [one for one in folders if places.is_url(one) or Path(one).is_dir()]
    for place in dict.fromkeys(places_of(there)):
        system, name = places.name(place), places.name(places.parent(place))
        for word in (system, f"{name}/{system}"):
            known.setdefault(word, []).append(place)
    return known


def _meant(path: Path, folders: Sequence[str]) -> str:
    """A name in the folders; of a path, what lies beside it or in the next set."""
    known = set(_by_name(folders))
    for around in list(path.parents)[:2]:
        if around.is_dir() and around not in (Path(), Path(around.anchor)):
            with suppress(ResultError):
                known = set(places_of([str(around)])) or known
            break
    hint = did_you_mean(str(path), known)
    return hint if len(known) <= LISTED or "did you mean" in hint else ""
