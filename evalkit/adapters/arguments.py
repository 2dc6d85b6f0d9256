"""Arguments of a class as text, `num_classes=3,average=macro,thresholds=[0.1,0.5]`, and back."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from evalkit.errors import MetricError

WORDS = {"none": None, "true": True, "false": False}
CLOSING = {"[": "]", "(": ")"}


def parse(name: str, text: str) -> dict[str, Any]:
    """name: what messages call the class; MetricError where it is no list of NAME=VALUE."""
    found: dict[str, Any] = {}
    for assignment in _parts(name, text):
        argument, equals, value = (part.strip() for part in assignment.partition("="))
        if not equals or not argument.isidentifier():
            raise MetricError(f'{name}: an argument is NAME=VALUE, not "{assignment}"')
        if argument in found:
            raise MetricError(f"{name}: {argument} is given twice")
        found[argument] = _value(name, value)
    return found


def written(arguments: Mapping[str, Any]) -> str:
    """The text of plain arguments: `parse` gives them back."""
    return ",".join(f"{name}={_text(value)}" for name, value in arguments.items())


def plain(value: Any) -> bool:
    """Whether a value can be written."""
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _value(name: str, text: str) -> Any:
    """None, a truth value, a number, a list, a tuple, else text, which quotes make sure of."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if text[:1] in CLOSING and text.endswith(CLOSING[text[0]]):
        items = [_value(name, part.strip()) for part in _parts(name, text[1:-1])]
        return items if text[0] == "[" else tuple(items)
    if text[:1] in "'\"":
        try:
            return str(ast.literal_eval(text)) if text else ""
        except (ValueError, SyntaxError):
            raise MetricError(f"{name}: the quotes of {text} do not match") from None
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _text(value: Any) -> str:
    match value:
        case list():
            return f"[{','.join(map(_text, value))}]"
        case tuple():
            return f"({','.join(map(_text, value))})"
        case str():
            bare = value.replace("_", "a").isalnum() and _value("", value) == value
            return value if bare else repr(value)
    return str(value).lower() if value is None or isinstance(value, bool) else repr(value)


def _parts(name: str, text: str) -> list[str]:
    """Split at the commas outside brackets and quotes."""
    parts, start, open_, quote = [], 0, [], ""
    for position, one in enumerate(text):
        if quote:
            quote = "" if one == quote and text[position - 1] != "\\" else quote
        elif one in "'\"":
            quote = one
        elif one in CLOSING:
            open_.append(CLOSING[one])
        elif open_ and one == open_[-1]:
            open_.pop()
        elif one in CLOSING.values():
            raise MetricError(f'{name}: an unexpected "{one}" in "{text}"')
        elif one == "," and not open_:
            parts.append(text[start:position])
            start = position + 1
    if open_ or quote:
        raise MetricError(f'{name}: "{text}" lacks its {open_[-1] if open_ else quote}')
    return [part for part in [*parts, text[start:]] if part.strip()]
