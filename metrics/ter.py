"""TER: edits (insertions, deletions, substitutions, shifts) per reference word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evalkit.metric import Output
from evalkit.table import Floats
from evalkit.text.sacrebleu_counts import SacrebleuMetric


@dataclass(frozen=True)
class Ter(SacrebleuMetric):
    """normalized, no_punct, asian_support, case_sensitive: as in sacrebleu."""

    normalized: bool = False
    no_punct: bool = False
    asian_support: bool = False
    case_sensitive: bool = False

    outputs: ClassVar = (Output("ter", (0, None), higher_is_better=False),)
    reference: ClassVar = "Snover et al. 2006; sacrebleu 2.6.0"

    def counter(self) -> Any:
        from sacrebleu.metrics.ter import TER

        return TER(self.normalized, self.no_punct, self.asian_support, self.case_sensitive)

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """0..; 100 for edits of references without words.

        sums: edits to the nearest reference, mean length of the references in words.
        """
        edits, words = sums[:, :1], sums[:, 1:]
        wordless = np.where(edits > 0, 1.0, 0.0)
        rate: Floats = np.divide(edits, words, out=wordless, where=words > 0)
        return 100 * rate
