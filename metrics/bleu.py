"""BLEU: geometric mean of clipped n-gram precisions times a brevity penalty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import MetricError, UnavailableError, did_you_mean
from evalkit.metric import Output
from evalkit.table import Floats
from evalkit.text.sacrebleu_counts import SacrebleuMetric

SMOOTHING = {"none": 0.0, "floor": 0.1, "add-k": 1.0, "exp": 0.0}
LOG_OF_ZERO = -9999999999.0  # sacrebleu's my_log


@dataclass(frozen=True)
class Bleu(SacrebleuMetric):
    """tokenize, smooth_method, smooth_value, max_ngram_order, effective_order: as in sacrebleu."""

    tokenize: str = "13a"
    lowercase: bool = False
    smooth_method: str = "exp"
    smooth_value: float | None = None
    max_ngram_order: int = 4
    effective_order: bool = False

    outputs: ClassVar = (Output("bleu", (0, 100)),)
    scale_free: ClassVar = False  # where a count is 0 and smoothing stands in for it
    reference: ClassVar = "Papineni et al. 2002; Post 2018; sacrebleu 2.6.0"

    def __post_init__(self) -> None:
        if self.smooth_method not in SMOOTHING:
            hint = did_you_mean(self.smooth_method, SMOOTHING)
            raise MetricError(f'bleu: no smooth_method is called "{self.smooth_method}"{hint}')
        if self.smooth_value is not None and not 0 <= self.smooth_value < math.inf:
            raise MetricError("bleu: smooth_value must be a finite number from 0 on")
        if self.max_ngram_order < 1:
            raise MetricError("bleu: max_ngram_order must be at least 1")

    def counter(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        if self.tokenize not in BLEU.TOKENIZERS:
            hint = did_you_mean(self.tokenize, BLEU.TOKENIZERS)
            raise MetricError(f'bleu: no tokenizer is called "{self.tokenize}"{hint}')
        _refuse_download(self.tokenize)
        try:
            return BLEU(
                lowercase=self.lowercase,
                force=True,
                tokenize=self.tokenize,
                smooth_method=self.smooth_method,
                smooth_value=self.smooth_value,
                max_ngram_order=self.max_ngram_order,
                effective_order=self.effective_order,
            )
        except (ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UnavailableError(f"bleu: tokenizer {self.tokenize}: {reason}") from None

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """sacrebleu's BLEU.compute_bleu, for all resamples at once; 0..100.

        sums: hypothesis length, closest reference length, correct 1..N, total 1..N.
        """
        logs, orders, _, _ = self._log_precisions(sums)
        matched = sums[:, 2 : 2 + self.max_ngram_order].any(axis=1)
        length, reference = sums[:, 0], sums[:, 1]
        short = np.divide(reference, length, out=np.full(len(sums), np.inf), where=length > 0)
        penalty = np.where(length < reference, np.exp(1 - np.maximum(short, 1)), 1.0)
        value = penalty * np.exp(logs.sum(axis=1) / orders)
        return np.where(matched, value, 0.0)[:, None]

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """Of the logarithm, times the value; 0 in a count that is 0."""
        n = self.max_ngram_order
        _, orders, correct, total = self._log_precisions(sums)
        used = (np.arange(n) < orders[:, None]) & (total > 0)
        slope = np.zeros((len(sums), 1, sums.shape[1]))
        length, reference = sums[:, 0], sums[:, 1]
        short = (length < reference) & (length > 0)
        slope[:, 0, 0] = np.divide(reference, length**2, out=np.zeros(len(sums)), where=short)
        slope[:, 0, 1] = np.divide(-1.0, length, out=np.zeros(len(sums)), where=short)
        shape, share = correct.shape, 1 / orders[:, None]
        hits = used & (correct > 0)
        slope[:, 0, 2 : 2 + n] = np.divide(share, correct, out=np.zeros(shape), where=hits)
        slope[:, 0, 2 + n :] = np.divide(-share, total, out=np.zeros(shape), where=used)
        return slope * self.from_sums(sums, scoring)[:, :, None]

    def _log_precisions(self, sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """log precision [b, N] (0 beyond the orders used), orders used [b], correct, total."""
        n = self.max_ngram_order
        correct, total = sums[:, 2 : 2 + n].copy(), sums[:, 2 + n :].copy()
        value = SMOOTHING[self.smooth_method] if self.smooth_value is None else self.smooth_value
        if self.smooth_method == "add-k":
            correct[:, 1:] += value
            total[:, 1:] += value
        alive = np.logical_and.accumulate(total > 0, axis=1)
        hit = correct > 0
        if self.smooth_method == "exp":
            misses = np.cumsum(alive & ~hit, axis=1)
            stand_in = np.exp2(-misses.astype(np.float64))
        else:
            stand_in = np.full_like(correct, value if self.smooth_method == "floor" else 0.0)
        precision = 100.0 * np.where(hit, correct, stand_in)
        precision = np.divide(precision, total, out=np.zeros_like(total), where=alive)
        logs = np.full_like(precision, LOG_OF_ZERO)
        np.log(precision, out=logs, where=precision > 0)
        if not self.effective_order:
            return logs, np.full(len(sums), float(n)), correct, total
        orders = np.maximum(alive.sum(axis=1), 1).astype(np.float64)
        return np.where(np.arange(n) < orders[:, None], logs, 0.0), orders, correct, total


def _refuse_download(tokenize: str) -> None:
    """sacrebleu fetches sentencepiece models at first use; evalkit fetches nothing by itself."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    if tokenize not in SPM_MODELS:
        return
    name = SPM_MODELS[tokenize]["url"].rpartition("/")[2]
    path = Path(SACREBLEU_DIR) / "models" / name
    if not path.is_file():
        raise UnavailableError(
            f"bleu: tokenizer {tokenize} needs its model at {path}; evalkit downloads nothing by "
            f'itself: run "echo a | sacrebleu --tokenize {tokenize} FILE" once'
        )
