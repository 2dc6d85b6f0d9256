"""Exact match: the share of predictions that equal one of their references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example


@dataclass(frozen=True)
class ExactMatch(MeanMetric):
    """ignore_case: compare case-folded."""

    ignore_case: bool = False

    outputs: ClassVar = (Output("exact_match"),)
    reads: ClassVar = "text"
    reference: ClassVar = "Rajpurkar et al. 2016, without SQuAD's removal of articles"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[int, int]]:
        """(equal, 1), white space at both ends aside."""
        for example in examples:
            prediction = self._plain(example.prediction)
            yield int(prediction in map(self._plain, example.references)), 1

    def _plain(self, text: str) -> str:
        return text.strip().casefold() if self.ignore_case else text.strip()
