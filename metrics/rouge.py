"""ROUGE as rouge-score computes it: shared n-grams and longest common subsequences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import metadata
from itertools import chain, pairwise
from typing import Any, ClassVar

from evalkit.errors import MissingDependencyError, counted
from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example
from evalkit.table import Table
from evalkit.text.subsequences import Places, common_length, common_places

TOKEN = re.compile("[a-z0-9]+")  # of the lower-cased text; rouge-score drops everything else
LONGEST_UNSTEMMED = 3  # characters
REMEMBERED = 8192  # references (some 10 kB each) kept counted for the next system


@dataclass(frozen=True)
class Rouge(MeanMetric):
    """F-measure 0..1 of the best reference, per output; the mean over examples.

    stemmer: Porter's, rouge-score's use_stemmer. The lines of a text are the sentences of
    rougeLsum. The outputs stand in the order in which papers print them. rouge-score's `mid` is
    the median of random resamples of the mean; this is the mean itself.
    """

    stemmer: bool = False

    outputs: ClassVar = (Output("rouge1"), Output("rouge2"), Output("rougeL"), Output("rougeLsum"))
    reads: ClassVar = "text"
    reference: ClassVar = "Lin 2004; rouge-score 0.1.2 (RougeScorer.score_multi)"

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """Nothing is learnt; MissingDependencyError where the stemmer is not installed."""
        _ = self._stem
        return Fitted()

    def signature(self, fitted: Fitted) -> str:
        version = f"|nltk:{metadata.version('nltk')}" if self.stemmer else ""
        return super().signature(fitted) + version

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[float, ...]]:
        """(rouge1, rouge2, rougeL, rougeLsum, 1), then three flags for `remarks`.

        They are: a prediction without tokens, no reference with tokens, a text of several lines.
        """
        for example in examples:
            prediction = Text(example.prediction, self._stem)
            references = [self._reference(text) for text in example.references]
            measures = [_f_measures(reference, prediction) for reference in references]
            best = (max(values) for values in zip(*measures, strict=True))
            wordless = not any(reference.tokens for reference in references)
            lines = any(len(text.sentences) > 1 for text in (prediction, *references))
            yield *best, 1, not prediction.tokens, wordless, lines

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        predictions, references, lines = table.rows[:, -3:].sum(axis=0, dtype=int)
        drops = "ROUGE knows only a-z and 0-9, so they score 0"
        if predictions:
            yield "no-tokens", f"{counted(predictions, 'prediction')} without tokens: {drops}"
        if references:
            what = counted(references, "example")
            yield "no-reference-tokens", f"{what} with no token in any reference: {drops}"
        if not lines:
            yield "single-lines", "no text has lines (sentences), so rougeLsum equals rougeL"

    @cached_property
    def _stem(self) -> Callable[[str], str] | None:
        if not self.stemmer:
            return None
        try:
            from nltk.stem.porter import PorterStemmer
        except ImportError:
            raise MissingDependencyError(
                "rouge: stemmer=true needs nltk (extra `caption`): pip install nltk"
            ) from None
        stem: Callable[[str], str] = lru_cache(maxsize=1 << 16)(PorterStemmer().stem)
        return stem

    @cached_property
    def _reference(self) -> Callable[[str], Text]:
        return lru_cache(maxsize=REMEMBERED)(lambda text: Text(text, self._stem))


class Text:
    """The tokens of a text and what is counted of them; its sentences are lines with tokens."""

    def __init__(self, text: str, stem: Callable[[str], str] | None) -> None:
        lines = [TOKEN.findall(line) for line in text.lower().split("\n")]
        if stem is not None:
            lines = [
                [stem(word) if len(word) > LONGEST_UNSTEMMED else word for word in line]
                for line in lines
            ]
        self.sentences: list[list[str]] = [line for line in lines if line]
        self.tokens = list(chain.from_iterable(self.sentences))
        self.unigrams = Counter(self.tokens)
        self.bigrams = Counter(pairwise(self.tokens))

    @cached_property
    def places(self) -> Places:
        return Places(self.tokens)

    @cached_property
    def sentence_places(self) -> list[Places]:
        return [Places(sentence) for sentence in self.sentences]


def _f_measures(reference: Text, prediction: Text) -> tuple[float, float, float, float]:
    """(rouge1, rouge2, rougeL, rougeLsum)."""
    ours, theirs = len(reference.tokens), len(prediction.tokens)
    subsequence = common_length(reference.places, prediction.tokens)
    union = subsequence
    if len(reference.sentences) > 1 or len(prediction.sentences) > 1:
        union = _union_hits(reference, prediction)
    return (
        _f_measure(_shared(reference.unigrams, prediction.unigrams), ours, theirs),
        _f_measure(_shared(reference.bigrams, prediction.bigrams), ours - 1, theirs - 1),
        _f_measure(subsequence, ours, theirs),
        _f_measure(union, ours, theirs),
    )


def _shared(ours: Mapping[Any, int], theirs: Mapping[Any, int]) -> int:
    return sum(min(ours[gram], theirs[gram]) for gram in ours.keys() & theirs.keys())


def _union_hits(reference: Text, prediction: Text) -> int:
    """Tokens of the reference in a common subsequence with any sentence of the prediction.

    Section 3.2 of Lin 2004; no token counts more often than the prediction has it.
    """
    chosen: Counter[Any] = Counter()
    for places in reference.sentence_places:
        union = 0
        for sentence in prediction.sentences:
            union |= common_places(places, sentence)
        for token, bits in places.bits.items():
            chosen[token] += (bits & union).bit_count()
    return _shared(chosen, prediction.unigrams)


def _f_measure(hits: int, reference: int, prediction: int) -> float:
    """In rouge-score's own order of operations, so that the last digit is the same."""
    if hits == 0:
        return 0.0
    precision, recall = hits / prediction, hits / reference
    return 2 * precision * recall / (precision + recall)
