"""What a stored request would run that is no part of evalkit."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from evalkit import catalogue
from evalkit.errors import plain
from evalkit.results import Result
from evalkit.verbs.score_files import ScoreRequest

PROGRAMS = "command"  # the metric that runs the command line it is given


class CannotVerifyError(Exception):
    """Why a result cannot be made again."""


def require_own(request: ScoreRequest, paths: Mapping[str, str], home: Path) -> None:
    """CannotVerifyError where a metric file or a program of others would run.

    paths: where the recorded files lie now, by their recorded names; home: where it will run.
    """
    asked = list(request.metrics)
    if request.protocol is not None:
        asked += _metrics_of(request.protocol, paths)
    with contextlib.chdir(home):
        asked += [f"{folder}/*.py" for folder in catalogue.folders("metrics")[1:]]
    if found := list(dict.fromkeys(_foreign(asked))):
        raise CannotVerifyError(
            f"it would run {', '.join(map(plain, found))}, which its run.json names; "
            "look at what that is, then add --trust"
        )


def _foreign(asked: Iterable[str]) -> Iterator[str]:
    ours = {path.stem for path in catalogue.folder("metrics").glob("*.py")} - {PROGRAMS}
    return (spec for spec in asked if spec.partition(":")[0] not in ours)


def _metrics_of(protocol: str, paths: Mapping[str, str]) -> list[str]:
    """Of a recorded protocol file; the protocol itself where it does not say. evalkit's run nothing
    but its own."""
    if protocol in {path.stem for path in catalogue.folder("protocols").glob("*.toml")}:
        return []
    try:
        found = tomllib.loads(Path(paths[protocol]).read_text(encoding="utf-8"))["metrics"]
    except (OSError, ValueError, KeyError):
        return [protocol]
    return [str(one) for one in found] if isinstance(found, list) else [protocol]


def own_files(results: Sequence[Result]) -> list[str]:
    """Metric files of one's own, as the calls named them."""
    named = [
        spec.partition(":")[0]
        for result in results
        for spec in result.run.get("request", {}).get("metrics", [])
    ]
    return [name for name in dict.fromkeys(named) if name.endswith(".py")]
