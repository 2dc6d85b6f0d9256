"""Which look at its set a gate is; kept beside the set's results, or where the user says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import ResultError, UsageError
from evalkit.results import Result
from evalkit.verbs.gating.evidence import predictions_of
from evalkit.verbs.gating.subjects import Subject
from evalkit.verbs.looks import FILE, Look, Looks, opened


def looks_file(place: str, asked: str | None) -> Path | None:
    """Of the set that the result at `place` belongs to; None where that is a URL."""
    if asked is not None:
        return Path(asked)
    return None if "://" in place else Path(place).absolute().parent / FILE


@contextmanager
def counted_looks(
    path: Path | None, notes: list[str], *, sequential: bool
) -> Iterator[Looks | None]:
    """The looks so far, locked until the end; None, with a note, where none can be kept.

    UsageError or ResultError where the gate is sequential: uncounted looks void what it promises.
    """
    if path is None:
        if sequential:
            raise UsageError("--sequential counts looks in a file; name it: --looks FILE")
        notes.append("this look is not counted, because the result is at a URL")
        yield None
        return
    looks = opened(path)
    try:
        found = looks.__enter__()
    except ResultError as error:
        if sequential:
            raise
        notes.append(f"this look is not counted: {error}")
        yield None
        return
    try:
        yield found
    finally:
        looks.__exit__(None, None, None)


def numbers(looks: Looks, results: Sequence[Result], baseline: Result | None) -> dict[str, int]:
    """Hash of the predictions -> which look at the set this is; the same again is the same look."""
    known = {predictions_of(one): looks.number(*_pair(one, baseline)) for one in results}
    new = max(known.values(), default=1)
    seen: dict[str, int] = {}
    for key, number in known.items():  # several new systems in one call are several looks
        if number in seen.values():
            number = max(new, *seen.values()) + 1
        seen[key] = number
    return seen


def keep(
    looks: Looks,
    subjects: Sequence[Subject],
    rows: Sequence[Mapping[str, Any]],
    baseline: Result | None,
) -> None:
    """One line per rule; a look that was kept before stays as it was."""
    for subject, row in zip(subjects, rows, strict=True):
        references, against, predictions = _pair(subject.system, baseline)
        looks.append(
            Look(
                references,
                against,
                predictions,
                subject.system.system,
                _identity(subject),
                row["look"],
                row["alpha"],
                row["wealth"] or 0.0,
                row["verdict"] == "fail",
            )
        )


def _pair(result: Result, baseline: Result | None) -> tuple[str, str, str]:
    against = "" if baseline is None else predictions_of(baseline)
    return str(result.document["inputs"]["references"]), against, predictions_of(result)


def _identity(subject: Subject) -> str:
    """All that makes it another rule."""
    kept = asdict(subject.rule) | {
        "metric": subject.record["label"],
        "output": subject.record["output"],
        "slice": subject.record["slice"],
    }
    kept = {key: value for key, value in kept.items() if key not in ("name", "where")}
    return msgspec.json.encode(kept, order="sorted").decode()
