"""The one door to sacrebleu's underscore methods (sacrebleu >= 2.4, < 3).

sacrebleu tokenises and counts; the contract is held by tests/parity/test_sacrebleu.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from evalkit.metric import Fitted, SumMetric
from evalkit.records.example import Example

BATCH = 256  # segments; sacrebleu holds the n-grams of a whole batch of references at once


@dataclass(frozen=True)
class SacrebleuMetric(SumMetric):
    """A metric whose rows and signature are those of a sacrebleu metric."""

    reads: ClassVar = "text"

    @abstractmethod
    def counter(self) -> Any:
        """A new sacrebleu metric with these parameters."""

    @cached_property
    def _counter(self) -> Any:
        return self.counter()

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """How many references an example has: a number, or -1 where it varies."""
        counts = {len(texts) for texts in references}
        return Fitted(state={"nrefs": counts.pop() if len(counts) == 1 else -1})

    def signature(self, fitted: Fitted) -> str:
        self._counter.num_refs = fitted.state["nrefs"]
        return str(self._counter.get_signature())

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[list[float]]:
        """sacrebleu's sufficient statistics, one list per example."""
        for start in range(0, len(examples), BATCH):
            yield from _batch(self._counter, examples[start : start + BATCH])


def _batch(counter: Any, batch: Sequence[Example]) -> list[list[float]]:
    """sacrebleu pairs predictions and references with zip, which cuts the longer off in silence.

    None stands for a reference that an example does not have.
    """
    most = max(len(example.references) for example in batch)
    streams = [
        [_nth(example.references, position) for example in batch] for position in range(most)
    ]
    counts: list[list[float]] = counter._extract_corpus_statistics(
        [example.prediction for example in batch], streams
    )
    assert len(counts) == len(batch)
    return counts


def _nth(references: Sequence[str], position: int) -> str | None:
    return references[position] if position < len(references) else None
