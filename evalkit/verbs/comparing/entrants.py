"""What `compare` is given: result folders, results, prediction files, runs of one system."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evalkit import catalogue
from evalkit.errors import DataError, UsageError, counted, did_you_mean
from evalkit.records.addresses import STDIN, is_url, public, stem
from evalkit.records.formats import read_records
from evalkit.records.source import Source
from evalkit.results import Result, load
from evalkit.results.store import named
from evalkit.tables.build import Progress, silent
from evalkit.verbs.score_files import ScoreRequest, ScoreRun, score_files

PATTERN = set("*?[")
Given = str | os.PathLike[str] | Result


@dataclass(frozen=True)
class Entrant:
    """A system that is compared; more than one result: training runs of it."""

    name: str
    runs: tuple[Result, ...]


@dataclass(frozen=True)
class _Asked:
    """An argument: its name where one was given, and the results or files that it stands for."""

    name: str | None
    paths: tuple[Given, ...]


def read_entrants(
    arguments: Sequence[Given | Sequence[Given]],
    request: ScoreRequest,
    *,
    run_field: str | None = None,
    progress: Progress = silent,
) -> tuple[list[Entrant], list[str]]:
    """Entrants in the order given, and notes for the user.

    Each argument is a result folder, a result.json, a Result, or a file of predictions, which is
    scored as `request` says and not stored; NAME=… names it, and a pattern or a list with several
    of them is several runs of one system. run_field: the field of prediction files that tells
    runs apart. UsageError, DataError, ResultError.
    """
    asked = [_asked(one) for one in arguments]
    loaded = {
        (i, j): _load(path)
        for i, one in enumerate(asked)
        for j, path in enumerate(one.paths)
        if _is_result(path)
    }
    if len(loaded) == sum(len(one.paths) for one in asked):
        _refuse_flags(request, run_field)
    request = _like_stored(request, list(loaded.values()))
    notes: list[str] = []
    entrants: list[Entrant] = []
    for i, one in enumerate(asked):
        files = [str(path) for j, path in enumerate(one.paths) if (i, j) not in loaded]
        stored = [loaded[i, j] for j in range(len(one.paths)) if (i, j) in loaded]
        if not files:
            name = one.name or _shared_name(stored)
            entrants.append(Entrant(name, tuple(stored)))
            continue
        run = _scored(files, request, run_field, progress)
        notes.extend(run.notes)
        many = len(files) > 1 or run_field is not None
        if many:
            name = one.name or stem(files[0])
            entrants.append(Entrant(name, (*stored, *run.results)))
        elif one.name is not None and len(run.results) == 1:
            entrants.append(Entrant(one.name, tuple(run.results)))
        else:
            entrants.extend(Entrant(result.system, (result,)) for result in run.results)
    return _distinct(entrants), list(dict.fromkeys(notes))


def _asked(argument: Given | Sequence[Given]) -> _Asked:
    if isinstance(argument, Result):
        return _Asked(None, (argument,))
    if isinstance(argument, list | tuple):
        if not argument:
            raise UsageError("an empty list names no system")
        return _Asked(None, tuple(argument))
    text = os.fspath(argument)  # type: ignore[arg-type]
    name, equals, path = text.partition("=")
    if not equals or "/" in name or Path(text).exists():
        name, path = "", text
    elif not name or not path:
        raise UsageError(f'"{text}": a named system is NAME=FILE')
    known = is_url(path) or path == STDIN or Path(path).exists()
    if not known and PATTERN & set(path):
        found = sorted(glob.glob(path))  # noqa: PTH207 (a pattern of any depth, as a shell's)
        if not found:
            raise DataError("no file matches this pattern", path)
        return _Asked(name or None, tuple(found))
    if not known and (place := named(path)) is not None:
        path = place
    return _Asked(name or None, (path,))


def _is_result(given: Given) -> bool:
    if isinstance(given, Result):
        return True
    path = Path(given)
    return path.is_dir() or path.name == "result.json"


def _load(given: Given) -> Result:
    if isinstance(given, Result):
        return given
    if is_url(str(given)):
        return load(str(given))
    path = Path(given)
    if path.is_dir() and not (path / "result.json").is_file():
        inside = sorted(str(one.parent) for one in path.glob("*/result.json"))
        hint = f"; name one of the results in it: {', '.join(inside[:4])}" if inside else ""
        raise DataError(f"a folder without result.json is no result{hint}", str(path))
    return load(path)


def _refuse_flags(request: ScoreRequest, run_field: str | None) -> None:
    """Stored results are compared as they were scored."""
    given = {
        "--refs": request.references,
        "--protocol": request.protocol,
        "--cluster": request.cluster,
        "--slice": request.slices,
        "--field": request.fields,
        "--format": request.format,
        "--box-format": request.box_format,
        "--run": run_field,
    }
    if flags := [name for name, value in given.items() if value]:
        raise UsageError(
            f"{', '.join(flags)}: only for files of predictions, and these are stored results, "
            "which are compared as they were scored; score them anew (evalkit score)"
        )


def _like_stored(request: ScoreRequest, stored: Sequence[Result]) -> ScoreRequest:
    """Prediction files beside stored results are scored as these were, unless flags say else."""
    if not stored or request.metrics or request.protocol is not None:
        return request
    first = stored[0].document
    labels = tuple(dict.fromkeys(one["label"] for one in first["scores"] if one["status"] == "ok"))
    for label in labels:
        name = label.partition(":")[0]
        known = name in catalogue.entries("metrics")
        if not known or catalogue.metric_class(name).cached is False:
            raise UsageError(
                f"these files would be scored by what the stored result names: {label}; name the "
                "metrics to allow that: --metric …"
            )
    cluster = request.cluster if request.cluster is not None else first["options"]["cluster"]
    return replace(request, metrics=labels, cluster=cluster)


def _scored(
    files: Sequence[str], request: ScoreRequest, run_field: str | None, progress: Progress
) -> ScoreRun:
    fields = request.fields
    if run_field is not None:
        for file in files:
            _require_field(file, run_field, request.format)
        fields = (*fields, f"system={run_field}")
    return score_files(
        replace(request, predictions=tuple(files), fields=fields, interval="none", out=None),
        progress,
    )


def _require_field(file: str, name: str, form: str | None) -> None:
    _, record = next(read_records(Source(file), form, "prediction"), (0, {}))
    if name not in record:
        raise UsageError(
            f'--run {name}: the first record of {public(file)} has no field "{name}"'
            f"{did_you_mean(name, record)}"
        )


def _shared_name(results: Sequence[Result]) -> str:
    names = list(dict.fromkeys(result.system for result in results))
    if len(names) == 1:
        return names[0]
    raise UsageError(
        f"these are runs of one system, but are called {', '.join(names[:3])}; name it: NAME=…"
    )


def _distinct(entrants: list[Entrant]) -> list[Entrant]:
    """Two results of one name in different folders are told apart by their set or place."""
    if len(entrants) < 2:
        raise UsageError(
            f"{counted(len(entrants), 'system')}, but a comparison wants two: "
            "evalkit compare BASELINE SYSTEM…"
        )
    names = [one.name for one in entrants]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(
            f'two systems are called "{twice}"; name them: NAME={twice} (evalkit compare '
            "before=results/a after=results/b)"
        )
    return entrants
