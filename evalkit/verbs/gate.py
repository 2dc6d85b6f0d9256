"""`gate`: may this change be merged? Rules against stored results; nothing is scored again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalkit.errors import ResultError, UsageError
from evalkit.results import Result
from evalkit.results.reading import result_folder
from evalkit.rules import LEVEL, PAIRED, Rule, is_level, wrong_level
from evalkit.verbs.gating import results as gate_results
from evalkit.verbs.gating.baseline import BASELINE, Kept, keep_baseline
from evalkit.verbs.gating.looks import counted_looks, keep, looks_file, numbers
from evalkit.verbs.gating.results import Loaded
from evalkit.verbs.gating.rules import find_rules
from evalkit.verbs.gating.subjects import Subject, subjects
from evalkit.verbs.gating.verdicts import judge, overall


@dataclass(frozen=True)
class GateRequest:
    """What `evalkit gate` was asked; metrics: files of one's own that results were scored with;
    looks: the file that counts looks at the set, by default beside its results."""

    results: tuple[str, ...] = ()
    baseline: str | None = None
    rules: str | None = None
    metrics: tuple[str, ...] = ()
    level: float | None = None
    sequential: bool = False
    looks: str | None = None


@dataclass
class GateRun:
    """`document` is what --json prints; `notes`: what was chosen for the user."""

    document: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return str(self.document["verdict"])


def gate(request: GateRequest) -> GateRun:
    """Every rule against every system; EvalkitError where that makes no sense."""
    if request.level is not None and not is_level(request.level):
        raise UsageError(f"the level is {wrong_level(request.level)}")
    notes: list[str] = []
    given = gate_results.loaded(request.results)
    place = gate_results.baseline_place(request.baseline)
    given = gate_results.without_baseline(given, place, notes)
    results = [one.result for one in given]
    gate_results.refuse_other_sets(given)
    rules, source = find_rules(request.rules, results)
    notes.append(f"rules: {source}")
    baseline = _baseline(place, request, rules)
    if baseline is not None:
        notes.append(f"baseline: {baseline.system}, from {place}")
    found = list(subjects(rules, results, baseline, request.metrics))
    rows = _judged(found, given, baseline, request, notes)
    document = {
        "schema": 1,
        "kind": "gate",
        "verdict": overall(rows),
        "set": results[0].set,
        "systems": [result.system for result in results],
        "baseline": None if baseline is None else baseline.system,
        "level": request.level or LEVEL,
        "correction": "holm",
        "sequential": request.sequential,
        "rules": rows,
    }
    return GateRun(document, notes)


def _judged(
    found: list[Subject],
    given: Sequence[Loaded],
    baseline: Result | None,
    request: GateRequest,
    notes: list[str],
) -> list[dict[str, Any]]:
    """The rows; the look is counted before anyone sees them."""
    path = looks_file(given[0].place, request.looks)
    with counted_looks(path, notes, sequential=request.sequential) as looks:
        if looks is None:
            return judge(found, level=request.level)
        known = numbers(looks, [one.result for one in given], baseline)
        rows = judge(found, level=request.level, looks=known, sequential=request.sequential)
        try:
            keep(looks, found, rows, baseline)
        except ResultError as error:
            if request.sequential:
                raise
            notes.append(f"this look is not counted: {error}")
            return rows
    last = max(known.values())
    hint = "; --sequential keeps the rate of false alarms over many looks"
    notes.append(f"look {last} at this set{'' if request.sequential or last == 1 else hint}")
    return rows


def update_baseline(request: GateRequest) -> Kept:
    """The one result becomes the baseline in the repository."""
    given = gate_results.loaded(request.results)
    if len(given) > 1:
        shown = ", ".join(one.place for one in given[:4])
        raise UsageError(f"one result becomes the baseline; name it: {shown}")
    target = Path(result_folder(request.baseline or BASELINE))
    if Path(given[0].place).resolve() == target.resolve():
        raise UsageError("this result is the baseline already; name the result that replaces it")
    return keep_baseline(given[0].result, target)


def _baseline(place: str | None, request: GateRequest, rules: Sequence[Rule]) -> Result | None:
    """None where no rule wants one and none was named."""
    wanted = any(rule.kind in PAIRED for rule in rules)
    if place is None or not (wanted or request.baseline):
        return None
    return gate_results.load_baseline(place)
