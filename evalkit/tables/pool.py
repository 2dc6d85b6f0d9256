"""Rows computed in other processes; what travels is a metric's name or source, never its class."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.metric import Fitted, Metric
from evalkit.records.example import Example
from evalkit.table import Array, as_block


@dataclass(frozen=True)
class Recipe:
    """How another process gets the same metric: an importable module, or the source of a file."""

    module: str
    source: bytes | None
    where: str
    name: str
    class_name: str
    parameters: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, metric: Metric) -> Recipe:
        found = type(metric)
        module = importlib.import_module(found.__module__)
        return cls(
            found.__module__,
            getattr(module, "__evalkit_source__", None),
            str(getattr(module, "__file__", "")),
            found.name,
            found.__name__,
            tuple(metric.parameters.items()),
        )

    def metric(self) -> Metric:
        return _made(self)


@lru_cache(maxsize=32)
def _made(recipe: Recipe) -> Metric:
    if recipe.source is not None:
        module = catalogue.load_source(recipe.source, recipe.name, recipe.where)
    else:
        module = importlib.import_module(recipe.module)
    made: Metric = getattr(module, recipe.class_name)(**dict(recipe.parameters))
    return made


def blocks(metric: Metric, examples: Sequence[Example], fitted: Fitted) -> list[Array]:
    """One [r, k] per example; MetricError where the metric's own code fails, with file:line."""
    found: list[Array] = []
    with catalogue.named_errors(type(metric), f' (in the batch from id "{examples[0].id}")'):
        for rows in metric.rows(examples, fitted):
            if len(found) == len(examples):
                raise MetricError(f"{metric.name}: more rows than examples")
            found.append(as_block(rows, metric.name, examples[len(found)].id))
    if len(found) != len(examples):
        raise MetricError(f"{metric.name}: {len(found)} rows for {len(examples)} examples")
    return found


def _in_worker(recipe: Recipe, examples: Sequence[Example], fitted: Fitted) -> list[Array]:
    return blocks(recipe.metric(), examples, fitted)


class Pool:
    """Spawned processes, started at first use; a context manager that leaves none behind."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if self._executor is None:
            return
        processes = list((self._executor._processes or {}).values())
        self._executor.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            for process in processes:
                process.terminate()

    def map(
        self,
        metric: Metric,
        batches: Sequence[Sequence[Example]],
        fitted: Fitted,
        progress: Callable[[int], None],
    ) -> list[Array]:
        """The blocks of all batches, in order; progress(examples done so far)."""
        recipe = Recipe.of(metric)
        executor = self._start()
        with _interrupts_blocked():
            waiting: list[Future[list[Array]]] = [
                executor.submit(_in_worker, recipe, batch, fitted) for batch in batches
            ]
        done = 0
        for future in as_completed(waiting):
            done += len(future.result())
            progress(done)
        return [block for future in waiting for block in future.result()]

    def _start(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"))
        return self._executor


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started here inherit the mask: an interrupt is for this process alone to handle."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
