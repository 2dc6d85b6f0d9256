"""What a gate's documents say, in words that the terminal, JUnit and GitHub share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalkit.errors import counted, plain
from evalkit.report.values import digits, named
from evalkit.rules import PAIRED

if TYPE_CHECKING:
    from evalkit.verbs.gating.baseline import Change, Kept

Rule = Mapping[str, Any]
NAMED = 3  # systems
CHANGES = 6  # values of a new baseline
MOST_PLACES = 6
FIGURES = ("value", "baseline_value", "difference", "threshold", "bound", "p", "p_adjusted")


def subject(rule: Rule) -> str:
    """`chrf not worse, system B, domain=news`: the rule, of what, on what."""
    parts = [plain(str(rule["name"])).strip() or "rule"]
    if rule.get("system") is not None:
        parts.append(f"system {plain(str(rule['system']))}")
    if (part := slice_name(rule)) is not None:
        parts.append(part)
    return ", ".join(parts)


def slice_name(rule: Rule) -> str | None:
    part = rule.get("slice")
    return None if part is None else plain(f"{part['field']}={part['value']}")


def headline(document: Mapping[str, Any]) -> tuple[str, str]:
    """(`summaries`, `T5 against BART, look 3`): the set, and what is held against what."""
    systems = [plain(str(one)) for one in document["systems"]]
    named = ", ".join(systems[:NAMED])
    if len(systems) > NAMED:
        named += f" and {len(systems) - NAMED:,} more"
    against = plain(str(document["baseline"] or "fixed limits"))
    taken = [rule["look"] for rule in document["rules"] if rule.get("look") is not None]
    look = ""
    if taken:
        first, last = min(taken), max(taken)
        look = f", look {last}" if first == last else f", looks {first} to {last}"
    return plain(str(document["set"])), f"{named} against {against}{look}"


def number(value: float | None) -> str:
    """Six digits at most; nothing where there is none."""
    return "" if value is None else f"{value:.6g}"


def interval(rule: Rule) -> str:
    bounds = rule.get("interval")
    return "" if bounds is None else f"[{number(bounds['low'])}, {number(bounds['high'])}]"


def value(rule: Rule) -> str:
    found = rule.get("value")
    if found is None:
        return "undefined" if "value" in rule else ""
    return f"{found:.{places(rule)}f}"


def difference(rule: Rule) -> str:
    return _signed(rule.get("difference"), places(rule))


def bounds(rule: Rule) -> str:
    """`[-1.62, +0.49]`: with signs where they are of a difference."""
    found, digits = rule.get("interval"), places(rule)
    if found is None:
        return ""
    ends = (found["low"], found["high"])
    if rule.get("difference") is None:
        return f"[{', '.join(f'{one:.{digits}f}' for one in ends)}]"
    return f"[{', '.join(_signed(one, digits) for one in ends)}]"


def wanted(rule: Rule) -> str:
    """`≥ 43`, `> -1`, `± 0`: what the bound must be, as the rule gives it."""
    threshold, kind = rule.get("threshold"), rule["kind"]
    if threshold is None:
        return ""
    if kind == "exact":
        return f"± {threshold:.6g}"
    if kind in PAIRED:
        signed = f"{threshold:+.6g}" if threshold else "0"
        return f"{'>' if rule['higher_is_better'] else '<'} {signed}"
    return f"{'≤' if kind == 'at_most' else '≥'} {threshold:.6g}"


def places(rule: Rule) -> int:
    """Decimals as `score` shows them; more where a number would look like its threshold."""
    found = digits({"scale": rule.get("scale") or (None, None), "value": rule.get("value")})
    threshold = rule.get("threshold")
    if threshold is None:
        return found
    ends = rule.get("interval") or {}
    numbers = [ends[key] for key in ("low", "high") if key in ends]
    if rule["kind"] == "exact":
        numbers = [abs(rule.get("difference") or 0)]
    while found < MOST_PLACES and any(
        one != threshold and round(one, found) == round(threshold, found) for one in numbers
    ):
        found += 1
    return found


def _signed(found: float | None, digits: int) -> str:
    if found is None:
        return ""
    text = f"{found:+.{digits}f}"
    return text if found else text[1:]


def bounds_note(rules: Sequence[Rule]) -> str:
    """What the bounds are; "" where there are none."""
    records = [rule["interval"] for rule in rules if rule.get("interval")]
    each = sorted({round(50 * (1 + one["level"]), 10) for one in records if "level" in one})
    return f"Bounds: one-sided {' or '.join(f'{one:.6g} %' for one in each)} each." if each else ""


def kept(baseline: Kept) -> str:
    """`wrote evalkit-baseline: T5, before BART; chrf 45.58 -> 41.49, worse; commit it`."""
    head = f"wrote {baseline.place}: {baseline.system}"
    if baseline.before is None:
        return f"{head}; commit it"
    head += f", before {baseline.before['system']}"
    if baseline.changes is None:
        return f"{head}; the examples or references are other ones, no value compares; commit it"
    moved = [_change(one) for one in baseline.changes[:CHANGES]]
    if more := len(baseline.changes) - CHANGES:
        moved += [f"{counted(more, 'more value')} in the diff"] if more > 0 else []
    return "; ".join([head, *moved, "commit it"])


def _change(one: Change) -> str:
    before, after = one.before["value"], one.after["value"]
    decimals = max(digits(one.before), digits(one.after))
    while before != after and decimals < MOST_PLACES:
        if round(before, decimals) != round(after, decimals):
            break
        decimals += 1
    return f"{named(one.after)} {before:.{decimals}f} -> {after:.{decimals}f}, {one.way}"


def figures(rule: Rule) -> Iterator[tuple[str, str]]:
    """(name, text) of every figure that the rule has."""
    for key in ("kind", "metric", "output"):
        if rule.get(key) is not None:
            yield key, plain(str(rule[key]))
    for key in FIGURES:
        if rule.get(key) is not None:
            yield key, number(rule[key])
    if record := rule.get("interval"):
        yield "interval", interval(rule)
        for key in ("level", "method"):
            if key in record:
                yield f"interval_{key}", plain(str(record[key]))
    for key in ("n", "examples_wanted"):
        if rule.get(key) is not None:
            yield key, str(rule[key])


def said(rule: Rule) -> str:
    """The reason, and how many examples would settle it where the reason does not say."""
    text = plain(str(rule.get("reason") or "")).strip()
    wanted = rule.get("examples_wanted")
    if wanted is not None and "would settle it" not in text:
        settled = f"about {counted(wanted, 'example')} would settle it"
        text = f"{text}; {settled}" if text else settled
    return text or "no reason given"


def counts_as(rule: Rule) -> str:
    """What the rule makes of its verdict: an inconclusive one may count as pass or fail."""
    return str(rule.get("counts_as") or rule["verdict"])
