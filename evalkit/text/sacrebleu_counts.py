"""The one door to sacrebleu's underscore methods (sacrebleu >= 2.4, < 3).

sacrebleu tokenises and counts; the contract is held by tests/parity/test_sacrebleu.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from evalkit.metric import Fitted
from evalkit.records.example import Example

BATCH = 256  # segments; sacrebleu holds the n-grams of a whole batch of references at once


def fit(references: Iterable[Sequence[str]]) -> Fitted:
    """How many references an example has: a number, or -1 where it varies, as sacrebleu says it."""
    counts = {len(texts) for texts in references}
    return Fitted(state={"nrefs": counts.pop() if len(counts) == 1 else -1})


def signature(counter: Any, fitted: Fitted) -> str:
    """sacrebleu's own signature of this metric with these references."""
    counter.num_refs = fitted.state["nrefs"]
    return str(counter.get_signature())


def rows(counter: Any, examples: Sequence[Example]) -> Iterator[list[float]]:
    """One list of sufficient statistics per example."""
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        yield from _batch(counter, batch)


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
