"""`compare`: is the difference real? Systems against a baseline, from stored tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evalkit.errors import UsageError, did_you_mean
from evalkit.results import Result
from evalkit.results.comparison import Comparison
from evalkit.stats.multiplicity import CORRECTIONS, adjust, too_few_swaps
from evalkit.tables.build import Builder, Progress, silent
from evalkit.tables.pool import processors
from evalkit.verbs.contrasts import TESTS, Work
from evalkit.verbs.differences import compared
from evalkit.verbs.entrants import Entrant, read_entrants
from evalkit.verbs.moved import moved
from evalkit.verbs.pairing import common_labels, on_common, require_pairs
from evalkit.verbs.plan import ScoreOptions
from evalkit.verbs.ranking import rankings
from evalkit.verbs.score_files import ScoreRequest

SCHEMA = 1
MOST_DRAWS = 10_000_000
SMALLEST, LARGEST = 1e-9, 1e9  # of margins


@dataclass(frozen=True)
class CompareOptions:
    """margins: by name of a value (`bleu`), or "" for all; moved: the value whose examples to list.

    power: of the smallest difference that could be seen; 0..1.
    """

    resamples: int = 2000
    swaps: int = 10_000
    level: float = 0.95
    power: float = 0.8
    seed: int = 12345
    interval: str = "auto"
    test: str = "randomisation"
    correction: str = "holm"
    margins: tuple[tuple[str, float], ...] = ()
    on_common: bool = False
    fold: str | None = None
    moved: str | None = None
    most_moved: int = 10

    def __post_init__(self) -> None:
        ScoreOptions(self.resamples, self.level, self.seed, self.interval)
        if self.test not in TESTS:
            raise UsageError(f'no test is called "{self.test}"{did_you_mean(self.test, TESTS)}')
        if self.correction not in CORRECTIONS:
            hint = did_you_mean(self.correction, CORRECTIONS)
            raise UsageError(f'no correction is called "{self.correction}"{hint}')
        if self.swaps < 100:
            raise UsageError(f"{self.swaps} swaps are too few; take at least 100")
        if not 0.5 < self.power < 1:
            raise UsageError(f"the power is a share above 0.5 such as 0.8, not {self.power}")
        if self.swaps > MOST_DRAWS or self.resamples > MOST_DRAWS:
            raise UsageError(f"more than {MOST_DRAWS:,} swaps or resamples take days; take fewer")
        if self.margins and self.level <= 0.5:
            raise UsageError(f"--margin wants a level above 0.5, not {self.level:g}")
        for name, margin in self.margins:
            if not SMALLEST < margin < LARGEST:
                value = f"{name}={margin:g}" if name else f"{margin:g}"
                raise UsageError(
                    f"--margin {value}: a margin is the largest loss that does not matter, "
                    "a number above 0"
                )


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


def parse_margins(given: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """`0.5` or `bleu=0.5`; UsageError otherwise."""
    found = []
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            found.append((name, float(number)))
        except ValueError:
            raise UsageError(f"--margin {one}: give a number, or METRIC=NUMBER") from None
    return tuple(found)


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
