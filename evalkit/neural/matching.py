"""Greedy matching of tokens by cosine (Zhang et al. 2020, equations 1 to 3), many pairs at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evalkit.neural.encoder import EncodedText
from evalkit.table import Array, Floats

if TYPE_CHECKING:
    import torch

BATCH_TOKENS = 16384  # of predictions and references, padding included
Pair = tuple[EncodedText, EncodedText]


def even_weights(vocabulary: int, unweighted: Sequence[int | None]) -> Floats:
    """[vocabulary] 1 for every token but those given, which count 0 (None: not in the model)."""
    weights = np.ones(vocabulary)
    weights[[token for token in unweighted if token is not None]] = 0
    return weights


def idf_weights(vocabulary: int, counts: Mapping[int, int], documents: int) -> Floats:
    """[vocabulary] log((documents + 1) / (texts with the token + 1)), as bert-score counts."""
    weights = np.full(vocabulary, math.log(documents + 1))
    for token, count in counts.items():
        weights[token] = math.log((documents + 1) / (count + 1))
    return weights


def match(pairs: Sequence[Pair], weights: Floats) -> Array:
    """(prediction, reference) pairs -> precision, recall, F1 [pairs, 3], fp32, at most 1.

    weights: by token id. NaN where all tokens of a side weigh 0; F1 is 0 there. bert-score lets a
    token match the padding of a shorter text, with cosine 0; here nothing matches padding.
    """
    import torch

    found = np.zeros((len(pairs), 3), np.float32)
    lengths = [max(len(one.ids) for one in pair) for pair in pairs]
    order = sorted(range(len(pairs)), key=lengths.__getitem__)
    parts: list[torch.Tensor] = []
    start = 0
    with torch.inference_mode():
        for end in range(1, len(order) + 1):
            longest = lengths[order[end]] if end < len(order) else BATCH_TOKENS
            if 2 * longest * (end + 1 - start) > BATCH_TOKENS:
                parts.append(_match_batch([pairs[i] for i in order[start:end]], weights))
                start = end
        if parts:
            found[order] = torch.cat(parts).cpu().numpy()
    return found


def _match_batch(pairs: Sequence[Pair], weights: Floats) -> torch.Tensor:
    """[pairs, 3] on the device of the vectors."""
    import torch

    predictions, their_weights, no_prediction = _padded([pair[0] for pair in pairs], weights)
    references, our_weights, no_reference = _padded([pair[1] for pair in pairs], weights)
    cosines = torch.bmm(predictions, references.transpose(1, 2))
    nearest = cosines.masked_fill(no_reference[:, None, :], -math.inf).amax(dim=2)
    precision = (nearest.masked_fill(no_prediction, 0) * their_weights).sum(dim=1)
    nearest = cosines.masked_fill(no_prediction[:, :, None], -math.inf).amax(dim=1)
    recall = (nearest.masked_fill(no_reference, 0) * our_weights).sum(dim=1)
    f1 = (2 * precision * recall / (precision + recall)).nan_to_num(0.0)
    return torch.stack((precision, recall, f1), dim=1).clamp(max=1)


def _padded(
    texts: Sequence[EncodedText], weights: Floats
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors [texts, tokens, dimensions]; shares of the weight, and padding, [texts, tokens]."""
    import torch

    vectors = torch.nn.utils.rnn.pad_sequence([one.vectors for one in texts], batch_first=True)
    lengths = np.array([len(one.ids) for one in texts])
    real = np.arange(vectors.shape[1]) < lengths[:, None]
    own = np.zeros(real.shape, np.float32)
    own[real] = weights[np.concatenate([one.ids for one in texts])]
    shares = torch.from_numpy(own).to(vectors.device)
    return (
        vectors,
        shares / shares.sum(dim=1, keepdim=True),
        torch.from_numpy(~real).to(vectors.device),
    )
