"""Length: a baseline that knows nothing but how many words a text has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, ClassVar

import numpy as np

from evalkit.metric import Fitted, Output, SumMetric
from evalkit.records.example import Example
from evalkit.table import Floats


@dataclass(frozen=True)
class Length(SumMetric):
    """Words of the predictions per word of the references; and words per prediction.

    Not a measure of quality: what correlates with ratings no better than this has found only that
    people like long (or short) texts. For that use longer is called better. Of several references
    the mean length counts, so that the ratio depends on the prediction's length alone (BLEU's,
    with the closest reference, does not). Words: split at white space.
    """

    outputs: ClassVar = (Output("length", (0, None)), Output("words", (0, None)))
    reads: ClassVar = "text"
    reference: ClassVar = "evalkit: words at white space, mean length of the references"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[float, ...]]:
        """(words of the prediction, mean words of its references, 1)."""
        for example in examples:
            references = fmean(len(text.split()) for text in example.references)
            yield len(example.prediction.split()), references, 1

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """(ratio, words per prediction); NaN where the references have no words."""
        below = sums[:, 1:]
        return np.divide(sums[:, :1], below, out=np.full_like(below, np.nan), where=below > 0)
