"""Example: one unit of the test set; System: one system's examples, in order of id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

MISSING_VALUE = "(missing)"


@dataclass(frozen=True, slots=True)
class Example:
    """`references` holds one entry per reference; `fields` whatever else the records carried."""

    id: str
    prediction: Any
    references: tuple[Any, ...]
    cluster: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """One system's examples, sorted by the bytes of their ids.

    missing: how many predictions were scored as empty; unused: how many references had no
    prediction and were left out; kind: of the records; remarks: (code, message) of what whoever
    read them had to decide; files: sha256 of the bytes of each source, all files of references
    among them.
    """

    name: str
    examples: Sequence[Example]
    missing: int = 0
    sources: tuple[str, ...] = ()
    unused: int = 0
    kind: str = "text"
    remarks: tuple[tuple[str, str], ...] = ()
    files: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def source(self) -> str | None:
        """The file that messages about this system name."""
        return self.sources[0] if self.sources else None

    @cached_property
    def ids(self) -> tuple[bytes, ...]:
        return tuple(example.id.encode() for example in self.examples)

    @cached_property
    def references_digest(self) -> str:
        """The identity of the set: systems scored on equal references are paired."""
        return digest((example.id, example.references) for example in self.examples)

    @cached_property
    def predictions_digest(self) -> str:
        return digest((example.id, example.prediction) for example in self.examples)

    @cached_property
    def fields_digest(self) -> str:
        return digest((example.id, example.fields) for example in self.examples)


def digest(records: Iterable[Any]) -> str:
    """sha256 of records as canonical JSON lines (sorted keys); give them in order of id."""
    encoder = msgspec.json.Encoder(order="sorted")
    total = hashlib.sha256()
    for record in records:
        total.update(encoder.encode(record))
        total.update(b"\n")
    return total.hexdigest()
