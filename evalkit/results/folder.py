"""Results into folders: written whole or not at all, never over another result."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import ResultError, UsageError
from evalkit.interrupts import interrupts_blocked
from evalkit.results.reading import read_document
from evalkit.results.result import Result, encode, table_file
from evalkit.results.swapping import Aside, aside_of, locked, recover, tidy

__all__ = ["check", "folder_of", "safe_name", "table_file", "write"]


def folder_of(root: Path, document: Mapping[str, Any]) -> Path:
    return root / safe_name(document["set"], "set") / safe_name(document["system"], "system")


def safe_name(name: str, what: str) -> str:
    """A name as a folder's name; UsageError where it would lead elsewhere."""
    bad = not name or name in (".", "..") or name.startswith((".", "-")) or len(name.encode()) > 200
    if bad or any(one in '/\\:*?"<>|' or not one.isprintable() for one in name):
        way_out = "--set NAME" if what == "set" else "NAME=FILE"
        raise UsageError(f"the {what} {name!r} cannot name a folder; choose another with {way_out}")
    return name


def check(root: Path, document: Mapping[str, Any], *, replace: bool) -> dict[str, Any] | None:
    """Before the work: may this result be written here? ResultError where not.

    The document of the same inputs that it will replace, or None.
    """
    target = folder_of(root, document)
    _require_writable(target.parent)
    if target.parent.is_dir():
        with locked(target.parent):
            recover(target)
    return _check(target, document, replace=replace)


def _check(target: Path, document: Mapping[str, Any], *, replace: bool) -> dict[str, Any] | None:
    if not target.exists():
        return None
    if not (target / "result.json").is_file():
        raise ResultError("exists, but is no result; move it or choose another --out", str(target))
    if replace:
        return None
    stored = read_document(target)
    for part in ("references", "predictions"):
        if stored["inputs"].get(part) != document["inputs"][part]:
            raise ResultError(
                f"holds the result of other {part}; "
                "name this system NAME=FILE, choose another --out, or overwrite it with --replace",
                str(target),
            )
    return stored


def _require_writable(folder: Path) -> None:
    place = folder
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ResultError("cannot be written; choose another folder with --out FOLDER", str(place))


def write(root: Path, results: Sequence[Result], *, replace: bool = False) -> list[Path]:
    """All folders whole beside their places, then all renamed into them, checked once more."""
    staged: list[tuple[Aside, Result]] = []
    done: list[Path] = []
    target = root
    try:
        for result in results:
            target = folder_of(root, result.document)
            aside = aside_of(target)
            staged.append((aside, result))
            (aside.path / "new" / "tables").mkdir(parents=True)
            _write_files(aside.path / "new", result)
        with interrupts_blocked():
            for aside, result in staged:
                target = aside.target
                with locked(target.parent):
                    tidy(target)
                    _check(target, result.document, replace=replace)
                    aside.put()
                done.append(target)
    except OSError as error:
        written = f"; written before: {', '.join(map(str, done))}" if done else ""
        raise ResultError(f"cannot be written: {error.strerror}{written}", str(target)) from None
    finally:
        for aside, _ in staged:
            aside.drop()
    return done


def _write_files(folder: Path, result: Result) -> None:
    """On the disk before they count: who loses power keeps the old result, or has the new."""
    (folder / "result.json").write_bytes(encode(result.document))
    (folder / "run.json").write_bytes(encode(result.run))
    for label, table in result.tables.items():
        with (folder / table_file(label)).open("wb") as stream:
            table.save(stream)
    if result.examples:
        (folder / "examples.jsonl.gz").write_bytes(_lines(result.examples))
    for path in (one for one in folder.rglob("*") if one.is_file()):
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())


def _lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Gzipped JSON lines without a time stamp: equal records give equal bytes."""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=3, mtime=0) as packed:
        encoder = msgspec.json.Encoder(order="sorted")
        for record in records:
            packed.write(encoder.encode(record) + b"\n")
    return content.getvalue()
