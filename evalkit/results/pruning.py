"""Removing results for good, one whole result at a time, and what killed processes left."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from evalkit.errors import ResultError, UsageError
from evalkit.results import places
from evalkit.results.store import Stored
from evalkit.results.swapping import abandoned, locked, recover, remove, stranded, targets

PARTS = ("result.json", "run.json", "tables", "examples.jsonl.gz")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_age(text: str) -> timedelta:
    """`30d`, `12h`; UsageError otherwise."""
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if found is None:
        raise UsageError(f'--older-than "{text}": an age is a number and m, h, d or w, e.g. 30d')
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def is_older(one: Stored, age: timedelta, now: datetime) -> bool:
    """A result of unknown time is never older."""
    try:
        started = datetime.fromisoformat(one.started or "")
    except ValueError:
        return False
    return now - (started if started.tzinfo else started.replace(tzinfo=UTC)) > age


def beyond_newest(results: Sequence[Stored], keep: int) -> list[Stored]:
    """All but the `keep` newest of each set and system, in the order given."""
    groups: dict[tuple[str, str], list[Stored]] = {}
    for one in results:
        groups.setdefault((one.set, one.system), []).append(one)
    kept: set[str] = set()
    for members in groups.values():
        newest_first = sorted(members, key=lambda one: (one.started or "", one.place), reverse=True)
        kept.update(one.place for one in newest_first[:keep])
    return [one for one in results if one.place not in kept]


def asides(folders: Sequence[str]) -> list[str]:
    """What killed processes left in folders of sets; a result that can be put back is none."""
    return [str(path) for folder in _set_folders(folders) for path in _useless(folder)]


def _set_folders(folders: Sequence[str]) -> Iterator[Path]:
    for folder in map(Path, folders):
        yield from (folder, *(one for one in sorted(folder.iterdir()) if one.is_dir()))


def _useless(folder: Path) -> list[Path]:
    with locked(folder):
        needed = {old.parent for one in targets(folder) if (old := stranded(one)) is not None}
        return [path for path in abandoned(folder) if path not in needed]


def sweep(folders: Sequence[str]) -> list[str]:
    """Put back what can be, delete the rest of what killed processes left; what was deleted."""
    gone = []
    for folder in _set_folders(folders):
        with locked(folder):
            for target in list(targets(folder)):
                recover(target)
            for path in list(abandoned(folder)):
                _discard(path)
                gone.append(str(path))
    return gone


def _discard(path: Path) -> None:
    """What is half deleted is never called `old`, from where a result could be put back."""
    if (path / "old").exists():
        (path / "old").rename(path / "gone-00000000")
    shutil.rmtree(path)


def foreign(place: str) -> str | None:
    """The first thing in a result's folder that evalkit did not write."""
    names = sorted(one.name for one in Path(place).iterdir()) if Path(place).is_dir() else []
    return next((name for name in names if name not in PARTS), None)


def delete(place: str) -> None:
    """ResultError where it cannot be deleted; then it is still whole."""
    if places.is_url(place):
        raise ResultError("only results in local folders are removed", places.shown(place))
    try:
        remove(Path(place))
        with suppress(OSError):
            Path(place).parent.rmdir()  # only where it is empty
    except OSError as error:
        raise ResultError(f"cannot be removed: {error.strerror}", place) from None
