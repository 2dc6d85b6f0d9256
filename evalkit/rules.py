"""Gate rules: what must hold before a change is merged; strict `[[gate]]` tables of TOML."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from evalkit.errors import ProtocolError, did_you_mean

LEVEL = 0.95
HIGHEST_LEVEL = 0.9999  # beyond, resamples tell nothing
COMMON = ("kind", "metric", "output", "slice", "name")
SAMPLED = ("level", "inconclusive")
SLICE = 'wants a field ("domain"), or { field = "domain", value = "news" }'
SHOWN = 80  # characters of a value in a message
NUMBERS = ("value", "margin", "tolerance", "level")
TEXTS = ("metric", "output", "name")


def is_level(level: float) -> bool:
    """Whether one-sided bounds can have it."""
    return 0.5 < level <= HIGHEST_LEVEL


def wrong_level(level: float) -> str:
    return f"a share such as 0.95, above 0.5 and at most {HIGHEST_LEVEL}, not {level:.12g}"


@dataclass(frozen=True)
class Keys:
    """Which keys a kind of rule wants, and which it may have beside the common ones."""

    wanted: tuple[str, ...]
    may: tuple[str, ...] = ()


KINDS: Mapping[str, Keys] = {
    "at_least": Keys(("value",), ("on", *SAMPLED)),
    "at_most": Keys(("value",), ("on", *SAMPLED)),
    "not_worse_than_baseline": Keys(("margin",), SAMPLED),
    "better_than_baseline": Keys((), ("margin", *SAMPLED)),
    "share_of_ceiling": Keys(("value",), ("ceiling", *SAMPLED)),
    "agreement_at_least": Keys(("value",), ("on", *SAMPLED)),
    "exact": Keys((), ("tolerance",)),
}
PAIRED = ("not_worse_than_baseline", "better_than_baseline", "exact")


@dataclass(frozen=True)
class Part:
    """One slice."""

    field: str
    value: str


@dataclass(frozen=True)
class Rule:
    """One `[[gate]]` table; where: its `file:line`.

    metric: label or name; output: the headline where None; slice: a field (a rule for each of its
    values) or one slice; value, margin, tolerance: in the output's own units; level: of the
    one-sided bounds, 0.5..1, None: the gate's.
    """

    kind: str
    metric: str
    output: str | None = None
    slice: str | Part | None = None
    value: float | None = None
    margin: float | None = None
    tolerance: float = 0.0
    on: Literal["bound", "value"] = "bound"
    ceiling: Literal["human", "oracle"] = "human"
    level: float | None = None
    inconclusive: Literal["report", "pass", "fail"] = "report"
    name: str = ""
    where: str = ""

    @property
    def title(self) -> str:
        """Its name, or what it says: `chrf at least 45`."""
        if self.name:
            return self.name
        what = " ".join(filter(None, (self.metric, self.output)))
        margin = f", margin {self.margin:g}" if self.margin else ""
        match self.kind:
            case "not_worse_than_baseline" | "better_than_baseline":
                return (
                    f"{what} {self.kind.removesuffix('_than_baseline').replace('_', ' ')}{margin}"
                )
            case "exact":
                return f"{what} unmoved"
        return f"{what} {self.kind.replace('_', ' ')} {self.value:g}"


@dataclass(frozen=True)
class Tables:
    """Where `[[gate]]` tables stand: the text of a file, and the name of the array in it."""

    text: str
    path: Path
    array: str = "gate"

    def place(self, number: int, key: str = "") -> str:
        """`file:line` of a key of the table of this number, of its head, or the file."""
        name = r"\s*\.\s*".join(self.array.split("."))
        head = re.compile(rf"\s*\[\[\s*{name}\s*\]\]")
        own = re.compile(rf"\s*\"?{re.escape(key)}\"?\s*[.=]") if key else None
        seen, found = -1, None
        for line, content in enumerate(self.text.splitlines(), start=1):
            if head.match(content):
                seen += 1
                found = line if seen == number else found
            elif seen == number and own is not None and own.match(content):
                return f"{self.path}:{line}"
        return str(self.path) if found is None else f"{self.path}:{found}"


def load(path: Path) -> tuple[Rule, ...]:
    """A file of `[[gate]]` tables alone; ProtocolError where it is not."""
    text, content = read_toml(path)
    for key in content:
        if key != "gate":
            hint = did_you_mean(key, ["gate"])
            raise ProtocolError(f'no key is called "{key}"{hint}', str(path))
    return parse(content.get("gate", []), Tables(text, path))


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Its text and its content; ProtocolError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ProtocolError(f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError:
        raise ProtocolError("not valid UTF-8", str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"not valid TOML: {error}", str(path)) from None
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else "a number too large"
        raise ProtocolError(f"cannot be read as TOML: {reason}", str(path)) from None


def parse(content: Any, tables: Tables) -> tuple[Rule, ...]:
    """ProtocolError with file:line where a key or a value is wrong."""
    if not isinstance(content, Sequence) or not all(isinstance(one, dict) for one in content):
        message = f"gate is an array of tables: [[{tables.array}]], one per rule"
        raise ProtocolError(message, str(tables.path))
    return tuple(_rule(one, number, tables) for number, one in enumerate(content))


def _rule(content: dict[str, Any], number: int, tables: Tables) -> Rule:
    _check_keys(content, number, tables)
    try:
        rule = msgspec.convert({**content, "where": tables.place(number)}, Rule, strict=True)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at ")
        key = re.sub(r"\W", "", at.split(".")[1]) if "." in at else ""
        where = tables.place(number, key)
        said = _in_words(key, content.get(key), message)
        raise ProtocolError(f"{key or 'gate'}: {said}", where) from None
    for key, message in _wrong_values(rule):
        raise ProtocolError(f"{key}: {message}", tables.place(number, key))
    return rule


def _in_words(key: str, given: Any, message: str) -> str:
    """What a key takes; the library's own message where no key could be told."""
    if key == "slice":
        return SLICE
    shown = _shortened(given)
    if key in NUMBERS:
        return f"a number is wanted, not {shown}"
    if key in TEXTS:
        return f"a text in quotes is wanted, not {shown}"
    if choices := get_args(get_type_hints(Rule).get(key)):
        *others, last = choices
        return f"{', '.join(others)} or {last}, not {shown}"
    return message


def _shortened(given: Any) -> str:
    try:
        shown = json.dumps(given, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        return "this"
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def _check_keys(content: dict[str, Any], number: int, tables: Tables) -> None:
    known = [one.name for one in fields(Rule) if one.name != "where"]
    for key in content:
        if key not in known:
            hint = did_you_mean(key, known)
            raise ProtocolError(f'no key is called "{key}"{hint}', tables.place(number, key))
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        said = "kind is missing" if kind is None else f'no kind of rule is called "{kind}"'
        hint = did_you_mean(str(kind or ""), KINDS)
        raise ProtocolError(f"{said}{hint}", tables.place(number, "kind"))
    for key in ("metric", *KINDS[kind].wanted):
        if key not in content:
            raise ProtocolError(f"{kind} lacks its {key}", tables.place(number))
    allowed = (*COMMON, *KINDS[kind].wanted, *KINDS[kind].may)
    for key in content:
        if key not in allowed:
            message = f"{key} does not belong to {kind}; its keys: {', '.join(allowed)}"
            raise ProtocolError(message, tables.place(number, key))
    if isinstance(part := content.get("slice"), dict) and set(part) != {"field", "value"}:
        raise ProtocolError(f"slice: {SLICE}", tables.place(number, "slice"))


def _wrong_values(rule: Rule) -> list[tuple[str, str]]:
    """(key, message) of what has the right type and makes no sense."""
    wrong = []
    for key in ("value", "margin", "tolerance", "level"):
        number = getattr(rule, key)
        if number is not None and not math.isfinite(number):
            wrong.append((key, f"a finite number is wanted, not {number}"))
    if wrong:
        return wrong
    if rule.margin is not None and rule.margin < 0:
        what = "loss" if rule.kind == "not_worse_than_baseline" else "gain"
        message = f"a margin is a {what}, written without sign: margin = {-rule.margin:g}"
        wrong.append(("margin", message))
    elif rule.kind == "not_worse_than_baseline" and rule.margin == 0:
        message = "0 would let only a better system pass; say how much worse is tolerable, or take"
        wrong.append(("margin", f"{message} better_than_baseline"))
    if rule.tolerance < 0:
        wrong.append(("tolerance", f"must not be negative, and {rule.tolerance:g} is"))
    if rule.level is not None and not is_level(rule.level):
        wrong.append(("level", wrong_level(rule.level)))
    if rule.kind == "share_of_ceiling" and rule.value is not None and rule.value <= 0:
        wrong.append(("value", f"a share of the ceiling such as 0.9, not {rule.value:g}"))
    return wrong
