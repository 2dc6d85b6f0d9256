"""Parameters of a metric as text: `word_order=2,beta=1`, converted to the types of the fields."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

from evalkit.errors import MetricError, did_you_mean


def parse(found: Any, name: str, assignments: str) -> dict[str, Any]:
    """found: a dataclass; name: what messages call it; MetricError where a value does not fit."""
    known = {one.name for one in fields(found)}
    hints = get_type_hints(found)
    values: dict[str, Any] = {}
    for assignment in filter(None, assignments.split(",")):
        parameter, equals, text = assignment.partition("=")
        if not equals:
            raise MetricError(
                f'{name}: a parameter is NAME=VALUE, not "{assignment}"; '
                f"e.g. {name}:{next(iter(sorted(known)), 'name')}=…"
            )
        if parameter not in known:
            hint = did_you_mean(parameter, known) or "; it has none"
            raise MetricError(f'{name}: no parameter is called "{parameter}"{hint}')
        if parameter in values:
            raise MetricError(f"{name}: {parameter} is given twice")
        values[parameter] = _value(f"{name}: {parameter}", text, hints[parameter])
    return values


def _value(where: str, text: str, hint: Any) -> Any:
    """Text of the command line as the type of the field."""
    allowed = get_args(hint) or (hint,)
    if choice := [one for one in allowed if not isinstance(one, type) and str(one) == text]:
        return choice[0]
    if type(None) in allowed and text.lower() in ("none", ""):
        return None
    if bool in allowed and text.lower() in ("true", "false", "yes", "no"):
        return text.lower() in ("true", "yes")
    for convert in (int, float):
        if convert in allowed or (convert is int and float in allowed):
            try:
                return convert(text)
            except ValueError:
                continue
    if str in allowed:
        return text
    wanted = " or ".join(
        "none" if one is type(None) else getattr(one, "__name__", str(one)) for one in allowed
    )
    raise MetricError(f'{where} wants {wanted}, not "{text}"')
