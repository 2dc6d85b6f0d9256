"""BERTScore: tokens of prediction and reference matched by the cosine of their vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import MetricError, counted, did_you_mean
from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.neural.bertscore_data import Baseline, baseline, default_layer
from evalkit.neural.device import device
from evalkit.neural.encoder import EncodedText, TextEncoder, tokenize
from evalkit.neural.loading import load_model, load_tokenizer
from evalkit.neural.matching import even_weights, idf_weights, match
from evalkit.neural.models import StoredModel, find_model
from evalkit.records.example import Example
from evalkit.table import Array, Floats, Table

DTYPES = ("fp32", "bf16")
CHUNK_TEXTS, CHUNK_CHARACTERS = 2048, 400_000  # encoded together; then their rows are given out
BATCH = 4096  # references that are tokenized together


@dataclass(frozen=True)
class BertScore(MeanMetric):
    """model: a folder, or a name of the Hugging Face hub that is on this machine.

    num_layers: default bert-score's choice for the model; idf: weigh tokens by their rarity in the
    references; rescale: by a baseline, a TSV file or a language of bert-score's; dtype: fp32, or
    bf16, which is faster and good to about 0.002.
    """

    model: str = "roberta-large"
    num_layers: int | None = None
    idf: bool = False
    rescale: bool = False
    baseline: str | None = None
    dtype: str = "fp32"

    outputs: ClassVar = (
        Output("bertscore", (None, 1)),
        Output("precision", (None, 1)),
        Output("recall", (None, 1)),
    )
    reads: ClassVar = "text"
    whole: ClassVar = True
    reference: ClassVar = "Zhang et al. 2020; bert-score 0.3.13"

    def __post_init__(self) -> None:
        if not self.model:
            raise MetricError("bertscore: model must name a model or a folder")
        if self.num_layers is not None and self.num_layers < 0:
            raise MetricError("bertscore: num_layers must be >= 0")
        if self.dtype not in DTYPES:
            hint = did_you_mean(self.dtype, DTYPES)
            raise MetricError(f'bertscore: no dtype is called "{self.dtype}"{hint}')
        if self.baseline is not None and not self.rescale:
            raise MetricError("bertscore: baseline is used with rescale=true only")

    @cached_property
    def _layer(self) -> int:
        return default_layer(self.model) if self.num_layers is None else self.num_layers

    @cached_property
    def _baseline(self) -> Baseline | None:
        return baseline(self.model, self._layer, self.baseline) if self.rescale else None

    @cached_property
    def _stored(self) -> StoredModel:
        return find_model(self.model, self.name)

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._stored, self.name)

    @cached_property
    def _encoder(self) -> TextEncoder:
        place = device()
        return TextEncoder(
            load_model(self._stored, self._tokenizer, self._layer, self.dtype, place, self.name)
        )

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """With idf, in how many references each token occurs; every reference is a document."""
        own = [[text.strip() for text in texts] for texts in references]
        numbers = {len(texts) for texts in own}
        state: dict[str, Any] = {"nrefs": numbers.pop() if len(numbers) == 1 else "var"}
        _ = self._stored, self._layer, self._baseline  # what is missing is said before any work
        if self.idf:
            texts = [text for group in own for text in group]
            counts: Counter[int] = Counter()
            for start in range(0, len(texts), BATCH):
                batch = texts[start : start + BATCH]
                for tokens in tokenize(self._tokenizer, batch, self._encoder.limit):
                    counts.update(set(tokens.ids))
            tokens_seen = sorted(counts)
            state["documents"] = len(texts)
            state["tokens"] = np.array(tokens_seen, np.int64)
            state["counts"] = np.array([counts[token] for token in tokens_seen], np.int64)
        return Fitted(state=state)

    def signature(self, fitted: Fitted) -> str:
        """bert-score's own, and the content of the model; torch changes nothing above 1e-5."""
        base = self._baseline
        parts = {
            "nrefs": fitted.state["nrefs"],
            "model": f"{self._stored.name}@{self._stored.revision}",
            "layers": self._layer,
            "idf": "yes" if self.idf else "no",
            "rescale": "no" if base is None else base.label,
            "dtype": self.dtype,
            "transformers": metadata.version("transformers"),
            "version": "0.3.13",
        }
        return "|".join(f"{key}:{value}" for key, value in parts.items())

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Floats]:
        """F1, precision, recall, 1; then empty predictions, empty references, texts cut, texts,
        tokens the model reads, and whether a text had no weight.

        With several references the best precision, recall and F1 each, as in bert-score. An empty
        text scores 0 (before rescaling).
        """
        weights = self._weights(fitted)
        for chunk in self._chunks(examples):
            yield from self._rows(chunk, weights)

    def _weights(self, fitted: Fitted) -> Floats:
        tokenizer, state = self._tokenizer, fitted.state
        if not self.idf:
            return even_weights(len(tokenizer), (tokenizer.cls_token_id, tokenizer.sep_token_id))
        counts = dict(zip(state["tokens"].tolist(), state["counts"].tolist(), strict=True))
        return idf_weights(len(tokenizer), counts, state["documents"])

    def _chunks(self, examples: Sequence[Example]) -> Iterator[list[list[str]]]:
        """Runs of examples, each as its prediction and its references."""
        chunk: list[list[str]] = []
        texts = characters = 0
        for example in examples:
            chunk.append([one.strip() for one in (example.prediction, *example.references)])
            fresh = [one for one in chunk[-1] if not self._encoder.keeps(one)]
            texts += len(fresh)
            characters += sum(map(len, fresh))
            if texts >= CHUNK_TEXTS or characters >= CHUNK_CHARACTERS:
                yield chunk
                chunk, texts, characters = [], 0, 0
        if chunk:
            yield chunk

    def _rows(self, chunk: Sequence[Sequence[str]], weights: Floats) -> Iterator[Floats]:
        encoded = self._encoder.encode(
            (text for texts in chunk for text in texts),
            keep={text for texts in chunk for text in texts[1:]},
        )
        pairs = dict.fromkeys(
            (prediction, reference)
            for prediction, *references in chunk
            for reference in references
            if prediction in encoded and reference in encoded
        )
        found = match([(encoded[one], encoded[other]) for one, other in pairs], weights)
        values = dict(zip(pairs, found, strict=True))
        for prediction, *references in chunk:
            own = [values.get((prediction, one), np.zeros(3)) for one in references]
            extras = self._extras((prediction, *references), encoded)
            weightless = bool(np.isnan(own).any())
            yield np.array([*self._best(own), 1, *extras, weightless], np.float64)

    def _best(self, own: Sequence[Array]) -> Floats:
        """precision, recall, F1 of each reference -> F1, precision, recall of the example."""
        best: Floats = np.nan_to_num(np.array(own, np.float64), nan=0.0).max(axis=0)
        if self._baseline is not None:
            base = np.array(self._baseline.values)
            best = (best - base) / (1 - base)
        return best[[2, 0, 1]]

    def _extras(self, texts: Sequence[str], encoded: dict[str, EncodedText]) -> list[int]:
        empty = [text not in encoded for text in texts]
        cut = sum(encoded[text].cut for text in texts if text in encoded)
        return [int(empty[0]), sum(empty[1:]), cut, len(texts), self._encoder.limit]

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        """What was empty, cut or without weight."""
        if not len(table.rows):
            return
        extras = table.rows[:, len(self.outputs) + 1 :].astype(np.int64)
        predictions, references, cut, texts, _, weightless = extras.sum(axis=0).tolist()
        before = " before rescaling" if self.rescale else ""
        if predictions:
            yield "empty", f"{counted(predictions, 'empty prediction')} scored 0{before}"
        if references:
            yield "empty", f"{counted(references, 'empty reference')} scored 0{before}"
        if cut:
            yield (
                "cut",
                f"{cut:,} of {counted(texts, 'text')} cut at {extras[0, 4]} tokens, the most that "
                f"the model reads ({cut / texts:.1%})",
            )
        if weightless:
            yield (
                "weightless",
                f"{counted(weightless, 'example')} with a text of tokens that all have idf 0, "
                "whose precision or recall counts as 0",
            )
