"""`gate`: may this change be merged? Rules against stored results; nothing is scored again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalkit.errors import DataError, UsageError
from evalkit.results import Result, load
from evalkit.rules import LEVEL, PAIRED, Rule
from evalkit.verbs.gate_baseline import BASELINE, write_baseline
from evalkit.verbs.gate_looks import counted_looks, keep, looks_file, numbers
from evalkit.verbs.gate_rules import find_rules
from evalkit.verbs.gate_subjects import Subject, subjects
from evalkit.verbs.gate_verdicts import judge, overall

RESULTS = "results"
Loaded = tuple[str, Result]


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
    if request.level is not None and not 0.5 < request.level < 1:
        raise UsageError(f"the level is a share such as 0.95, above 0.5, not {request.level:g}")
    loaded = _loaded(request.results)
    place = _baseline_place(request.baseline)
    loaded = _without_baseline(loaded, place)
    results = [result for _, result in loaded]
    _refuse_other_sets(loaded)
    rules, source = find_rules(request.rules, results)
    notes = [f"rules: {source}"]
    baseline = _baseline(place, request, rules)
    if baseline is not None:
        notes.append(f"baseline: {baseline.system}, from {place}")
    rows = _judged(
        list(subjects(rules, results, baseline, request.metrics)), loaded, baseline, request, notes
    )
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
    loaded: Sequence[Loaded],
    baseline: Result | None,
    request: GateRequest,
    notes: list[str],
) -> list[dict[str, Any]]:
    """The rows; the look is counted before anyone sees them."""
    path = looks_file(loaded[0][0], request.looks)
    with counted_looks(path, notes, sequential=request.sequential) as looks:
        if looks is None:
            return judge(found, level=request.level)
        known = numbers(looks, [result for _, result in loaded], baseline)
        rows = judge(found, level=request.level, looks=known, sequential=request.sequential)
        keep(looks, found, rows, baseline)
    last = max(known.values())
    hint = "; --sequential keeps the rate of false alarms over many looks"
    notes.append(f"look {last} at this set{'' if request.sequential or last == 1 else hint}")
    return rows


def update_baseline(request: GateRequest) -> Path:
    """The one result becomes the baseline in the repository."""
    loaded = _loaded(request.results)
    if len(loaded) > 1:
        shown = ", ".join(place for place, _ in loaded[:4])
        raise UsageError(f"one result becomes the baseline; name it: {shown}")
    target = Path(request.baseline or BASELINE)
    if target.name == "result.json":
        target = target.parent
    if Path(loaded[0][0]).resolve() == target.resolve():
        raise UsageError("this result is the baseline already; name the result that replaces it")
    return write_baseline(loaded[0][1], target)


def _loaded(arguments: Sequence[str]) -> list[Loaded]:
    if not arguments:
        if not Path(RESULTS).is_dir():
            raise UsageError("which result? evalkit gate results/SET/SYSTEM")
        arguments = (RESULTS,)
    places = dict.fromkeys(place for one in arguments for place in _results_in(one))
    return [(place, load(place)) for place in places]


def _results_in(argument: str) -> Iterator[str]:
    """A result, or all of a set's folder, or of a folder that holds sets; in order of name."""
    path = Path(argument)
    if "://" in argument or path.name == "result.json" or (path / "result.json").is_file():
        yield argument.removesuffix("/result.json")
        return
    if not path.exists():
        raise DataError("no such result; evalkit score writes one", argument)
    inside = [
        str(one.parent)
        for pattern in ("*/result.json", "*/*/result.json")
        for one in sorted(path.glob(pattern))
        if not any(part.startswith(".") for part in one.relative_to(path).parts)
    ]
    if not inside:
        raise DataError("holds no result; evalkit score writes one", argument)
    yield from inside


def _baseline_place(asked: str | None) -> str | None:
    if asked is not None:
        return asked
    return BASELINE if (Path(BASELINE) / "result.json").is_file() else None


def _without_baseline(loaded: list[Loaded], place: str | None) -> list[Loaded]:
    """A set's folder may hold the baseline itself, which is not gated."""
    if place is None:
        return loaded
    own = Path(place.removesuffix("/result.json")).resolve()
    others = [one for one in loaded if Path(one[0]).resolve() != own]
    if not others:
        raise UsageError("the only result is the baseline itself; name another one")
    return others


def _baseline(place: str | None, request: GateRequest, rules: Sequence[Rule]) -> Result | None:
    """None where no rule wants one and none was named."""
    wanted = any(rule.kind in PAIRED for rule in rules)
    return load(place) if place is not None and (wanted or request.baseline) else None


def _refuse_other_sets(loaded: Sequence[Loaded]) -> None:
    first_place, first = loaded[0]
    for place, result in loaded[1:]:
        ours, theirs = first.document["inputs"], result.document["inputs"]
        if result.set != first.set or ours["references"] != theirs["references"]:
            raise DataError(
                f"{place} is of the set {result.set}, but {first_place} of {first.set} or of other "
                "references; gate one set at a time"
            )
