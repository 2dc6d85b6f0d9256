"""Rows computed in other processes; what travels is a metric's name or source, never its class."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.interrupts import interrupts_blocked
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
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, metric: Metric) -> Recipe:
        found = type(metric)
        if found.__module__ == "__main__":
            raise MetricError(
                f"{found.name} is defined in the running script, where workers cannot find it; "
                "move it to a file of its own, or use one worker"
            )
        module = importlib.import_module(found.__module__)
        return cls(
            found.__module__,
            getattr(module, "__evalkit_source__", None),
            str(getattr(module, "__file__", "")),
            found.name,
            found.__name__,
            metric.parameters,
        )

    def metric(self) -> Metric:
        """Made once per process, so that what it loads is loaded once."""
        key = (self.module, self.class_name, repr(self.parameters))
        if key not in _MADE:
            if self.source is not None:
                module = catalogue.load_source(self.source, self.name, self.where)
            else:
                module = importlib.import_module(self.module)
            _MADE[key] = getattr(module, self.class_name)(**self.parameters)
        return _MADE[key]


_MADE: dict[tuple[str, str, str], Metric] = {}


def blocks(metric: Metric, examples: Sequence[Example], fitted: Fitted) -> list[Array]:
    """One [r, k] per example; MetricError where the metric's own code fails, with file:line."""
    return list(iterate_blocks(metric, examples, fitted))


def iterate_blocks(metric: Metric, examples: Sequence[Example], fitted: Fitted) -> Iterator[Array]:
    """As `blocks`, one by one."""
    done = 0
    near = f' (in the batch from id "{examples[0].id}")' if examples else ""
    with catalogue.named_errors(type(metric), near):
        for rows in metric.rows(examples, fitted):
            if done == len(examples):
                raise MetricError(f"{metric.name}: more rows than examples")
            yield as_block(rows, metric.name, examples[done].id)
            done += 1
    if done != len(examples):
        raise MetricError(f"{metric.name}: {done} rows for {len(examples)} examples")


def _end_with_parent() -> None:
    """A killed parent leaves no worker waiting for work that never comes."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    # An interrupt is for the parent to handle; being ended by it is for the worker.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


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
        with interrupts_blocked():
            waiting: list[Future[list[Array]]] = [
                executor.submit(_in_worker, recipe, batch, fitted) for batch in batches
            ]
        done = 0
        try:
            for future in as_completed(waiting):
                done += len(future.result())
                progress(done)
        except BrokenProcessPool:
            raise MetricError(
                f"{metric.name}: a worker process died (out of memory?); try --workers 1"
            ) from None
        return [block for future in waiting for block in future.result()]

    def _start(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.workers, mp_context=get_context("spawn"), initializer=_end_with_parent
            )
        return self._executor


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
