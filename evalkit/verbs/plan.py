"""What is to be scored, known before any work: options, units, slices, identity of the inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evalkit import catalogue
from evalkit import protocol as protocols
from evalkit.errors import DataError, MetricError, ProtocolError, UsageError, did_you_mean
from evalkit.metric import Metric
from evalkit.protocol import Protocol
from evalkit.records.example import System
from evalkit.records.joining import labels, no_field
from evalkit.results import SCHEMA
from evalkit.stats.intervals import METHODS

BOOTSTRAPS = ("poisson", "multinomial")
NO_CLUSTER = "none"
FEWEST_BEYOND = 2  # resamples beyond each bound; with fewer a bound is the most extreme draw


@dataclass(frozen=True)
class ScoreOptions:
    """What a value or an interval depends on; all of it is written into the result.

    cluster: the field that named the clusters; "none": resample examples; None: clusters where
    the records have them.
    """

    resamples: int = 2000
    level: float = 0.95
    seed: int = 12345
    interval: str = "auto"
    bootstrap: str = "poisson"
    cluster: str | None = None
    slices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.interval not in METHODS:
            hint = did_you_mean(self.interval, METHODS)
            raise UsageError(f'no interval is called "{self.interval}"{hint}')
        if self.bootstrap not in BOOTSTRAPS:
            hint = did_you_mean(self.bootstrap, BOOTSTRAPS)
            raise UsageError(f'no bootstrap is called "{self.bootstrap}"{hint}')
        if not 0 < self.level < 1:
            raise UsageError(f"the level is a share such as 0.95, not {self.level}")
        if self.resamples < 100:
            raise UsageError(f"{self.resamples} resamples are too few; take at least 100")
        if self.resamples * (1 - self.level) / 2 < FEWEST_BEYOND:
            wanted = math.ceil(2 * FEWEST_BEYOND / (1 - self.level))
            raise UsageError(f"a level of {self.level:g} needs at least {wanted:,} resamples")
        if self.seed < 0:
            raise UsageError("the seed must not be negative")


@dataclass(frozen=True)
class Plan:
    """One system with what its result will say of its inputs, known before any work."""

    system: System
    document: Mapping[str, Any]
    clusters: tuple[str, ...] | None
    slices: Mapping[str, tuple[str, ...]]

    @property
    def unit_key(self) -> tuple[Any, ...]:
        """Plans with equal keys share their weights."""
        return self.system.references_digest, self.clusters, tuple(self.slices.items())


def plan(system: System, protocol: Protocol, options: ScoreOptions, set_name: str | None) -> Plan:
    """DataError where a slice or cluster field is not there."""
    clusters = _clusters(system, options)
    slices = {field: tuple(labels(system, field)) for field in options.slices}
    document = {
        "schema": SCHEMA,
        "kind": "score",
        "system": system.name,
        "set": set_name or f"{protocol.name}-{system.references_digest[:8]}",
        "protocol": protocol.name,
        "options": {**asdict(options), "slices": list(options.slices)},
        "inputs": {
            "predictions": system.predictions_digest,
            "references": system.references_digest,
            "examples": len(system.examples),
            "clusters": None if clusters is None else len(set(clusters)),
            "missing": system.missing,
            "unused_references": system.unused,
        },
    }
    return Plan(system, document, clusters, slices)


def _clusters(system: System, options: ScoreOptions) -> tuple[str, ...] | None:
    if options.cluster == NO_CLUSTER:
        return None
    with_cluster = sum(example.cluster is not None for example in system.examples)
    if with_cluster == 0:
        if options.cluster is not None:
            raise no_field(system, options.cluster)
        return None
    if with_cluster < len(system.examples):
        id = next(example.id for example in system.examples if example.cluster is None)
        raise DataError(
            f'id "{id}" has no cluster, but others have; complete them, or --cluster none',
            system.source,
        )
    return tuple(str(example.cluster) for example in system.examples)


def known_kind(protocol: str | None, asked: Sequence[Metric]) -> str | None:
    """The kind of record that the protocol or the metrics read; None: the records must tell."""
    if protocol is not None:
        return protocols.load(protocol).reads
    return asked[0].reads if asked else None


def made_metrics(asked: Sequence[Any]) -> list[Metric]:
    """From names, metrics, and objects of libraries that an entry of the catalogue wraps."""
    return [
        catalogue.metric(one) if isinstance(one, str) else catalogue.adopt(one) for one in asked
    ]


def choose_protocol(name: str | None, kind: str, *, bare: bool) -> Protocol:
    """By name, else the default for the kind; bare: metrics are named, so none is needed."""
    if name is not None:
        return protocols.load(name)
    found = protocols.default_for(kind)
    if found is None and not bare:
        raise ProtocolError(
            f"no protocol is the default for {kind}; name a metric (evalkit list metrics)"
        )
    return found or Protocol(title=kind, reads=kind, metrics=[], name=kind)


def choose_metrics(asked: Sequence[Metric], chosen: Protocol) -> list[Metric]:
    """The metrics asked for, else the protocol's; MetricError where one reads other records."""
    made = list(asked) or made_metrics(chosen.metrics)
    for metric in made:
        if metric.reads != chosen.reads:
            raise MetricError(
                f"{metric.name} reads {metric.reads}, but the records hold {chosen.reads}"
            )
    return made


def choose_options(chosen: Protocol, **given: Any) -> ScoreOptions:
    """What is not given (None, or no slices) comes from the protocol."""
    for name in ("resamples", "level", "interval"):
        value = getattr(chosen, name)
        try:
            ScoreOptions(**{name: value})
        except UsageError as error:
            raise ProtocolError(error.message, protocols.place(chosen, name)) from None
        if given[name] is None:
            given[name] = value
    given["slices"] = tuple(given["slices"] or chosen.slices)
    return ScoreOptions(**given)
