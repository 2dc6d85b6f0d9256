"""Where the rules of a gate stand: a file, pyproject.toml, or the protocol of the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evalkit import catalogue
from evalkit import protocol as protocols
from evalkit import rules as gate_rules
from evalkit.errors import ProtocolError, UsageError, did_you_mean
from evalkit.results import Result
from evalkit.rules import Rule, Tables

ARRAY = "tool.evalkit.gate"
SETTINGS = ("catalogue", "gate")


def find_rules(asked: str | None, results: Sequence[Result]) -> tuple[tuple[Rule, ...], str]:
    """The rules and where they stand; UsageError where there are none, ProtocolError."""
    if asked is not None:
        found = gate_rules.load(Path(asked))
        if not found:
            raise ProtocolError("holds no [[gate]] table", asked)
        return found, asked
    for path in _projects(Path.cwd()):
        if found := _project_rules(path):
            return found, str(path)
    if names := {str(one.document.get("protocol")) for one in results}:
        if len(names) > 1:
            raise UsageError(
                f"these results are of the protocols {', '.join(sorted(names))}; name the rules: "
                "--rules FILE"
            )
        own = _protocol_path(results)
        if own is not None and (found := tuple(protocols.load(str(own)).gate)):
            return found, f"the protocol {names.pop()}, {own}"
    raise UsageError(
        "there are no rules; write [[gate]] tables into a file and name it, --rules gate.toml, "
        f"or [[{ARRAY}]] tables into pyproject.toml"
    )


def _projects(start: Path) -> Iterator[Path]:
    """pyproject.toml here and above, up to the root of the repository; here alone without one."""
    places = [start, *start.parents]
    root = next((place for place in places if (place / ".git").exists()), start)
    for place in places[: places.index(root) + 1]:
        if (place / "pyproject.toml").is_file():
            yield place / "pyproject.toml"


def _project_rules(path: Path) -> tuple[Rule, ...]:
    text, content = gate_rules.read_toml(path)
    settings = content
    for key in ("tool", "evalkit"):
        settings = settings.get(key, {})
        if not isinstance(settings, dict):
            raise ProtocolError(f"{key} is a table, not a value: [tool.evalkit]", str(path))
    for key in settings:
        if key not in SETTINGS:
            hint = did_you_mean(key, SETTINGS)
            raise ProtocolError(f'[tool.evalkit] has no key "{key}"{hint}', str(path))
    return gate_rules.parse(settings.get("gate", []), Tables(text, path, ARRAY))


def _protocol_path(results: Sequence[Result]) -> Path | None:
    """Of the protocol's file as results name it, else by its name in the catalogue.

    UsageError where results name files that differ: none of them speaks for all.
    """
    found = dict.fromkeys(path for one in results if (path := _own_path(one)) is not None)
    contents = {_content(path) for path in found}
    if len(contents) > 1:
        shown = ", ".join(str(path) for path in found)
        raise UsageError(
            f"these results are of one protocol by its name, but its files differ ({shown}); name "
            "the rules: --rules FILE"
        )
    return next(iter(found), None)


def _own_path(result: Result) -> Path | None:
    name = str(result.document.get("protocol"))
    request = result.run.get("request")
    given = request.get("protocol") if isinstance(request, dict) else None
    if isinstance(given, str) and given.endswith(".toml") and _is_file(given):
        return Path(given)
    known = name in catalogue.entries("protocols")
    return catalogue.protocol_path(name) if known else None


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProtocolError(f"cannot be read: {error.strerror}", str(path)) from None
