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
        if found := _protocol_rules(results[0]):
            return found, f"the protocol {names.pop()}"
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
    settings = content.get("tool", {}).get("evalkit", {})
    for key in settings:
        if key not in SETTINGS:
            hint = did_you_mean(key, SETTINGS)
            raise ProtocolError(f'[tool.evalkit] has no key "{key}"{hint}', str(path))
    return gate_rules.parse(settings.get("gate", []), Tables(text, path, ARRAY))


def _protocol_rules(result: Result) -> tuple[Rule, ...]:
    """Of the protocol's file as it was named, else by its name in the catalogue."""
    name = str(result.document.get("protocol"))
    request = result.run.get("request")
    given = request.get("protocol") if isinstance(request, dict) else None
    if isinstance(given, str) and given.endswith(".toml") and Path(given).is_file():
        return tuple(protocols.load(given).gate)
    return tuple(protocols.load(name).gate) if name in catalogue.entries("protocols") else ()
