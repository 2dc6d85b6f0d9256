"""From evidence to verdicts, pass, fail or inconclusive: of all rules of a gate together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from evalkit.rules import LEVEL, Rule
from evalkit.stats.intervals import NoIntervalError
from evalkit.stats.multiplicity import adjust
from evalkit.stats.sequential import alpha_of_look
from evalkit.verbs.gating.bets import bets_of
from evalkit.verbs.gating.decisions import FAIL, INCONCLUSIVE, PASS, Finding, Row, decide, settle
from evalkit.verbs.gating.evidence import (
    Bench,
    Claim,
    Evidence,
    predictions_of,
    require_stored,
    rounding,
)
from evalkit.verbs.gating.subjects import Subject
from evalkit.verbs.plan import FEWEST_BEYOND

MOST_DRAWS = 100_000  # of resamples, however small the share of a late look


def judge(
    found: Sequence[Subject],
    *,
    level: float | None = None,
    looks: Mapping[str, int] | None = None,
    sequential: bool = False,
) -> list[Row]:
    """One row per subject; alarms of all rows are one family (Holm 1979).

    level: of rules without their own. A row passes where its one-sided bound is good: that all
    pass needs no correction (Berger 1982, intersection-union). looks: hash of predictions -> which
    look at the set this is. sequential: a look may spend only its share of 1 - level on "fail" and
    on "better" (Waudby-Smith and Ramdas 2024, and `alpha_of_look`). ResultError where a stored
    value is not its table's.
    """
    allowed = [_allowed(one, level, looks, sequential=sequential) for one in found]
    bench = Bench(_draws(found, allowed))
    findings = []
    for one, share in zip(found, allowed, strict=True):
        number = None if looks is None else looks[predictions_of(one.system)]
        finding = _finding(one, bench, _alpha(one.rule, level), share, sequential=sequential)
        finding.row |= {"look": number, "alpha": share}
        findings.append(finding)
    raised = [finding for finding in findings if finding.row["p"] is not None]
    adjusted = adjust([finding.row["p"] for finding in raised], "holm")
    for finding, p in zip(raised, adjusted, strict=True):
        finding.row["p_adjusted"] = float(p)
        decide(finding, len(raised))
    return [finding.row for finding in findings]


def _allowed(
    subject: Subject,
    level: float | None,
    looks: Mapping[str, int] | None,
    *,
    sequential: bool,
) -> float:
    alpha = _alpha(subject.rule, level)
    if not sequential or looks is None:
        return alpha
    return alpha_of_look(looks[predictions_of(subject.system)], alpha)


def _draws(found: Sequence[Subject], allowed: Sequence[float]) -> int:
    """So many that the smallest p, after Holm, can be below what a look may spend."""
    sampled = [
        (one, share) for one, share in zip(found, allowed, strict=True) if _is_sampled(one.rule)
    ]
    stored = [int(one.system.document["options"]["resamples"]) for one, _ in sampled]
    least = min((share for _, share in sampled), default=1 - LEVEL)
    wanted = math.ceil(FEWEST_BEYOND * max(len(sampled), 1) / least)
    return max([*stored, min(wanted, MOST_DRAWS)])


def overall(rows: Sequence[Row]) -> str:
    """The verdict of the gate: what its rows count as, the worst of them."""
    counts = {row["counts_as"] for row in rows}
    return next((one for one in (FAIL, INCONCLUSIVE) if one in counts), PASS)


def _is_sampled(rule: Rule) -> bool:
    return rule.kind != "exact" and rule.on == "bound"


def _alpha(rule: Rule, level: float | None) -> float:
    chosen = rule.level if rule.level is not None else level if level is not None else LEVEL
    return round(1 - chosen, 12)


def _claim(subject: Subject) -> Claim:
    rule, better = subject.rule, 1 if subject.record["higher_is_better"] else -1
    margin = rule.margin or 0.0
    match rule.kind:
        case "at_least" | "at_most":
            assert rule.value is not None
            return Claim(rule.value, 1 if rule.kind == "at_least" else -1, strict=False)
        case "not_worse_than_baseline":
            return Claim(-better * margin, better, strict=True)
    return Claim(better * margin, better, strict=True)


def _finding(
    subject: Subject, bench: Bench, alpha: float, allowed: float, *, sequential: bool
) -> Finding:
    pair, claim = subject.pair, _claim(subject)
    value = pair.value(subject.system, subject.position)
    require_stored(value, subject.record, subject.system.system)
    against = None if pair.baseline is None else pair.value(pair.baseline, subject.position)
    row = _row(subject, claim, value, against)
    finding = Finding(row, subject.rule, claim, alpha, allowed, sequential)
    number = value if against is None else value - against
    if not math.isfinite(number):
        settle(row, subject.rule, INCONCLUSIVE, "the value is undefined on these examples")
    elif subject.rule.kind == "exact":
        _exact(row, subject.rule, number, rounding(value, value if against is None else against))
    elif not _is_sampled(subject.rule):
        verdict = PASS if claim.holds(number, rounded=True) else FAIL
        settle(row, subject.rule, verdict, f"the value itself is {number:.6g}")
    else:
        _weigh(finding, subject, bench)
    return finding


def _row(subject: Subject, claim: Claim, value: float, against: float | None) -> Row:
    rule, exact = subject.rule, subject.rule.kind == "exact"
    return {
        "name": rule.title,
        "kind": rule.kind,
        "metric": subject.record["label"],
        "output": subject.record["output"],
        "slice": subject.record["slice"],
        "system": subject.system.system,
        "n": subject.record["n"],
        "threshold": rule.tolerance if exact else claim.threshold,
        "value": _finite(value),
        "baseline_value": _finite(against),
        "difference": None if against is None else _finite(value - against),
        "higher_is_better": subject.record["higher_is_better"],
        "scale": list(subject.record["scale"]),
        "bound": None,
        "interval": None,
        "p": None,
        "p_adjusted": None,
        "wealth": None,
        "examples_wanted": None,
        "inconclusive": rule.inconclusive,
        "where": rule.where,
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _exact(row: Row, rule: Rule, difference: float, slack: float) -> None:
    moved = abs(difference) > rule.tolerance + slack
    way = "moved" if moved else "did not move"
    beyond = f" by more than {rule.tolerance:g}" if rule.tolerance else ""
    by = f": {difference:+.6g}" if abs(difference) > slack else ""
    settle(row, rule, FAIL if moved else PASS, f"the number {way}{beyond}{by}")


def _weigh(finding: Finding, subject: Subject, bench: Bench) -> None:
    """Interval, bound and p of the alarm; no interval: inconclusive, and why."""
    row, claim = finding.row, finding.claim
    make: Callable[..., Evidence] = bench.single if subject.pair.baseline is None else bench.paired
    evidence = make(subject.pair, subject.record, subject.position)
    try:
        bounds = dict(evidence.between(finding.alpha))
    except NoIntervalError as error:
        settle(row, subject.rule, INCONCLUSIVE, f"no interval: {error}")
        return
    units = subject.pair.units
    finding.evidence, finding.draws = evidence, bench.draws
    row["interval"] = bounds | {
        "level": round(1 - 2 * finding.alpha, 12),
        "resamples": bench.draws,
        "seed": subject.system.document["options"]["seed"],
        "unit": "cluster" if units.clustered else "example",
        "units": len(units.names),
    }
    row["bound"] = claim.near(bounds)
    if finding.sequential and subject.paired:
        finding.bets = bets_of(subject.pair, evidence, claim, subject.position)
    if finding.bets is not None:
        row["wealth"] = finding.bets.against("at_least")
        row["p"] = min(1.0, 1 / row["wealth"]) if row["wealth"] > 0 else 1.0
    else:
        row["p"] = evidence.p_value(claim, bench.draws, beyond=finding.sequential)
