"""Any scorer as a command: JSON lines in on stdin, one JSON value per line out on stdout."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import evalkit
from evalkit.adapters.conversation import converse, time_limit
from evalkit.adapters.per_instance import PerInstance
from evalkit.errors import MetricError, plain
from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example

NAME = re.compile(r"-?\w[\w.@+-]*", re.ASCII)


@dataclass(frozen=True)
class Command(MeanMetric):
    """command: a command line, split as a shell would, run without one; names: of its outputs.

    In: `{"id", "prediction", "references", "fields"}`, ASCII, one line per example. Out, in the
    same order: a number, or an object of the named numbers, with the id where one likes. On the
    command line `command:./x.sh` has the output "score", and `command:[f1,-ter]./x.sh` has f1 and
    ter, lower being better after a minus. The values are means over the examples. A run longer
    than EVALKIT_COMMAND_TIMEOUT seconds (3600) is ended.
    """

    command: str
    names: str = "score"

    outputs: ClassVar[Any] = PerInstance(
        (Output("score", (None, None)),), lambda metric: metric.declared
    )
    reads: ClassVar = "text"
    whole: ClassVar = True
    cached: ClassVar = False  # what a program loads by itself is not known
    reference: ClassVar = "the command's own; the signature holds the sha256 of its files"

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise MetricError(f"command: {self.command}: {error}") from None
        if not words or not words[0]:
            raise MetricError("command: which one? e.g. command:./score.sh")
        names = [name.removeprefix("-") for name in self.names.split(",")]
        for name in self.names.split(","):
            if not NAME.fullmatch(name) or name == "id" or names.count(name) > 1:
                raise MetricError(
                    f'command: "{self.names}" cannot name the outputs; wanted are different names '
                    "with commas between them, a minus before one means lower is better: [f1,-ter]"
                )

    @classmethod
    def from_text(cls, text: str) -> Self:
        if not text.startswith("["):
            return cls(text)
        names, closed, command = text[1:].partition("]")
        if not closed:
            raise MetricError("command: the names of outputs lack their ]: command:[f1,-ter]./x.sh")
        return cls(command, names)

    @property
    def label(self) -> str:
        names = "" if self.names == "score" else f"[{self.names}]"
        return f"{self.name}:{names}{self.command}"

    @property
    def declared(self) -> tuple[Output, ...]:
        return tuple(
            Output(name.removeprefix("-"), (None, None), not name.startswith("-"))
            for name in self.names.split(",")
        )

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """The sha256 of every file that the command line names; MetricError where it cannot run."""
        words = shlex.split(self.command)
        _check_program(words[0])
        files = {word: _sha256(Path(word)) for word in words if _is_file(word)}
        return Fitted(state={"files": files})

    def signature(self, fitted: Fitted) -> str:
        files = fitted.state["files"].items()
        sums = "".join(f"{word}:{sha256[:12]}|" for word, sha256 in files)
        return f"command:{self.command}|outputs:{self.names}|{sums}evalkit:{evalkit.__version__}"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> list[list[float]]:
        """(value of each output, 1)."""
        if not examples:
            return []
        names = [output.name for output in self.declared]
        return converse(
            self.name,
            shlex.split(self.command),
            [_line(example) for example in examples],
            lambda position, answer: [*_numbers(answer, examples[position].id, names), 1.0],
            seconds=time_limit(self.name),
        )


def _check_program(word: str) -> None:
    if os.sep not in word:
        if shutil.which(word) is None:
            hint = f"; a file of one's own is named by its path: ./{word}"
            raise MetricError(f"command: no program on PATH is called {word}{hint}")
        return
    if not Path(word).is_file():
        raise MetricError(f"command: there is no file {word}")
    if not os.access(word, os.X_OK):
        raise MetricError(
            f"command: {word} cannot be executed: chmod +x {word}, or name what runs it, "
            f"e.g. command:python3 {word}"
        )


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a path, or no path at all
        return False


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MetricError(f"command: {path} cannot be read: {error.strerror}") from None


def _line(example: Example) -> bytes:
    """ASCII, so that no character of a text can end a line or break an encoding."""
    record = {
        "id": example.id,
        "prediction": example.prediction,
        "references": example.references,
        "fields": dict(example.fields),
    }
    try:
        return json.dumps(record, allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise MetricError(f'command: id "{example.id}" cannot become JSON: {error}') from None


def _numbers(answer: bytes, id: str, names: Sequence[str]) -> list[float]:
    """ValueError where the answer is not what was declared."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        raise ValueError(
            f"not JSON: {_shown(answer)}; stdout is for one JSON value per example, "
            "anything else goes to stderr"
        ) from None
    if not isinstance(value, Mapping):
        if len(names) > 1:
            raise ValueError(f"an object of {', '.join(names)} is wanted, not {_shown(answer)}")
        return [_number(value, answer)]
    given = dict(value)
    if str(given.pop("id", id)) != id:
        raise ValueError(f'the id "{id}" is due, not {_shown(answer)}')
    if set(given) != set(names):
        numbers = given and all(isinstance(one, int | float) for one in given.values())
        hint = f"; declare them: command:[{','.join(given)}]…" if numbers else ""
        raise ValueError(f"an object of {', '.join(names)} is wanted, not {_shown(answer)}{hint}")
    return [_number(given[name], answer) for name in names]


def _number(value: Any, answer: bytes) -> float:
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"a finite number is wanted, not {_shown(answer)}")
    return number


def _shown(answer: bytes) -> str:
    text = answer.decode("utf-8", "replace").strip()
    return plain(text if len(text) <= 80 else f"{text[:80]}…") or "an empty line"
