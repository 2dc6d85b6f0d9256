"""Which results a gate judges, and which one is its baseline."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.errors import DataError, ResultError, UsageError
from evalkit.results import Result, load, places
from evalkit.results.reading import read_document, result_folder
from evalkit.results.store import places_of
from evalkit.results.swapping import targets
from evalkit.verbs.gating.baseline import BASELINE
from evalkit.verbs.gating.evidence import predictions_of

RESULTS = "results"
SHOWN = 3  # results in a message


@dataclass(frozen=True)
class Loaded:
    """A result by its place; found: in a folder that was named, not named itself."""

    place: str
    result: Result
    found: bool


def loaded(arguments: Sequence[str]) -> list[Loaded]:
    """What is named, else all in `results`, each once; EvalkitError where one is no result."""
    if not arguments:
        if not Path(RESULTS).is_dir():
            raise UsageError("which result? evalkit gate results/SET/SYSTEM")
        arguments = (RESULTS,)
    named: dict[str, bool] = {}
    for argument in arguments:
        if places.is_url(argument) or result_folder(argument) != argument or _is_result(argument):
            named[result_folder(argument)] = False
            continue
        for place in _inside(argument):
            named.setdefault(place, True)
    return [Loaded(place, load(place), found) for place, found in named.items()]


def baseline_place(asked: str | None) -> str | None:
    """As asked, else the folder in the repository where it is there."""
    if asked is not None:
        return asked
    return BASELINE if _is_result(BASELINE) else None


def load_baseline(place: str) -> Result:
    """ResultError, with the way to a baseline or back to it."""
    try:
        return load(place)
    except ResultError as error:
        folder = result_folder(place)
        if places.is_url(place) or _is_result(folder):
            raise _damaged(error, folder) from None
        raise ResultError(
            "no result here to pair with; --baseline names the folder of one, and evalkit gate "
            f"RESULT --baseline {folder} --update-baseline keeps one there{_like(folder)}",
            folder,
        ) from None


def _damaged(error: ResultError, folder: str) -> ResultError:
    """A baseline that was kept in the repository can be had from there."""
    if places.is_url(folder) or (Path(folder) / "run.json").exists():
        return error
    flag = "" if folder == BASELINE else f"--baseline {folder} "
    message = error.message.removesuffix("; score again")
    return ResultError(
        f"{message}; git checkout {folder}, or evalkit gate RESULT {flag}--update-baseline",
        error.where,
    )


def without_baseline(given: Sequence[Loaded], place: str | None, notes: list[str]) -> list[Loaded]:
    """A set's folder may hold the baseline itself, or the result that it was made from.

    These are not gated, unless nothing else is there; UsageError where that is the baseline.
    """
    if place is None:
        return list(given)
    own = Path(result_folder(place)).resolve()
    others = [one for one in given if Path(one.place).resolve() != own]
    if not others:
        raise UsageError("the only result is the baseline itself; name another one")
    made_from: Mapping[str, Any] = {}
    with suppress(ResultError):  # said where a rule wants it
        made_from = read_document(place)
    left = [one for one in others if not (one.found and _is_of(one.result, made_from))]
    for one in others:
        if left and one not in left:
            notes.append(
                f"{one.place} is left out: the baseline was made from it; name it to gate it"
            )
    return left or others


def _is_of(result: Result, document: Mapping[str, Any]) -> bool:
    """The same system with the same predictions for the same references."""
    return bool(document) and (
        (result.system, result.set) == (document["system"], document["set"])
        and predictions_of(result) == document["inputs"].get("predictions")
        and result.document["inputs"]["references"] == document["inputs"].get("references")
    )


def refuse_other_sets(given: Sequence[Loaded]) -> None:
    """DataError where results are of different sets, or of other references."""
    first = given[0]
    for one in given[1:]:
        ours, theirs = first.result.document["inputs"], one.result.document["inputs"]
        if one.result.set != first.result.set or ours["references"] != theirs["references"]:
            raise DataError(
                f"{one.place} is of the set {one.result.set}, but {first.place} of "
                f"{first.result.set} or of other references; gate one set at a time"
            )


def _is_result(folder: str) -> bool:
    return (Path(folder) / "result.json").is_file()


def _inside(folder: str) -> list[str]:
    """All results of a set's folder, or of a folder that holds sets; in order of name.

    Also what a killed process left aside, and what is a result no more: `load` has it or says so.
    """
    path = Path(folder)
    if not path.exists():
        if path.parent.is_dir() and path in targets(path.parent):
            return [folder]
        hint = _like(folder) or "; evalkit score writes one"
        raise DataError(f"no such result{hint}", folder)
    found = list(places_of([folder]))
    if not found:
        raise DataError("holds no result; evalkit score writes one", folder)
    return found


def _below(path: Path, patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        for one in sorted(path.glob(pattern)):
            if not any(part.startswith(".") for part in one.relative_to(path).parts):
                yield str(one.parent)


def _like(given: str) -> str:
    """`; did you mean results/s/a?`, by system, SET/SYSTEM, set or path; else what there is."""
    known: dict[str, dict[str, None]] = {}
    for place in _below(Path(RESULTS), ("*/*/result.json",)):
        system, folder = places.name(place), places.parent(place)
        of = places.name(folder)
        for word, meant in ((system, place), (f"{of}/{system}", place), (place, place)):
            known.setdefault(word, {})[meant] = None
        known.setdefault(of, {})[folder] = None
    asked = (given.rstrip("/"), places.name(given))
    close = [word for one in asked for word in difflib.get_close_matches(one, known, n=1)]
    for word in (*asked, *close):
        if found := known.get(word):
            return f"; did you mean {' or '.join([*found][:SHOWN])}?"
    held = [word for word, found in known.items() if word in found]
    more = f" and {len(held) - SHOWN:,} more" if len(held) > SHOWN else ""
    return f"; there are {', '.join(held[:SHOWN])}{more}" if held else ""
