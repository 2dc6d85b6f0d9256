"""CER: character edits (substitutions, deletions, insertions) per reference character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalkit.metric import Output
from evalkit.text.error_rate import ErrorRate


@dataclass(frozen=True)
class Cer(ErrorRate):
    """lowercase: compare in lower case; punctuation: false removes it (then white space is single).

    1.0 is 100 %; with many insertions it is more. A character is a Unicode code point, white space
    too. Of several references the nearest counts.
    """

    outputs: ClassVar = (Output("cer", (0, None), higher_is_better=False),)
    unit: ClassVar = "character"
    reference: ClassVar = "Levenshtein 1966; torchmetrics 1.9 (CharErrorRate)"

    def split(self, text: str) -> Sequence[str]:
        return text
