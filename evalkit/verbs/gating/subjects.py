"""What each gate rule is about: which metric, output and slice of which system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalkit.errors import DataError, UsageError, did_you_mean
from evalkit.results import Result
from evalkit.rules import PAIRED, Part, Rule
from evalkit.table import Table
from evalkit.verbs.gating.evidence import Pair
from evalkit.verbs.stored import SliceName, require_same_parts, slice_mask, stored_metric

Record = Mapping[str, Any]
SHOWN = 3  # ids in a message


@dataclass(frozen=True)
class Subject:
    """A rule about one output of one system on one slice; `record` is its stored score."""

    rule: Rule
    system: Result
    record: Record
    position: int
    pair: Pair

    @property
    def paired(self) -> bool:
        return self.rule.kind in PAIRED


def subjects(
    rules: Sequence[Rule],
    results: Sequence[Result],
    baseline: Result | None,
    files: Sequence[str] = (),
) -> Iterator[Subject]:
    """By rule, then system, then slice; UsageError or DataError where one is not there.

    files: metric files of one's own.
    """
    for rule in rules:
        for result in results:
            _refuse_unheld(rule, result)
            label = _label(rule, result)
            head = _output(rule, result, label)
            metric = stored_metric(result.tables[label].header, files)
            against = _against(rule, result, baseline, label)
            position = result.tables[label].header.outputs.index(head["output"])
            for record in _slices(rule, result, head):
                part: SliceName | None = record["slice"]
                chosen = None if part is None else slice_mask(result, part["field"], part["value"])
                pair = Pair(metric, result, label, against, chosen)
                yield Subject(rule, result, record, position, pair)


def _refuse_unheld(rule: Rule, result: Result) -> None:
    for kind, key, verb in (
        ("share_of_ceiling", "ceilings", "ceiling"),
        ("agreement_at_least", "agreement", "agreement of raters"),
    ):
        if rule.kind == kind:
            raise DataError(
                f"{result.system} holds no {verb}, so {kind} cannot be judged; take the rule out"
                if not result.document.get(key)
                else f"this evalkit cannot judge {kind}; take the rule out",
                rule.where,
            )


def _label(rule: Rule, result: Result) -> str:
    known = {record["label"]: record["metric"] for record in result.document["scores"]}
    if rule.metric in known:
        named = [rule.metric]
    else:
        named = [label for label, metric in known.items() if metric == rule.metric]
    if not named:
        hint = did_you_mean(rule.metric, known)
        raise UsageError(f'{result.system} has no metric "{rule.metric}"{hint}', rule.where)
    if len(named) > 1:
        raise UsageError(f"{rule.metric} could be any of {', '.join(sorted(named))}", rule.where)
    label = named[0]
    if label not in result.tables:
        record = next(one for one in result.document["scores"] if one["label"] == label)
        reason = record.get("reason") or record["status"]
        raise DataError(f"{label} has no value in {result.system}: {reason}", rule.where)
    return label


def _output(rule: Rule, result: Result, label: str) -> Record:
    """The record of the rule's output on the whole set."""
    here = [
        record
        for record in result.document["scores"]
        if record["label"] == label and record["slice"] is None
    ]
    if rule.output is None:
        return dict(here[0])
    for record in here:
        if record["output"] == rule.output:
            return dict(record)
    hint = did_you_mean(rule.output, {record["output"] for record in here})
    raise UsageError(f'{label} has no output "{rule.output}"{hint}', rule.where)


def _slices(rule: Rule, result: Result, head: Record) -> list[Record]:
    if rule.slice is None:
        return [head]
    here = [
        record
        for record in result.document["scores"]
        if record["slice"] is not None
        and (record["label"], record["output"]) == (head["label"], head["output"])
    ]
    asked = rule.slice if isinstance(rule.slice, str) else rule.slice.field
    fields = {record["slice"]["field"] for record in here}
    if asked not in fields:
        hint = did_you_mean(asked, fields) or f"; score with --slice {asked}"
        raise UsageError(f'{result.system} has no slices by "{asked}"{hint}', rule.where)
    here = [record for record in here if record["slice"]["field"] == asked]
    if isinstance(rule.slice, Part):
        values = {record["slice"]["value"] for record in here}
        here = [record for record in here if record["slice"]["value"] == rule.slice.value]
        if not here:
            hint = did_you_mean(rule.slice.value, values)
            message = f'{result.system} has no slice {asked}="{rule.slice.value}"{hint}'
            raise UsageError(message, rule.where)
    return here


def _against(rule: Rule, result: Result, baseline: Result | None, label: str) -> Result | None:
    """The baseline, where the rule wants one and it pairs."""
    if rule.kind not in PAIRED:
        return None
    if baseline is None:
        raise UsageError(
            f"{rule.kind} wants a baseline: --baseline RESULT, or keep one in the repository with "
            "evalkit gate RESULT --update-baseline",
            rule.where,
        )
    if label not in baseline.tables:
        known = ", ".join(sorted(baseline.tables)) or "none"
        raise DataError(
            f"the baseline {baseline.system} has no table of {label} (it has: {known}); score it "
            "with the same metrics",
            rule.where,
        )
    _require_pairs(baseline, result, label)
    return baseline


def _require_pairs(baseline: Result, result: Result, label: str) -> None:
    """DataError that shows the first differing ids."""
    ours, theirs = result.tables[label], baseline.tables[label]
    names = f"the baseline {baseline.system} and {result.system}"
    if ours.ids != theirs.ids:
        parts = [*_only("the baseline", theirs, ours), *_only(result.system, ours, theirs)]
        raise DataError(
            f"{names} hold different ids: {'; '.join(parts)}; score both on the same set"
        )
    if (differs := ours.header.difference(theirs.header)) is None:
        require_same_parts(result.system, result, f"the baseline {baseline.system}", baseline)
        return
    where = _first_other(baseline, result) if differs in ("references", "fit") else ""
    raise DataError(
        f"{names} were scored with different {differs} of {label}{where}; score the baseline "
        "again, and --update-baseline where it is kept in the repository"
    )


def _only(name: str, ours: Table, theirs: Table) -> Iterator[str]:
    known = set(theirs.ids)
    if only := [one.decode() for one in ours.ids if one not in known]:
        shown = ", ".join(f'"{one}"' for one in only[:SHOWN])
        more = f" and {len(only) - SHOWN:,} more" if len(only) > SHOWN else ""
        yield f"only {name} has {shown}{more}"


def _first_other(baseline: Result, result: Result) -> str:
    """Of references, where both keep them; a baseline in the repository does not."""
    for ours, theirs in zip(result.examples, baseline.examples, strict=False):
        if "references" in theirs and ours.get("references") != theirs["references"]:
            return f', first at id "{ours["id"]}"'
    return ""
