"""Texts as vectors of their tokens: each distinct text once, in batches of like lengths.

Chosen texts (references) stay encoded for the next system, up to a number of bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evalkit.neural.loading import LoadedModel, silenced

if TYPE_CHECKING:
    import torch

KEPT_BYTES = 2 * 2**30
BATCH_TOKENS = {"cpu": 4096, "cuda": 32768}  # padding included


@dataclass(frozen=True)
class Tokens:
    """`ids` with the special ones; `cut`: the text is longer than the model reads."""

    ids: list[int]
    cut: bool


@dataclass(frozen=True)
class EncodedText:
    """`vectors` [tokens, dimensions], of unit length, fp32, on the model's device."""

    ids: list[int]
    cut: bool
    vectors: torch.Tensor


class TextEncoder:
    """A loaded model and what it encoded before."""

    def __init__(self, loaded: LoadedModel, kept_bytes: int = KEPT_BYTES) -> None:
        self.limit = loaded.limit
        self._tokenizer = loaded.tokenizer
        self._model = loaded.encoder
        self._kept: dict[str, EncodedText] = {}
        self._room = kept_bytes
        self._device = next(self._model.parameters()).device

    def keeps(self, text: str) -> bool:
        """Whether the text is encoded already."""
        return text in self._kept

    def encode(self, texts: Iterable[str], keep: Collection[str] = ()) -> dict[str, EncodedText]:
        """By text; one that has no token of its own (empty, white space) is left out.

        keep: which of them are wanted again.
        """
        distinct = dict.fromkeys(texts)
        found = {text: self._kept[text] for text in distinct if text in self._kept}
        fresh = [text for text in distinct if text not in found]
        tokens = dict(zip(fresh, tokenize(self._tokenizer, fresh, self.limit), strict=True))
        wordy = [text for text in fresh if len(tokens[text].ids) > self._bare]
        wordy.sort(key=lambda text: len(tokens[text].ids))
        with silenced():
            for batch in _batches(wordy, tokens, BATCH_TOKENS[self._device.type]):
                vectors = self._vectors([tokens[text].ids for text in batch])
                for text, own in zip(batch, vectors, strict=True):
                    found[text] = EncodedText(tokens[text].ids, tokens[text].cut, own)
        for text in keep:
            if text in found and text not in self._kept:
                self._keep(text, found[text])
        return found

    @cached_property
    def _bare(self) -> int:
        """How many special tokens surround a text."""
        return len(self._tokenizer("")["input_ids"])

    def _vectors(self, rows: Sequence[list[int]]) -> list[torch.Tensor]:
        """One [tokens, dimensions] per row of ids, given in order of length."""
        import torch

        lengths = torch.tensor([len(row) for row in rows])
        longest = len(rows[-1])
        padding = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
        mask = None
        if len(rows[0]) < longest:
            mask = (torch.arange(longest) < lengths[:, None]).long().to(self._device)
        with torch.inference_mode():
            hidden = self._model(ids.to(self._device), attention_mask=mask)[0].float()
            hidden /= hidden.norm(dim=-1, keepdim=True)
        return [hidden[row, : len(own)] for row, own in enumerate(rows)]

    def _keep(self, text: str, encoded: EncodedText) -> None:
        """A copy: a part of a batch would hold the whole batch in memory."""
        size = encoded.vectors.numel() * encoded.vectors.element_size()
        if size <= self._room:
            self._room -= size
            self._kept[text] = EncodedText(encoded.ids, encoded.cut, encoded.vectors.clone())


def tokenize(tokenizer: Any, texts: Sequence[str], limit: int) -> Iterator[Tokens]:
    """Special tokens included, at most `limit` of them in all."""
    if not texts:
        return
    with silenced():
        rows = _ids(tokenizer, list(texts), truncation=True, max_length=limit)
        full = [i for i, row in enumerate(rows) if len(row) == limit]
        long = {i for i in full if len(_ids(tokenizer, [texts[i]])[0]) > limit}
    for i, row in enumerate(rows):
        yield Tokens(row, i in long)


def _ids(tokenizer: Any, texts: list[str], **more: Any) -> list[list[int]]:
    found = tokenizer(texts, return_attention_mask=False, return_token_type_ids=False, **more)
    ids: list[list[int]] = found["input_ids"]
    return ids


def _batches(texts: Sequence[str], tokens: dict[str, Tokens], most: int) -> Iterator[Sequence[str]]:
    """Runs of texts, given in order of length, that hold at most `most` tokens when padded."""
    start = 0
    for end in range(1, len(texts) + 1):
        longest = len(tokens[texts[end]].ids) if end < len(texts) else most + 1
        if longest * (end + 1 - start) > most:
            yield texts[start:end]
            start = end
