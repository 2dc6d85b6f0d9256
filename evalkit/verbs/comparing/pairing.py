"""Do results pair? The same examples, references and metrics, or exactly where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from evalkit import catalogue
from evalkit.errors import DataError, MetricError, UsageError, counted, did_you_mean
from evalkit.metric import Metric
from evalkit.results import Result
from evalkit.table import Header, Table
from evalkit.tables.build import Builder
from evalkit.verbs.comparing.entrants import Entrant
from evalkit.verbs.comparing.restoring import restored_plan
from evalkit.verbs.plan import ScoreOptions
from evalkit.verbs.scoring import score_plans
from evalkit.verbs.stored import require_same_parts, stored_metric

SHOWN = 3  # ids in a message


def common_labels(
    entrants: Sequence[Entrant], asked: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Labels of the metrics that every run has a table of, in the baseline's order; and notes.

    asked: names or labels of the ones wanted; none: all. UsageError where one is not there.
    """
    results = [result for one in entrants for result in one.runs]
    order = [record["label"] for record in results[0].document["scores"]]
    shared = set.intersection(*(set(result.tables) for result in results))
    labels = [label for label in dict.fromkeys(order) if label in shared]
    every = {label for result in results for label in result.tables}
    notes = []
    if lacking := sorted(every - shared):
        notes.append(f"left out, because not every system has it: {', '.join(lacking)}")
    if not labels:
        raise DataError(
            "these results have no metric in common: "
            + "; ".join(f"{one.system} has {', '.join(sorted(one.tables))}" for one in results)
            + ". Score them with the same --metric"
        )
    if not asked:
        return labels, notes
    chosen = {label for spec in asked for label in _matching(spec, labels)}
    return [label for label in labels if label in chosen], notes


def _matching(spec: str, labels: Sequence[str]) -> list[str]:
    """By label, as given or as the metric itself writes it, else by name."""
    if spec in labels:
        return [spec]
    with suppress(MetricError):
        if (label := catalogue.metric(spec).label) in labels:
            return [label]
    found = [label for label in labels if label.partition(":")[0] == spec]
    if not found:
        hint = did_you_mean(spec, labels)
        raise UsageError(f'--metric: these results have no "{spec}" in common{hint}')
    return found


def require_pairs(entrants: Sequence[Entrant], labels: Sequence[str]) -> None:
    """DataError that names the first ids or the field in which two results differ."""
    first, *others = [(one, result) for one in entrants for result in one.runs]
    for entrant, result in others:
        _require_same_examples(first[0].name, first[1], entrant.name, result)
        for label in labels:
            ours, theirs = first[1].tables[label], result.tables[label]
            if differs := ours.header.difference(theirs.header):
                raise DataError(
                    f"{label} of {entrant.name} and of {first[0].name} differ in their {differs}"
                    f"{_difference(ours, theirs, differs)}; score both alike"
                )


def _require_same_examples(name: str, ours: Result, other: str, theirs: Result) -> None:
    way_out = "; --on-common compares on the examples that all have"
    mine, its = _ids(ours), _ids(theirs)
    if mine != its:
        parts = list(_only(name, mine, its)) + list(_only(other, its, mine))
        raise DataError(f"{name} and {other} hold different ids: {'; '.join(parts)}{way_out}")
    if ours.document["inputs"]["references"] != theirs.document["inputs"]["references"]:
        where = _first_other_references(ours, theirs)
        raise DataError(f"{name} and {other} were scored on different references{where}{way_out}")
    require_same_parts(name, ours, other, theirs)


def _ids(result: Result) -> list[str]:
    if result.examples:
        return [str(one["id"]) for one in result.examples]
    return [id.decode() for id in next(iter(result.tables.values())).ids]


def _only(name: str, mine: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    known = set(others)
    if only := [one for one in mine if one not in known]:
        shown = ", ".join(f'"{one}"' for one in only[:SHOWN])
        more = f" and {len(only) - SHOWN:,} more" if len(only) > SHOWN else ""
        yield f"only {name} has {shown}{more}"


def _first_other_references(ours: Result, theirs: Result) -> str:
    for mine, its in zip(ours.examples, theirs.examples, strict=False):
        if mine.get("references") != its.get("references"):
            return f', first at id "{mine["id"]}"'
    return ""


def _difference(ours: Table, theirs: Table, field: str) -> str:
    if field in ("fit", "references", "scoring"):
        return ""
    mine, its = getattr(ours.header, field), getattr(theirs.header, field)
    return f" ({its} and {mine})"


def _references(result: Result) -> dict[str, Any]:
    """By id; DataError where a result keeps no texts, as a baseline in a repository does."""
    if not result.examples or "references" not in result.examples[0]:
        raise DataError(
            f"{result.system} keeps no predictions and references, which --on-common fits and "
            "scores anew; name the result that it was made from"
        )
    return {str(one["id"]): one["references"] for one in result.examples}


def _trusted(header: Header, asked: Sequence[str]) -> Metric:
    """A stored result may come from anyone: what runs a program is run only if it is named."""
    metric = stored_metric(header)
    if not metric.cached and metric.label not in asked and metric.name not in asked:
        raise UsageError(
            f"--on-common would run what the result names: {metric.label}; "
            f"name it to allow that: --metric '{metric.label}'"
        )
    return metric


def on_common(
    entrants: Sequence[Entrant],
    labels: Sequence[str],
    builder: Builder,
    asked: Sequence[str] = (),
) -> tuple[list[Entrant], str]:
    """Everyone scored anew on the examples that all have; what was left out, in words.

    asked: metrics that the user named. An example is common where its id and its references are
    equal everywhere.
    """
    results = [result for one in entrants for result in one.runs]
    held = [_references(result) for result in results]
    common = {
        id
        for id, references in held[0].items()
        if all(id in other and other[id] == references for other in held[1:])
    }
    if not common:
        raise DataError("these results have no example in common, references included")
    metrics = [_trusted(results[0].tables[label].header, asked) for label in labels]
    plans = [restored_plan(result, metrics[0].reads, common) for result in results]
    options = ScoreOptions(interval="none", slices=tuple(plans[0].slices))
    scored = iter(score_plans(plans, metrics, options, builder))
    anew = [replace(one, runs=tuple(next(scored) for _ in one.runs)) for one in entrants]
    left = [
        f"{counted(len(own) - len(common), 'example')} of {result.system}"
        for own, result in zip(held, results, strict=True)
        if len(own) > len(common)
    ]
    note = f"compared on {counted(len(common), 'common example')}, fitted on their references"
    return anew, f"{note}; left out: {', '.join(left)}" if left else note
