"""The one reader of stored results: whole, of one version, and of a schema that it knows."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar

import msgspec

from evalkit.errors import ResultError
from evalkit.results import places
from evalkit.results.result import SCHEMA, Result, table_file
from evalkit.results.swapping import locked, stranded
from evalkit.table import Table

Read = TypeVar("Read")
TRIES = 5
READS = "score"


class _Bounds(TypedDict):
    low: float
    high: float
    level: float
    method: str


class _Score(TypedDict):
    metric: str
    label: str
    output: str
    slice: dict[str, str] | None
    n: int
    value: float | None
    status: str
    scale: tuple[float | None, float | None]
    higher_is_better: bool
    signature: str | None
    interval: _Bounds | None
    parameters: NotRequired[dict[str, Any]]
    reason: NotRequired[str | None]
    interval_reason: NotRequired[str]


class _Document(TypedDict):
    system: str
    set: str
    inputs: dict[str, Any]
    scores: list[_Score]
    warnings: list[dict[str, Any]]
    protocol: NotRequired[str]
    options: NotRequired[dict[str, Any]]


def read_document(folder: str | Path) -> dict[str, Any]:
    """result.json alone; ResultError where it cannot be read."""
    return _stable(result_folder(folder), _document)


def read_facts(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """result.json and run.json, without tables and examples; ResultError as for load."""
    return _stable(result_folder(folder), lambda place: (_document(place), _run(place)))


def load(path: str | Path) -> Result:
    """A result folder, or the result.json in it; ResultError where it cannot be read."""
    return _stable(result_folder(path), _load)


def result_folder(path: str | Path) -> str:
    """The folder of a result that is named by its folder or by its result.json."""
    place = str(path)
    return places.parent(place) if places.name(place) == "result.json" else place


def _stable(place: str, reader: Callable[[str], Read]) -> Read:
    """What is replaced while it is read is read again, so that no two versions mix."""
    if places.is_url(place):
        return reader(place)
    for attempt in range(TRIES):
        folder = Path(place)
        last = attempt == TRIES - 1
        still = locked(folder.parent, shared=True) if last else nullcontext()
        with still:
            before = _version(folder)
            try:
                found = reader(place if before is not None else _left_aside(folder))
            except ResultError:
                if _version(folder) == before or last:
                    raise
            else:
                if _version(folder) == before:
                    return found
    raise ResultError("is replaced again and again while it is read; try again later", place)


def _version(folder: Path) -> tuple[int, ...] | None:
    try:
        told = folder.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino, told.st_mtime_ns, told.st_ctime_ns


def _left_aside(folder: Path) -> str:
    """Where a result is that a killed process moved aside, once no process moves it any more."""
    with suppress(OSError), locked(folder.parent, shared=True):
        if not folder.exists() and (old := stranded(folder)) is not None:
            return str(old)
    return str(folder)


def _load(place: str) -> Result:
    document = _document(place)
    tables = {}
    for label in sorted({one["label"] for one in document["scores"] if one["status"] == "ok"}):
        where = places.join(place, table_file(label))
        tables[label] = _table(where)
        if tables[label].header.metric != label.partition(":")[0]:
            raise ResultError(f"holds a table of {tables[label].header.metric}", where)
    examples = _objects(places.join(place, "examples.jsonl.gz"))
    return Result(document, tables, examples, _run(place))


def _table(where: str) -> Table:
    try:
        return Table.load(io.BytesIO(places.read(where)))
    except OSError as error:
        raise ResultError(f"no table here ({error.strerror}); score again", where) from None
    except ResultError as error:
        raise ResultError(error.message, where) from None


def _document(place: str) -> dict[str, Any]:
    where = places.join(place, "result.json")
    try:
        document = msgspec.json.decode(places.read(where))
    except OSError as error:
        raise ResultError(f"no result here: {error.strerror}", where) from None
    except msgspec.DecodeError as error:
        raise ResultError(f"not valid JSON: {error}", where) from None
    except UnicodeDecodeError:
        raise ResultError("not valid UTF-8; score again", where) from None
    _refuse_unknown(document, where)
    wanted = ("inputs", "scores", "warnings", "system", "set")
    if lacking := [key for key in wanted if key not in document]:
        raise ResultError(f"lacks {', '.join(lacking)}; score again", where)
    try:
        msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise ResultError(f"damaged: {error}; score again", where) from None
    return dict(document)


def _refuse_unknown(document: Any, where: str) -> None:
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ResultError(
            f"a result of schema {schema}, but this evalkit reads {SCHEMA}; "
            "score again or use the evalkit that wrote it",
            where,
        )
    if (kind := document.get("kind", READS)) != READS:
        raise ResultError(
            f'holds a "{kind}", but the result of `evalkit score` is wanted; name one of those',
            where,
        )


def _run(place: str) -> dict[str, Any]:
    """{} where there is no run.json: results that Python saves have an empty one."""
    where = places.join(place, "run.json")
    try:
        found = msgspec.json.decode(places.read(where))
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultError(f"damaged: {error}; score again", where) from None
    if not isinstance(found, dict):
        raise ResultError("damaged: one JSON object is wanted; score again", where)
    return found


def _objects(where: str) -> list[Mapping[str, Any]]:
    """The JSON objects of the lines of a packed file; [] where there is none."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(places.read(where))) as lines:
            return [decoder.decode(line) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise ResultError(f"damaged: {error}; score again", where) from None
