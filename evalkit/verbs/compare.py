"""`compare`: is the difference real? Systems against a baseline, from stored tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from evalkit.errors import UsageError, did_you_mean
from evalkit.results import Result
from evalkit.results.comparison import Comparison
from evalkit.stats.multiplicity import adjust, too_few_swaps
from evalkit.tables.build import Builder, Progress, silent
from evalkit.tables.pool import processors
from evalkit.verbs.comparing.contrasts import Work
from evalkit.verbs.comparing.differences import compared
from evalkit.verbs.comparing.entrants import Entrant, read_entrants
from evalkit.verbs.comparing.moved import moved
from evalkit.verbs.comparing.options import CompareOptions
from evalkit.verbs.comparing.pairing import common_labels, on_common, require_pairs
from evalkit.verbs.comparing.ranking import rankings
from evalkit.verbs.score_files import ScoreRequest

SCHEMA = 1


def compare(
    baseline: Any,
    *systems: Any,
    references: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resamples: int = 2000,
    swaps: int = 10_000,
    level: float = 0.95,
    seed: int = 12345,
    interval: str = "auto",
    test: str = "randomisation",
    correction: str = "holm",
    margin: float | None = None,
    on_common: bool = False,
    fold: str | None = None,
    moved: str | None = None,
    most_moved: int = 10,
    progress: Progress = silent,
) -> Comparison:
    """Systems against the first; the same code path as `evalkit compare`, and no file is written.

    Parameters
    ----------
    baseline, systems : each a Result, a result folder, a file of predictions (scored against
        `references` by `metrics`), or a list of those: training runs of one system.
    test : "randomisation" (swaps), or "bootstrap" (sacrebleu's shifted one).
    correction : of the p-values of the call: "holm", "bh" or "none".
    margin : the largest loss that does not matter, in each metric's own units.
    on_common : fit and compare on the examples that all have.
    fold : the field of the examples with the fold of a cross-validation.
    moved : the value (`"bleu"`, `"rouge rougeL"`) whose `most_moved` examples either way to list.

    Raises UsageError, DataError, ResultError, MetricError.
    """
    options = CompareOptions(
        resamples=resamples,
        swaps=swaps,
        level=level,
        seed=seed,
        interval=interval,
        test=test,
        correction=correction,
        margins=() if margin is None else (("", margin),),
        on_common=on_common,
        fold=fold,
        moved=moved,
        most_moved=most_moved,
    )
    request = ScoreRequest((), tuple(references), tuple(metrics))
    return compare_files((baseline, *systems), request, options, progress=progress)[0]


def compare_files(
    arguments: Sequence[str | os.PathLike[str] | Result | Sequence[Any]],
    request: ScoreRequest,
    options: CompareOptions,
    *,
    run_field: str | None = None,
    progress: Progress = silent,
) -> tuple[Comparison, list[str]]:
    """What the command does: read, score what is not scored, compare; and notes for the user."""
    if options.on_common:
        request = replace(request, only_predicted=True)
    entrants, notes = read_entrants(arguments, request, run_field=run_field, progress=progress)
    comparison, more = compare_entrants(entrants, options, progress, request.metrics)
    return comparison, notes + more


def compare_results(results: Sequence[Result], options: CompareOptions) -> Comparison:
    """The first is the baseline."""
    entrants = [Entrant(result.system, (result,)) for result in results]
    return compare_entrants(entrants, options)[0]


def compare_entrants(
    entrants: Sequence[Entrant],
    options: CompareOptions,
    progress: Progress = silent,
    metrics: Sequence[str] = (),
) -> tuple[Comparison, list[str]]:
    """metrics: of those that all have, the ones to compare; none: all."""
    labels, notes = common_labels(entrants, metrics)
    if options.on_common:
        entrants, note = on_common(entrants, labels, Builder(progress=progress), metrics)
        notes.append(note)
    require_pairs(entrants, labels)
    _require_margins(entrants[0].runs[0], labels, options)
    work = Work(options, progress, processors())
    found = list(compared(entrants, labels, work))
    differences = [record for one in found for record in one.differences]
    _correct(differences, options.correction)
    _judge(differences, options.level, _identical(entrants))
    ranked = list(rankings(found, work))
    first = entrants[0].runs[0].document
    document = {
        "schema": SCHEMA,
        "kind": "comparison",
        "baseline": entrants[0].name,
        "systems": [one.name for one in entrants[1:]],
        "set": first["set"],
        "protocol": first["protocol"],
        "options": {**asdict(options), "margins": dict(options.margins)},
        "inputs": {
            "references": first["inputs"]["references"],
            "examples": first["inputs"]["examples"],
            "predictions": {
                one.name: [run.document["inputs"]["predictions"] for run in one.runs]
                for one in entrants
            },
        },
        "differences": differences,
        "rankings": ranked,
        "moved": list(moved(entrants, labels, options)),
        "warnings": [
            *(warning for one in found for warning in one.warnings),
            *_swaps_warnings(differences, ranked, options),
        ],
    }
    return Comparison(document), notes


def _require_margins(first: Result, labels: Sequence[str], options: CompareOptions) -> None:
    known = {
        name
        for record in first.scores
        if record["label"] in labels
        for name in (record["label"], record["metric"], f"{record['label']} {record['output']}")
    }
    for name, _ in options.margins:
        if name and name not in known:
            raise UsageError(f'--margin: no value is called "{name}"{did_you_mean(name, known)}')


def _correct(differences: Sequence[dict[str, Any]], correction: str) -> None:
    """p_adjusted over all of a call; values of single labels are a family of their own."""
    for detail in (False, True):
        tests = [one["test"] for one in differences if one["test"] and one["detail"] == detail]
        adjusted = adjust([test["p"] for test in tests], correction)
        for test, p in zip(tests, adjusted, strict=True):
            test |= {"p_adjusted": float(p), "correction": correction, "family": len(tests)}


def _swaps_warnings(
    differences: Sequence[dict[str, Any]],
    ranked: Sequence[dict[str, Any]],
    options: CompareOptions,
) -> Iterator[dict[str, Any]]:
    """Too many tests for so few swaps: at most once."""
    families = [one["test"]["family"] for one in differences if one["test"]]
    drawn = any(one["test"] and one["test"].get("exact") is False for one in differences)
    tests = max([*families, *(one["pairs"] for one in ranked)], default=0)
    if drawn and (why := too_few_swaps(options.swaps, tests, options.correction, options.level)):
        yield {"system": None, "label": None, "code": "few-swaps", "message": why}


def _identical(entrants: Sequence[Entrant]) -> set[str]:
    """Systems whose predictions are the baseline's."""
    digests = {
        one.name: [run.document["inputs"]["predictions"] for run in one.runs] for one in entrants
    }
    first = digests[entrants[0].name]
    return {one.name for one in entrants[1:] if digests[one.name] == first}


def _judge(differences: Sequence[dict[str, Any]], level: float, identical: set[str]) -> None:
    """better, worse or "not shown": what the corrected p-value allows to say; or identical."""
    for record in differences:
        record["verdict"] = None
        if record["test"] is None:
            continue
        shown = record["test"]["p_adjusted"] <= 1 - level
        up = (record["difference"] > 0) == record["higher_is_better"]
        record["verdict"] = ("better" if up else "worse") if shown else "not shown"
        if record["system"] in identical:
            record["verdict"] = "identical"
