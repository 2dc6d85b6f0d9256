"""The one reader of stored results: whole, of one version, and of a schema that it knows."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict, TypeVar

import msgspec

from evalkit.errors import ResultError
from evalkit.results import places
from evalkit.results.examples import read_examples, require_same_ids
from evalkit.results.result import SCHEMA, Result, table_file
from evalkit.results.swapping import locked, stranded
from evalkit.table import Table

Read = TypeVar("Read")
TRIES = 5
READS = "score"
Count = Annotated[int, msgspec.Meta(ge=0)]


class DamagedError(ResultError):
    """What was written whole and is whole no more; what merely cannot be read here is not that."""


class _Bounds(TypedDict):
    low: float
    high: float
    level: float
    method: str


class _Slice(TypedDict):
    field: str
    value: str


class _Inputs(TypedDict):
    predictions: str
    references: str
    examples: Count
    clusters: NotRequired[Count | None]
    missing: NotRequired[Count]
    unused_references: NotRequired[Count]


class _Options(TypedDict):
    bootstrap: Literal["poisson", "multinomial"]
    cluster: str | None
    interval: str
    level: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    resamples: Count
    seed: Count
    slices: list[str]


class _Score(TypedDict):
    metric: str
    label: str
    output: str
    slice: _Slice | None
    n: Count
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
    inputs: _Inputs
    scores: list[_Score]
    warnings: list[dict[str, Any]]
    protocol: NotRequired[str]
    options: NotRequired[_Options]


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
        with places.named_publicly(place):
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
    outputs: dict[str, set[str]] = {}
    for one in document["scores"]:
        if one["status"] == "ok":
            outputs.setdefault(one["label"], set()).add(one["output"])
    tables = {}
    for label in sorted(outputs):
        where = places.join(place, table_file(label))
        tables[label] = _table(where)
        header = tables[label].header
        if header.metric != label.partition(":")[0]:
            raise ResultError(f"holds a table of {header.metric}", where)
        if others := sorted(outputs[label] - {*header.outputs}):
            raise ResultError(f"has no {', '.join(others)}, as result.json has; score again", where)
    where = places.join(place, "examples.jsonl.gz")
    examples = read_examples(where)
    require_same_ids(examples, tables, where)
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
    except FileNotFoundError as error:
        raise DamagedError(f"no result here: {error.strerror}", where) from None
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror}", where) from None
    except msgspec.DecodeError as error:
        raise DamagedError(f"not valid JSON: {error}", where) from None
    except UnicodeDecodeError:
        raise DamagedError("not valid UTF-8; score again", where) from None
    except RecursionError:
        raise DamagedError("damaged: nested too deeply; score again", where) from None
    _refuse_unknown(document, where)
    wanted = ("inputs", "scores", "warnings", "system", "set")
    if lacking := [key for key in wanted if key not in document]:
        raise DamagedError(f"lacks {', '.join(lacking)}; score again", where)
    try:
        msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise DamagedError(f"damaged: {error}; score again", where) from None
    for number, one in enumerate(document["scores"]):
        if (one["status"] == "ok") != (one["value"] is not None):
            raise DamagedError(
                f"damaged: a status of {one['status']} with the value {one['value']} - at "
                f"`$.scores[{number}]`; score again",
                where,
            )
    return dict(document)


def _refuse_unknown(document: Any, where: str) -> None:
    if not isinstance(document, dict) or "schema" not in document:
        raise DamagedError("damaged: no schema; score again", where)
    schema = document["schema"]
    if schema != SCHEMA:
        newer = isinstance(schema, int | float) and schema > SCHEMA
        known = f"is newer than this evalkit reads ({SCHEMA})"
        raise ResultError(
            f"schema {schema!r} {known if newer else f'is not the one read here, {SCHEMA}'}; "
            "use the evalkit that wrote it, or score again",
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
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror}", where) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError(f"damaged: {error}; score again", where) from None
    if not isinstance(found, dict):
        raise DamagedError("damaged: one JSON object is wanted; score again", where)
    return found
