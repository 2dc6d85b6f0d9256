"""From stored tables back to metrics, units and slices, so that nothing is scored twice."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evalkit import catalogue
from evalkit.errors import DataError, MetricError, ResultError
from evalkit.metric import Metric
from evalkit.records.example import MISSING_VALUE
from evalkit.results import Result
from evalkit.stats.units import Units
from evalkit.table import Header, Table

SliceName = Mapping[str, str]
Mask = NDArray[np.bool_]
_SOURCE = re.compile(r"(?:^|\|)source:([0-9a-f]{8})\|")


def stored_metric(header: Header, files: Sequence[str] = ()) -> Metric:
    """The metric that made a table; it scores the table's rows and no example.

    files: metric files of one's own, `./mine.py`, where the catalogue does not hold them. A
    MetricError says the way out where a metric cannot be had again: the file is not named or has
    changed, or the metric was an object made in Python.
    """
    found = _class_of(header, files)
    _require_same_source(header, found)
    given = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in header.parameters.items()
    }
    try:
        return found(**given)
    except TypeError:
        raise MetricError(
            f"{header.metric}: its parameters have changed since the table was stored; score again"
        ) from None


def _class_of(header: Header, files: Sequence[str]) -> type[Metric]:
    own = [file for file in files if Path(file).stem == header.metric]
    if own:
        return catalogue.metric_class(own[0])
    known = catalogue.entries("metrics")
    if header.metric in known:
        return catalogue.metric_class(header.metric)
    raise MetricError(
        f'the stored metric "{header.metric}" is not in the catalogue; a file of one\'s own is '
        f"found where [tool.evalkit] catalogue looks, or named: --metric ./{header.metric}.py"
    )


def _require_same_source(header: Header, found: type[Metric]) -> None:
    stored = _SOURCE.search(header.signature)
    source = getattr(sys.modules[found.__module__], "__evalkit_source__", None)
    if stored is None:
        return
    if source is None or hashlib.sha256(source).hexdigest()[:8] != stored[1]:
        raise MetricError(
            f'the file of "{header.metric}" is not the one that the result was scored with '
            f"(source:{stored[1]}); name that file, or score again"
        )


def units_of(result: Result, table: Table, chosen: Mask | None = None) -> Units:
    """What was resampled when the result was scored; chosen [n]: the units of these examples.

    ResultError where the examples do not belong to the table.
    """
    clusters = None
    if result.document["inputs"].get("clusters") is not None:
        _require_examples(result, table)
        clusters = [str(example["cluster"]) for example in result.examples]
    units = Units.of(table.ids, clusters)
    return units if chosen is None else units.take(chosen)[0]


def _require_examples(result: Result, table: Table) -> None:
    ids = tuple(str(example["id"]).encode() for example in result.examples)
    if ids != table.ids:
        raise ResultError(
            f"{result.system}: the stored examples are not those of the table; score again"
        )


def slice_masks(result: Result) -> Iterator[tuple[SliceName | None, Mask | None]]:
    """The whole set as (None, None), then every stored slice and its examples [n], in order."""
    yield None, None
    seen: list[SliceName] = []
    for record in result.document["scores"]:
        if record["slice"] is not None and record["slice"] not in seen:
            seen.append(record["slice"])
    for name in seen:
        yield name, slice_mask(result, name["field"], name["value"])


def slice_mask(result: Result, field: str, value: str) -> Mask:
    """[n]: which examples are of a slice; ResultError where the field is not stored."""
    if not any(field in example["fields"] for example in result.examples):
        raise ResultError(
            f'{result.system}: the stored examples have no field "{field}"; score again'
        )
    return np.array([_label(example["fields"].get(field)) == value for example in result.examples])


def _label(value: object) -> str:
    """As `score` names the value of a slice."""
    if value is None:
        return MISSING_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def require_same_parts(name: str, ours: Result, other: str, theirs: Result) -> None:
    """DataError where an example is in other slices or another cluster of two paired results.

    A field that one of them does not keep is taken from the other.
    """
    fields = {part["field"] for part, _ in slice_masks(ours) if part is not None}
    for field in sorted(fields):
        for mine, its in zip(ours.examples, theirs.examples, strict=False):
            if field in its["fields"] and its["fields"][field] != mine["fields"].get(field):
                raise DataError(
                    f'{name} and {other} put id "{mine["id"]}" into different slices of {field}: '
                    f"{mine['fields'].get(field)!r} and {its['fields'][field]!r}"
                )
    if _clusters(ours) != _clusters(theirs):
        raise DataError(
            f"{name} and {other} have different clusters; score both with the same --cluster"
        )


def _clusters(result: Result) -> list[str | None] | None:
    if result.document["inputs"].get("clusters") is None:
        return None
    return [example["cluster"] for example in result.examples]
