"""What a gate's documents say of one rule, in words that JUnit and GitHub share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evalkit.errors import counted, plain

Rule = Mapping[str, Any]
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


def number(value: float | None) -> str:
    """Six digits at most; nothing where there is none."""
    return "" if value is None else f"{value:.6g}"


def interval(rule: Rule) -> str:
    bounds = rule.get("interval")
    return "" if bounds is None else f"[{number(bounds['low'])}, {number(bounds['high'])}]"


def figures(rule: Rule) -> Iterator[tuple[str, str]]:
    """(name, text) of every figure that the rule has."""
    for key in ("kind", "metric", "output"):
        if rule.get(key) is not None:
            yield key, plain(str(rule[key]))
    for key in FIGURES:
        if rule.get(key) is not None:
            yield key, number(rule[key])
    if bounds := rule.get("interval"):
        yield "interval", interval(rule)
        for key in ("level", "method"):
            if key in bounds:
                yield f"interval_{key}", plain(str(bounds[key]))
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
