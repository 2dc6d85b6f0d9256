"""Edits per unit of the reference, over a corpus: what word and character error rate share."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import counted
from evalkit.metric import Fitted, SumMetric
from evalkit.records.example import Example
from evalkit.table import Floats, Table
from evalkit.text.edits import edit_distance


@dataclass(frozen=True)
class ErrorRate(SumMetric):
    """Substitutions, deletions and insertions per reference unit; 1.0 is 100 %, more is possible.

    Of several references the nearest counts: the fewest edits per unit, at a tie the longer.
    Edits against a reference without units count, over no units; NaN where all are so.

    lowercase: compare in lower case. punctuation: false removes what Unicode calls punctuation
    (categories P*; "don't" becomes "dont").
    """

    lowercase: bool = False
    punctuation: bool = True

    reads: ClassVar = "text"
    unit: ClassVar[str]

    @abstractmethod
    def split(self, text: str) -> Sequence[str]:
        """The units of a text."""

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[int, int]]:
        """(edits, units of the reference)."""
        for example in examples:
            prediction = self._units(example.prediction)
            pairs = []
            for text in example.references:
                reference = self._units(text)
                pairs.append((edit_distance(reference, prediction), len(reference)))
            yield min(pairs, key=_nearness)

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        edits, units = sums[:, :1], sums[:, 1:]
        return np.divide(edits, units, out=np.full_like(edits, np.nan), where=units > 0)

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        if empty := int((table.rows[:, 1] == 0).sum()):
            yield (
                "empty-references",
                f"{counted(empty, 'example')} whose reference has no {self.unit}s: "
                f"the edits count, over no {self.unit}s",
            )

    def _units(self, text: str) -> Sequence[str]:
        if self.lowercase:
            text = text.lower()
        if not self.punctuation:
            kept = (one for one in text if not unicodedata.category(one).startswith("P"))
            text = " ".join("".join(kept).split())
        return self.split(text)


def _nearness(pair: tuple[int, int]) -> tuple[float, int]:
    edits, units = pair
    if units == 0:
        return (0.0 if edits == 0 else np.inf), 0
    return edits / units, -units
