"""From examples to a table: from the cache, in this process, or in a pool where it pays."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from evalkit.metric import Fitted, Metric
from evalkit.records.example import System
from evalkit.table import Array, Table
from evalkit.tables import cache as caches
from evalkit.tables.cache import Cache
from evalkit.tables.pool import Pool, blocks, iterate_blocks

FIRST, BATCH = 8, 256  # examples in the first batch, whose time is taken, and in the largest
WORTHWHILE = 4.0  # seconds of work left; starting two processes takes about one

Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """No progress."""


@dataclass
class Builder:
    """Builds tables; `pool` None computes in this process, `eager` starts the pool at once."""

    cache: Cache | None = None
    pool: Pool | None = None
    progress: Progress = silent
    eager: bool = False
    hits: int = 0

    def table(
        self, metric: Metric, system: System, fitted: Fitted, references: str, place: str = ""
    ) -> Table:
        """references: the sha256 of the canonical references; place: of the system, "3/45 "."""
        header = metric.header(fitted, references)
        key = None
        if self.cache is not None and metric.cached:
            key = caches.key(metric, header, system.predictions_digest + system.fields_digest)
            found = self.cache.get(key) if key is not None else None
            if found is not None and found.header == header and found.ids == system.ids:
                self.hits += 1
                return found
        table = Table.of(header, system.ids, self._blocks(metric, system, fitted, place))
        if self.cache is not None and key is not None:
            self.cache.put(key, table)
        return table

    def _blocks(self, metric: Metric, system: System, fitted: Fitted, place: str) -> list[Array]:
        """Here while the work left is short, then in the pool."""
        stage = f"{place}{system.name}: {metric.label}"
        total = len(system.examples)
        found: list[Array] = []
        if metric.whole:
            for block in iterate_blocks(metric, system.examples, fitted):
                if len(found) % BATCH == 0:
                    self.progress(stage, len(found), total)
                found.append(block)
            self.progress(stage, total, total)
            return found
        started = time.perf_counter()
        size = FIRST
        each = 0.0
        while len(found) < total:
            self.progress(stage, len(found), total)
            pays = bool(found) and each * (total - len(found)) > WORTHWHILE
            if self.pool is not None and (self.eager or pays):
                break
            found.extend(blocks(metric, system.examples[len(found) : len(found) + size], fitted))
            each = (time.perf_counter() - started) / len(found)
            size = min(2 * size, BATCH)
        rest = system.examples[len(found) :]
        if rest and self.pool is not None:
            size = _batch(len(rest), self.pool.workers)
            batches = [rest[i : i + size] for i in range(0, len(rest), size)]
            before = len(found)
            found += self.pool.map(
                metric, batches, fitted, lambda done: self.progress(stage, before + done, total)
            )
        self.progress(stage, total, total)
        return found


def _batch(examples: int, workers: int) -> int:
    """Small enough that every worker gets 32: the bar moves, and none waits long for the last."""
    return max(1, min(BATCH, examples // (32 * workers)))
