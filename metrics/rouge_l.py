"""ROUGE-L as captions are scored: longest common subsequence with the references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import evalkit
from evalkit.errors import counted
from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example
from evalkit.table import Table
from evalkit.text import tokenizers
from evalkit.text.subsequences import Places, common_length

BETA = 1.2  # recall counts beta times as much as precision
BATCH = 4096  # examples tokenised at once


@dataclass(frozen=True)
class RougeL(MeanMetric):
    """tokenize: ptb, ptb-java or none. F 0..1 per example, averaged.

    As pycocoevalcap, precision and recall are each the highest over the references, perhaps of
    different ones; and a text without tokens counts as one token, equal to that of another such
    text.
    """

    tokenize: str = "ptb"

    outputs: ClassVar = (Output("rouge_l"),)
    reads: ClassVar = "text"
    reference: ClassVar = "Lin 2004; pycocoevalcap 1.2 (Rouge, beta 1.2)"
    whole: ClassVar = True  # so that ptb-java starts Java once in 4,096 examples

    def __post_init__(self) -> None:
        tokenizers.check(self.tokenize)

    def signature(self, fitted: Fitted) -> str:
        return f"tok:{tokenizers.SIGNATURES[self.tokenize]}|evalkit:{evalkit.__version__}"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[float, int, int]]:
        """(ROUGE-L, 1, whether the prediction has no tokens)."""
        for start in range(0, len(examples), BATCH):
            batch = examples[start : start + BATCH]
            texts = [text for one in batch for text in (one.prediction, *one.references)]
            tokens = iter(tokenizers.tokenize(self.tokenize, texts))
            for example in batch:
                prediction = next(tokens)
                references = [next(tokens) for _ in example.references]
                yield _rouge_l(prediction, references), 1, int(not prediction)

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        if empty := int(table.rows[:, -1].sum()):
            yield (
                "no-tokens",
                f"{counted(empty, 'prediction')} without tokens: they score 0, or as pycocoevalcap "
                "has it 1 where a reference has none either",
            )


def _rouge_l(prediction: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    ours = Places(prediction or [""])
    precision = recall = 0.0
    for reference in references:
        theirs = reference or [""]
        common = common_length(ours, theirs)
        precision = max(precision, common / ours.length)
        recall = max(recall, common / len(theirs))
    if precision == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
