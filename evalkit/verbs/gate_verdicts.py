"""From evidence to verdicts: pass, fail or inconclusive, and how many examples would settle it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalkit.errors import counted
from evalkit.rules import LEVEL, Rule
from evalkit.stats.intervals import NoIntervalError
from evalkit.stats.multiplicity import adjust
from evalkit.stats.sequential import alpha_of_look
from evalkit.verbs.gate_bets import Bets, bets_of
from evalkit.verbs.gate_evidence import Bench, Claim, Evidence, predictions_of, require_stored
from evalkit.verbs.gate_subjects import Subject
from evalkit.verbs.plan import FEWEST_BEYOND

Row = dict[str, Any]
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
MOST_DRAWS = 100_000  # of resamples, however small the share of a late look
MOST = 1e9  # examples; beyond, an estimate says no more than "very many"


@dataclass
class Finding:
    """A row of the document while it is judged.

    alpha: 1 - level; allowed: what of it this look may spend on an alarm; sequential: it is one of
    many looks; bets: where these tell.
    """

    row: Row
    rule: Rule
    claim: Claim
    alpha: float
    allowed: float
    sequential: bool = False
    draws: int = 0
    evidence: Evidence | None = None
    bets: Bets | None = None


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
        _decide(finding, len(raised))
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
        _settle(row, subject.rule, INCONCLUSIVE, "the value is undefined on these examples")
    elif subject.rule.kind == "exact":
        _exact(row, subject.rule, number)
    elif not _is_sampled(subject.rule):
        verdict = PASS if claim.holds(number) else FAIL
        _settle(row, subject.rule, verdict, f"the value itself is {number:.6g}")
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


def _settle(row: Row, rule: Rule, verdict: str, reason: str) -> None:
    """counts_as: what the rule makes of an inconclusive verdict."""
    row.update(verdict=verdict, reason=reason, counts_as=verdict)
    if verdict == INCONCLUSIVE and rule.inconclusive != "report":
        row["counts_as"] = rule.inconclusive
        row["reason"] += f"; the rule counts this as a {rule.inconclusive}"


def _exact(row: Row, rule: Rule, difference: float) -> None:
    moved = abs(difference) > rule.tolerance
    way = "moved" if moved else "did not move"
    beyond = f" by more than {rule.tolerance:g}" if rule.tolerance else ""
    by = f": {difference:+.6g}" if difference else ""
    _settle(row, rule, FAIL if moved else PASS, f"the number {way}{beyond}{by}")


def _weigh(finding: Finding, subject: Subject, bench: Bench) -> None:
    """Interval, bound and p of the alarm; no interval: inconclusive, and why."""
    row, claim = finding.row, finding.claim
    make: Callable[..., Evidence] = bench.single if subject.pair.baseline is None else bench.paired
    evidence = make(subject.pair, subject.record, subject.position)
    try:
        bounds = dict(evidence.between(finding.alpha))
    except NoIntervalError as error:
        _settle(row, subject.rule, INCONCLUSIVE, f"no interval: {error}")
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
        row["p"] = evidence.p_value(claim, bench.draws)


def _decide(finding: Finding, family: int) -> None:
    """Once p_adjusted is known; family: how many rules could raise an alarm."""
    row, claim, rule = finding.row, finding.claim, finding.rule
    what = "value" if row["difference"] is None else "difference"
    sure = f"with {percent(1 - finding.alpha)} confidence the {what} is"
    least, most = ("at least", "at most") if claim.sign > 0 else ("at most", "at least")
    near, far = claim.near(row["interval"]), claim.far(row["interval"])
    if claim.holds(near) and _may_pass(finding):
        _settle(row, rule, PASS, f"{sure} {least} {near:.4g}")
        return
    after = f" (p {row['p_adjusted']:.2g} over {family} rules, Holm)" if family > 1 else ""
    if row["p_adjusted"] <= finding.allowed:
        _settle(row, rule, FAIL, f"{sure} {most} {far:.4g}{after}")
        return
    if finding.sequential and (claim.holds(near) or not claim.holds(far)):
        share = f"p {row['p_adjusted']:.2g}, of {finding.allowed:.2g} for look {row['look']}"
        reason = f"one look would settle it, many do not yet ({share})"
    elif row["p"] <= finding.allowed:
        reason = f"it would fail alone (p {row['p']:.2g}), but not{after}"
    else:
        reason = f"the bounds {near:.4g} and {far:.4g} lie around {claim.threshold:.4g}"
    row["examples_wanted"] = wanted = _examples_wanted(finding)
    settled = "no estimate of how many examples would settle it"
    if wanted is not None:
        settled = f"about {counted(wanted, 'example')} would settle it"
    _settle(row, rule, INCONCLUSIVE, f"{reason}; {settled}")


def _may_pass(finding: Finding) -> bool:
    """ "Better" is a claim that many looks would make true by chance, "not worse" a safeguard."""
    if not finding.sequential or finding.rule.kind != "better_than_baseline":
        return True
    if finding.bets is not None:
        wealth = finding.bets.against("at_most")
        return wealth * finding.allowed >= 1
    evidence, claim = finding.evidence, finding.claim
    assert evidence is not None
    opposite = Claim(claim.threshold, -claim.sign, strict=not claim.strict)
    return evidence.p_value(opposite, finding.draws) <= finding.allowed


def percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _examples_wanted(finding: Finding) -> int | None:
    """At which the bound would reach the threshold, if the value stayed and bounds close in as
    1 / sqrt(n); an estimate, to two digits. None where the value is on the threshold."""
    row, claim, evidence = finding.row, finding.claim, finding.evidence
    assert evidence is not None
    ahead = abs(evidence.value - claim.threshold)
    bets = finding.bets
    if bets is not None and (units := bets.wanted(finding.allowed)) is not None:
        return _upward(units * row["n"] / len(bets.differences))
    try:
        if claim.holds(evidence.value):
            bound = claim.near(row["interval"])
        else:  # the alarm's bound, at the level that Holm leaves it
            tail = finding.allowed * row["p"] / row["p_adjusted"]
            bound = claim.far(evidence.between(tail))
    except NoIntervalError:
        return None
    if ahead == 0:
        return None
    wanted = row["n"] * ((bound - evidence.value) / ahead) ** 2
    return _upward(wanted) if row["n"] < wanted < MOST else None


def _upward(number: float) -> int:
    """To two significant digits, never down: 1,234 becomes 1,300."""
    unit = 10 ** max(math.floor(math.log10(number)) - 1, 0)
    return int(math.ceil(number / unit) * unit)
