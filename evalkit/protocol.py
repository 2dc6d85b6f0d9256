"""A protocol: which metrics, on which unit, with which slices; a strict TOML file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from evalkit import catalogue, rules
from evalkit.errors import MetricError, ProtocolError, did_you_mean
from evalkit.rules import Rule


@dataclass(frozen=True)
class Protocol:
    """metrics: as on the command line, `chrf:word_order=2`; default_for: a kind of record; gate:
    its `[[gate]]` tables."""

    title: str
    reads: str
    metrics: list[str]
    reference: str = ""
    default_for: str | None = None
    cluster: str | None = None
    slices: list[str] = field(default_factory=list)
    resamples: int = 2000
    level: float = 0.95
    interval: str = "auto"
    gate: list[Rule] = field(default_factory=list)
    name: str = ""
    path: str = ""


def load(name: str) -> Protocol:
    """By name or path; ProtocolError with file:line where a key or a value is wrong."""
    path = catalogue.protocol_path(name)
    text, content = rules.read_toml(path)
    return _checked(content, text, path)


def default_for(kind: str) -> Protocol | None:
    """The protocol of a kind of record where none is named."""
    found = (load(name) for name in catalogue.entries("protocols"))
    return next((one for one in found if one.default_for == kind), None)


def _checked(content: dict[str, Any], text: str, path: Path) -> Protocol:
    known = [one.name for one in fields(Protocol) if one.name not in ("name", "path")]
    for key in content:
        if key not in known:
            hint = did_you_mean(key, known)
            raise ProtocolError(f'no key is called "{key}"{hint}', _line(text, key, path))
    gates = rules.parse(content.pop("gate", []), rules.Tables(text, path))
    try:
        protocol = msgspec.convert(
            {**content, "name": path.stem, "path": str(path)}, Protocol, strict=True
        )
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at ")
        key = re.sub(r"\W", "", at.split("[")[0].replace("$", ""))
        raise ProtocolError(f"{key or 'protocol'}: {message}", _line(text, key, path)) from None
    if not protocol.metrics:
        raise ProtocolError("metrics is empty; name at least one", _line(text, "metrics", path))
    if protocol.default_for is not None and protocol.cluster is not None:
        message = "a default is chosen after the records are read, so it cannot name their cluster"
        raise ProtocolError(message, _line(text, "cluster", path))
    for spec in protocol.metrics:
        try:
            reads = catalogue.metric(spec).reads
        except MetricError as error:
            raise ProtocolError(str(error), _line(text, "metrics", path)) from None
        if reads != protocol.reads:
            message = f"{spec} reads {reads}, but the protocol reads {protocol.reads}"
            raise ProtocolError(message, _line(text, "metrics", path))
    _check_gates(gates, protocol.metrics)
    return replace(protocol, gate=list(gates))


def _check_gates(gates: Sequence[Rule], metrics: Sequence[str]) -> None:
    """A protocol's rules are about its own metrics, or about raters."""
    made = [catalogue.metric(spec) for spec in metrics]
    known = {name for metric in made for name in (metric.name, metric.label)}
    for rule in gates:
        if rule.metric not in known and rule.kind != "agreement_at_least":
            hint = did_you_mean(rule.metric, known)
            raise ProtocolError(f'no metric here is called "{rule.metric}"{hint}', rule.where)


def place(protocol: Protocol, key: str) -> str:
    """`file:line` of a key."""
    path = Path(protocol.path)
    return _line(path.read_text(encoding="utf-8"), key, path)


def _line(text: str, key: str, path: Path) -> str:
    pattern = re.compile(rf"\s*\"?{re.escape(key)}\"?\s*=")
    for number, line in enumerate(text.splitlines(), start=1):
        if key and pattern.match(line):
            return f"{path}:{number}"
    return str(path)
