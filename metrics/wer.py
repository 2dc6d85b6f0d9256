"""WER: word edits (substitutions, deletions, insertions) per reference word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalkit.metric import Output
from evalkit.text.error_rate import ErrorRate


@dataclass(frozen=True)
class Wer(ErrorRate):
    """lowercase: compare in lower case; punctuation: false removes it. Words: split at white space.

    1.0 is 100 %; with many insertions it is more. Of several references the nearest counts.
    """

    outputs: ClassVar = (Output("wer", (0, None), higher_is_better=False),)
    unit: ClassVar = "word"
    reference: ClassVar = "Levenshtein 1966; torchmetrics 1.9 (WordErrorRate)"

    def split(self, text: str) -> Sequence[str]:
        return text.split()
