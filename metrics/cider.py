"""CIDEr: how alike a caption and its references are in n-grams that few images share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

import evalkit
from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example
from evalkit.table import Floats, Table
from evalkit.text import tokenizers
from evalkit.text.document_frequencies import HIGHEST, DocumentFrequencies, count_references
from evalkit.text.ngrams import Captions, Encoder

SIGMA = 6.0  # of the penalty on the difference in length
BATCH = 2**13  # examples


@dataclass(frozen=True)
class Cider(MeanMetric):
    """tokenize: ptb, ptb-java or none. df: a file of document frequencies, else the references'.

    What pycocoevalcap calls CIDEr, which is the paper's CIDEr-D with lengths in bigrams; 0..10. It
    depends on the number of documents, which the signature names: compare on one set only. Slices
    and resamples keep the document frequencies of the full set; so an interval is about other
    examples under these frequencies. The file is `{"documents": 3, "df": {"a man": 2, …}}`, may
    end in .gz, and is made by evalkit.text.document_frequencies.write(path, references, tokenize).
    """

    tokenize: str = "ptb"
    df: str | None = None

    outputs: ClassVar = (Output("cider", (0, 10)),)
    reads: ClassVar = "text"
    reference: ClassVar = "Vedantam et al. 2015 (CIDEr-D); pycocoevalcap 1.2"
    whole: ClassVar = True  # document frequencies are too large to travel with every batch

    def __post_init__(self) -> None:
        tokenizers.check(self.tokenize)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.tokenize)

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """Document frequencies, one document per example; the tokens are kept for `rows`."""
        if self.df is None:
            found = count_references(references, self._encoder)
        else:
            found = DocumentFrequencies.load(Path(self.df))
            self._encoder.keep([text for texts in references for text in texts])
        return Fitted(found.state, {"documents": found.documents})

    def signature(self, fitted: Fitted) -> str:
        source = "references" if self.df is None else fitted.digest()[:8]
        tokens = tokenizers.SIGNATURES[self.tokenize]
        documents = fitted.state["documents"]
        return f"tok:{tokens}|df:{source}|documents:{documents}|evalkit:{evalkit.__version__}"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[float, int]]:
        """(CIDEr of the example, 1)."""
        frequencies = DocumentFrequencies.of(fitted.state)
        for start in range(0, len(examples), BATCH):
            captions = Captions.of(examples[start : start + BATCH], self._encoder)
            yield from ((value, 1) for value in _values(captions, frequencies).tolist())

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        if table.header.scoring["documents"] == 1:
            yield (
                "one-document",
                "CIDEr with document frequencies of one document is 0 by definition: every n-gram "
                "occurs in all documents",
            )


def _values(captions: Captions, frequencies: DocumentFrequencies) -> Floats:
    """CIDEr of every example: ten times the mean over references and orders of the cosine.

    As pycocoevalcap: an n-gram that no document holds weighs as one that one does, counts are
    clipped to the reference's, and lengths are compared in bigrams.
    """
    texts = len(captions.example)
    similarity = np.zeros(texts)
    for order, frequency in frequencies.lookup(captions.orders(HIGHEST), captions.encoded.words):
        weight = np.log(frequencies.documents) - np.log(np.maximum(frequency, 1))
        weight = weight[order.gram]
        norm = np.sqrt(np.bincount(order.owner, (order.count * weight) ** 2, texts))
        shared, clipped = captions.shared(order)
        product = clipped * order.count[shared] * weight[shared] ** 2
        dot = np.bincount(order.owner[shared], product, texts)
        norms = norm * norm[captions.prediction]
        similarity += np.divide(dot, norms, out=np.zeros(texts), where=norms > 0)
    bigrams = np.maximum(captions.encoded.lengths - 1, 0)
    difference = bigrams[captions.prediction] - bigrams
    similarity *= np.exp(-(difference**2) / (2 * SIGMA**2))
    total = np.bincount(captions.example, similarity)
    references = np.bincount(captions.example) - 1
    return 10 * total / HIGHEST / references
