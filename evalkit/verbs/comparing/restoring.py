"""Stored examples as a system again, to fit and score anew on some of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from evalkit.errors import DataError, ResultError
from evalkit.protocol import Protocol
from evalkit.records.boxes import Box
from evalkit.records.example import Example, System
from evalkit.results import Result
from evalkit.verbs.plan import Plan, ScoreOptions, plan

TYPES: Mapping[str, tuple[Any, Any]] = {
    "boxes": (tuple[Box, ...], tuple[tuple[Box, ...], ...]),
}  # kinds whose values are not plain JSON: prediction, references


def restored_plan(result: Result, reads: str, chosen: Collection[str]) -> Plan:
    """The chosen examples of a stored result, scored as it was; intervals are left out."""
    if not result.examples:
        raise DataError("holds no examples, which must be scored anew", result.system)
    examples = [_example(one, reads) for one in result.examples if str(one["id"]) in chosen]
    options = msgspec.convert(result.document["options"], ScoreOptions, strict=False)
    protocol = Protocol(reads, reads, metrics=[], name=str(result.document["protocol"]))
    system = System(result.system, examples, kind=reads)
    return plan(system, protocol, replace(options, interval="none"), None)


def _example(record: Mapping[str, Any], reads: str) -> Example:
    prediction, references = TYPES.get(reads, (Any, tuple[Any, ...]))
    try:
        return Example(
            str(record["id"]),
            msgspec.convert(record["prediction"], prediction),
            msgspec.convert(record["references"], references),
            record["cluster"],
            record["fields"],
        )
    except (msgspec.ValidationError, KeyError, TypeError) as error:
        raise ResultError(
            f'the stored example "{record.get("id")}" cannot be read: {error}'
        ) from None
