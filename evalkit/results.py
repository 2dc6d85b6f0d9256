"""A result: what one system scored on one set; written whole or not at all, read back, found."""

from __future__ import annotations

import glob
import gzip
import hashlib
import html
import io
import os
import shutil
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import MissingDependencyError, ResultError, UsageError
from evalkit.interrupts import interrupts_blocked
from evalkit.table import Table

SCHEMA = 1


@dataclass(frozen=True, repr=False)
class Result:
    """`document` is result.json; `tables` by label; `examples` one record per example; `run` what
    varies from run to run (files, times, versions)."""

    document: Mapping[str, Any]
    tables: Mapping[str, Table] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] = ()
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def system(self) -> str:
        return str(self.document["system"])

    @property
    def set(self) -> str:
        return str(self.document["set"])

    @property
    def scores(self) -> list[dict[str, Any]]:
        return list(self.document["scores"])

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return list(self.document["warnings"])

    def value(
        self, metric: str, output: str | None = None, slice: Mapping[str, str] | None = None
    ) -> float:
        """Of a metric by label, or by name where that is clear; KeyError where there is none.

        output: the headline by default; slice: {"field": …, "value": …}, the whole set by default.
        """
        here = [record for record in self.scores if record["slice"] == slice]
        named = [record for record in here if metric in (record["label"], record["metric"])]
        labels = {record["label"] for record in named}
        if metric in labels:
            labels = {metric}
        for record in here:
            if record["label"] in labels and output in (None, record["output"]):
                if len(labels) > 1:
                    raise KeyError(f"{metric} could be any of {sorted(labels)}")
                if record["value"] is None:
                    raise KeyError(f"{metric} is {record['status']}: {record['reason']}")
                return float(record["value"])
        known = sorted({record["label"] for record in self.scores})
        raise KeyError(f"no score of {metric} {output or ''} here; there are {known}")

    def __repr__(self) -> str:
        values = " ".join(
            f"{record['label']}={record['value']:.2f}"
            for record in self.scores
            if record["slice"] is None and record["value"] is not None
        )
        return f"<Result {self.system!r} on {self.set!r}: {values}>"

    def to_dict(self) -> dict[str, Any]:
        return dict(self.document)

    def to_json(self) -> str:
        """The bytes of result.json."""
        return encode(self.document).decode()

    def to_pandas(self) -> Any:
        """One row per score, the interval's fields as `interval_low` and so on."""
        try:
            import pandas
        except ImportError:
            raise MissingDependencyError("to_pandas needs pandas>=2: pip install pandas") from None
        return pandas.DataFrame([_flat(record) for record in self.scores])

    def _repr_html_(self) -> str:
        head = "<tr><th>metric</th><th>slice</th><th>n</th><th>value</th><th>interval</th></tr>"
        body = "".join(_html_row(record) for record in self.scores)
        caption = f"<caption>{html.escape(self.system)} on {html.escape(self.set)}</caption>"
        return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"

    def save(self, folder: str | Path, *, replace: bool = False) -> Path:
        """Write `<folder>/<set>/<system>/`; ResultError where it holds a result of other inputs."""
        check(Path(folder), self.document, replace=replace)
        return write(Path(folder), [self], replace=replace)[0]


def encode(document: Any) -> bytes:
    """Sorted keys, indented, one final newline."""
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=1) + b"\n"


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


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in record.items() if key not in ("interval", "slice")}
    chosen = record["slice"] or {}
    flat["slice_field"], flat["slice_value"] = chosen.get("field"), chosen.get("value")
    for key, value in (record["interval"] or {}).items():
        flat[f"interval_{key}"] = value
    return flat


def _html_row(record: Mapping[str, Any]) -> str:
    chosen, bounds = record["slice"], record["interval"]
    cells = (
        record["label"]
        if record["output"] == record["metric"]
        else f"{record['label']} {record['output']}",
        f"{chosen['field']}={chosen['value']}" if chosen else "",
        str(record["n"]),
        record["status"] if record["value"] is None else f"{record['value']:.4g}",
        f"[{bounds['low']:.4g}, {bounds['high']:.4g}]"
        if bounds
        else str(record.get("interval_reason")),
    )
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
