"""What can go wrong, said so that the reader knows what to type next.

EvalkitError                       exit code
├── UsageError                     2   a flag or an argument that makes no sense
├── DataError                      2   an input file or record
├── ProtocolError                  2   a protocol file
├── MetricError                    2   a metric or its parameters
│   └── UnavailableError           2   the metric cannot run here (becomes a status in a score)
│       └── MissingDependencyError 2   a library is not installed
├── ResultError                    2   a results folder
└── ServiceError                   4   an external service failed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class EvalkitError(Exception):
    """`message` says what and what to type next; `where` is `file:line`, a file, or None."""

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(message, where)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(EvalkitError):
    kind = "usage"


class DataError(EvalkitError):
    kind = "data"


class ProtocolError(EvalkitError):
    kind = "protocol"


class MetricError(EvalkitError):
    kind = "metric"


class UnavailableError(MetricError):
    kind = "unavailable"


class MissingDependencyError(UnavailableError):
    kind = "missing-dependency"


class ResultError(EvalkitError):
    kind = "result"


class ServiceError(EvalkitError):
    kind = "service"
    exit_code = 4


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "bleu"?`, or what there is to choose from."""
    names = sorted(known)
    folded = {name.casefold(): name for name in names}
    if close := difflib.get_close_matches(word.casefold(), folded, n=1):
        return f'; did you mean "{folded[close[0]]}"?'
    return f"; known: {', '.join(names)}" if names else ""


def counted(number: int, noun: str) -> str:
    """`1 example`, `1,200 examples`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(text: str) -> str:
    """Without control characters, which could drive the terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
