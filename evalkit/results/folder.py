"""Results in folders: written whole or not at all, never over another result; read back."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import os
import shutil
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import ResultError, UsageError
from evalkit.interrupts import interrupts_blocked
from evalkit.results.result import SCHEMA, Result, encode
from evalkit.table import Table


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
        with _locked(target.parent):
            _recover(target)
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
    staged: list[tuple[Path, Path, Result]] = []
    done: list[Path] = []
    try:
        for result in results:
            target = folder_of(root, result.document)
            aside = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
            staged.append((target, aside, result))
            (aside / "new" / "tables").mkdir(parents=True)
            _write_files(aside / "new", result)
        with interrupts_blocked():
            for target, aside, result in staged:
                with _locked(target.parent):
                    _check(target, result.document, replace=replace)
                    _swap(target, aside)
                done.append(target)
    except OSError as error:
        written = f"; written before: {', '.join(map(str, done))}" if done else ""
        raise ResultError(f"cannot be written: {error.strerror}{written}", str(target)) from None
    finally:
        for target, aside, _ in staged:
            with suppress(OSError):
                with _locked(target.parent):
                    _recover(target)
                shutil.rmtree(aside, ignore_errors=True)
                target.parent.rmdir()  # only where it is empty
    return done


def _swap(target: Path, aside: Path) -> None:
    if target.exists():
        target.rename(aside / "old")
    (aside / "new").rename(target)


def _recover(target: Path) -> None:
    """Put the old result back where a process was killed between two renames."""
    if target.exists():
        return
    for aside in target.parent.glob(f".{glob.escape(target.name)}.????????"):
        if (aside / "old" / "result.json").is_file():
            (aside / "old").rename(target)
            return


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time changes a set's folder; the lock goes with its process."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_files(folder: Path, result: Result) -> None:
    (folder / "result.json").write_bytes(encode(result.document))
    (folder / "run.json").write_bytes(encode(result.run))
    for label, table in result.tables.items():
        with (folder / table_file(label)).open("wb") as stream:
            table.save(stream)
    if result.examples:
        (folder / "examples.jsonl.gz").write_bytes(_lines(result.examples))


def table_file(label: str) -> str:
    """`tables/chrf.npz`; where a file name cannot hold the label, a hash keeps it apart."""
    kept = "".join(one if one.isalnum() or one in "._=-" else "_" for one in label)[:100]
    if kept != label:
        kept += f"-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
    return f"tables/{kept}.npz"


def _lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Gzipped JSON lines without a time stamp: equal records give equal bytes."""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=3, mtime=0) as packed:
        encoder = msgspec.json.Encoder(order="sorted")
        for record in records:
            packed.write(encoder.encode(record) + b"\n")
    return content.getvalue()


def read_document(folder: Path) -> dict[str, Any]:
    """result.json alone; ResultError where it cannot be read."""
    where = str(folder / "result.json")
    try:
        document = msgspec.json.decode((folder / "result.json").read_bytes())
    except OSError as error:
        raise ResultError(f"no result here: {error.strerror}", where) from None
    except msgspec.DecodeError as error:
        raise ResultError(f"not valid JSON: {error}", where) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ResultError(
            f"a result of schema {schema}, but this evalkit reads {SCHEMA}; "
            "score again or use the evalkit that wrote it",
            where,
        )
    wanted = ("inputs", "scores", "warnings", "system", "set")
    if lacking := [key for key in wanted if key not in document]:
        raise ResultError(f"lacks {', '.join(lacking)}; score again", where)
    return dict(document)


def load(path: str | Path) -> Result:
    """A result folder, or the result.json in it; ResultError where it cannot be read."""
    folder = Path(path)
    if folder.name == "result.json":
        folder = folder.parent
    document = read_document(folder)
    labels = {record["label"] for record in document["scores"] if record["status"] == "ok"}
    tables = {label: Table.load(folder / table_file(label)) for label in sorted(labels)}
    for label, table in tables.items():
        if table.header.metric != label.partition(":")[0]:
            raise ResultError(f"holds a table of {table.header.metric}", str(table_file(label)))
    run = _read_lines(folder / "run.json", whole=True)
    examples = _read_lines(folder / "examples.jsonl.gz")
    return Result(document, tables, examples, run[0] if run else {})


def _read_lines(path: Path, *, whole: bool = False) -> list[dict[str, Any]]:
    """The JSON lines of a file, or the one object that is the whole of it; [] where it is not."""
    if not path.is_file():
        return []
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return [
            msgspec.json.decode(line) for line in ([content] if whole else content.splitlines())
        ]
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise ResultError(f"damaged: {error}; score again", str(path)) from None
