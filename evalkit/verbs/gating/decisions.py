"""From a finding to its verdict, its reason, and how many examples would settle it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from evalkit.errors import counted
from evalkit.rules import Rule
from evalkit.stats.intervals import NoIntervalError
from evalkit.verbs.gating.bets import Bets
from evalkit.verbs.gating.evidence import Claim, Evidence

Row = dict[str, Any]
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
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


def settle(row: Row, rule: Rule, verdict: str, reason: str) -> None:
    """counts_as: what the rule makes of an inconclusive verdict."""
    row.update(verdict=verdict, reason=reason, counts_as=verdict)
    if verdict == INCONCLUSIVE and rule.inconclusive != "report":
        row["counts_as"] = rule.inconclusive
        row["reason"] += f"; the rule counts this as a {rule.inconclusive}"


def decide(finding: Finding, family: int) -> None:
    """Once p_adjusted is known; family: how many checks could raise an alarm.

    The row's bound is the one that decides: of a fail the far one, else the near one.
    """
    row, claim, rule = finding.row, finding.claim, finding.rule
    what = "value" if row["difference"] is None else "difference"
    sure = f"with {percent(1 - finding.alpha)} confidence the {what} is"
    least, most = ("at least", "at most") if claim.sign > 0 else ("at most", "at least")
    near, far = claim.near(row["interval"]), claim.far(row["interval"])
    p_of_pass = _p_of_pass(finding) if claim.holds(near) else None
    if claim.holds(near) and (p_of_pass is None or p_of_pass <= finding.allowed):
        settle(row, rule, PASS, f"{sure} {least} {near:.4g}")
        return
    of = (f" over {family} checks, Holm" if family > 1 else "") + _beyond(finding)
    p = f"p {row['p_adjusted']:.2g}{of}"
    assert finding.evidence is not None
    kept = claim.holds(finding.evidence.value)
    if row["p_adjusted"] <= finding.allowed and not kept:
        row["bound"] = far
        said = f"{sure} {most} {far:.4g}{f' ({p})' if of else ''}"
        settle(row, rule, FAIL, said if finding.bets is None else f"{_wealth(finding)} ({p})")
        return
    if row["p_adjusted"] <= finding.allowed:
        reason = f"{_wealth(finding)} ({p}), but the {what} itself keeps the rule"
    elif claim.holds(near):
        reason = f"{_at_look(finding)} for a pass; it is {p_of_pass:.2g}"
    elif finding.sequential and not claim.holds(far):
        reason = f"{_at_look(finding)}; it is {p.removeprefix('p ')}"
    elif row["p"] <= finding.allowed:
        reason = f"it would fail alone (p {row['p']:.2g}), but not ({p})"
    else:
        reason = f"the bounds {near:.4g} and {far:.4g} lie around {claim.threshold:.4g}"
    row["examples_wanted"] = wanted = _examples_wanted(finding)
    settled = "no estimate of how many examples would settle it"
    if wanted is not None:
        settled = f"about {counted(wanted, 'example')} would settle it"
    reason = f"{reason}{_out_of_reach(finding, family)}"
    settle(row, rule, INCONCLUSIVE, f"{reason}; {settled}")


def _at_look(finding: Finding) -> str:
    return f"at look {finding.row['look']} p must be below {finding.allowed:.2g}"


def _wealth(finding: Finding) -> str:
    wealth, wanted = finding.row["wealth"], 1 / finding.allowed
    return f"bets against the rule won {wealth:.4g} times their stake, where {wanted:.4g} alarm"


def _beyond(finding: Finding) -> str:
    """Which p says what resamples cannot."""
    told = finding.bets is not None or finding.row["p"] >= 1 / (finding.draws + 1)
    return "" if told else ", beyond the resamples by Student's t"


def _out_of_reach(finding: Finding, family: int) -> str:
    """Said where no p of the resamples is as low as this look wants it, and none goes beyond."""
    assert finding.evidence is not None
    least = 1 / (finding.draws + 1)
    if not finding.sequential or finding.bets or least * family <= finding.allowed:
        return ""
    if finding.evidence.tail(finding.claim) is not None:
        return ""
    return (
        f"; {finding.draws:,} resamples give no p below {least:.2g}, so at this look no "
        f"{'value' if finding.row['difference'] is None else 'difference'}, however bad, can "
        "fail; a new set starts at look 1"
    )


def _p_of_pass(finding: Finding) -> float | None:
    """Of "better", a claim that many looks would make true by chance; None where the bound tells.

    "Not worse" is a safeguard, and passes by its bound at every look.
    """
    if not finding.sequential or finding.rule.kind != "better_than_baseline":
        return None
    if finding.bets is not None:
        wealth = finding.bets.against("at_most")
        return min(1.0, 1 / wealth) if wealth > 0 else 1.0
    evidence, claim = finding.evidence, finding.claim
    assert evidence is not None
    opposite = Claim(claim.threshold, -claim.sign, strict=not claim.strict)
    return evidence.p_value(opposite, finding.draws, beyond=True)


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
