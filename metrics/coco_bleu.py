"""BLEU-1 to BLEU-4 as COCO captions are scored: pycocoevalcap's sums, smoothing and penalty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

import evalkit
from evalkit.metric import Fitted, Output, SumMetric
from evalkit.records.example import Example
from evalkit.table import Floats, Ints
from evalkit.text import tokenizers
from evalkit.text.ngrams import Captions, Encoder

HIGHEST = 4  # words in an n-gram
BATCH = 2**13  # examples
TINY, SMALL = 1e-15, 1e-9  # pycocoevalcap's: added to what is correct and what was tried


@dataclass(frozen=True)
class CocoBleu(SumMetric):
    """tokenize: ptb, ptb-java or none.

    0..1, where sacrebleu's BLEU is 0..100 with other tokens, smoothing and penalty. The reference
    that counts for the length is the closest, of two the shorter.
    """

    tokenize: str = "ptb"

    outputs: ClassVar = tuple(Output(f"bleu{n}") for n in range(HIGHEST, 0, -1))
    reads: ClassVar = "text"
    scale_free: ClassVar = False  # where a count is 0 and smoothing stands in for it
    reference: ClassVar = "Papineni et al. 2002; pycocoevalcap 1.2"
    whole: ClassVar = True  # the tokens of references are kept from one system to the next

    def __post_init__(self) -> None:
        tokenizers.check(self.tokenize)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.tokenize)

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """Nothing is learnt; the tokens are kept for `rows`."""
        self._encoder.keep([text for texts in references for text in texts])
        return Fitted()

    def signature(self, fitted: Fitted) -> str:
        tokens = tokenizers.SIGNATURES[self.tokenize]
        return f"tok:{tokens}|smooth:coco|reflen:closest|evalkit:{evalkit.__version__}"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Ints]:
        """Words of the prediction and of the closest reference, n-grams tried and correct 1..4."""
        for start in range(0, len(examples), BATCH):
            yield from _counts(Captions.of(examples[start : start + BATCH], self._encoder))

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """BleuScorer.compute_score for all resamples at once: BLEU-4 first [b, 4]."""
        precision = (sums[:, 6:] + TINY) / (sums[:, 2:6] + SMALL)
        mean = np.cumprod(precision, axis=1) ** (1 / np.arange(1, HIGHEST + 1))
        ratio = (sums[:, 0] + TINY) / (sums[:, 1] + SMALL)
        penalty = np.exp(np.minimum(1 - 1 / ratio, 0))
        values: Floats = (mean * penalty[:, None])[:, ::-1]
        return values

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """Of the logarithm, times the value; 0 in a sum that is 0."""
        orders = np.arange(HIGHEST, 0, -1)
        share = (np.arange(1, HIGHEST + 1) <= orders[:, None]) / orders[:, None]
        length, reference = sums[:, :1], sums[:, 1:2]
        short = (length > 0) & (length + TINY < reference + SMALL)
        slope = np.zeros((len(sums), HIGHEST, sums.shape[1]))
        by_length = np.divide(reference, length**2, out=np.zeros_like(length), where=short)
        by_reference = np.divide(-1.0, length, out=np.zeros_like(length), where=short)
        slope[:, :, 0], slope[:, :, 1] = by_length, by_reference
        inverse = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
        slope[:, :, 2:6] = -share * inverse[:, None, 2:6]
        slope[:, :, 6:] = share * inverse[:, None, 6:]
        return slope * self.from_sums(sums, scoring)[:, :, None]


def _counts(captions: Captions) -> Ints:
    """[examples, 10], the columns of `rows`."""
    lengths = captions.encoded.lengths.astype(np.int64)
    texts = np.arange(len(lengths))
    predictions = texts[captions.prediction == texts]
    length = lengths[predictions]
    tried = [np.maximum(length - n, 0) for n in range(HIGHEST)]
    correct = [captions.best_shared(order) for order in captions.orders(HIGHEST)]
    return np.stack([length, _closest(captions, lengths), *tried, *correct], axis=1)


def _closest(captions: Captions, lengths: Ints) -> Ints:
    """The length of the reference that is closest to the prediction's; of two the shorter."""
    distance = np.abs(lengths - lengths[captions.prediction])
    order = np.lexsort((lengths, distance, captions.example))
    order = order[captions.prediction[order] != order]
    first = np.unique(captions.example[order], return_index=True)[1]
    closest: Ints = lengths[order[first]]
    return closest
