"""Three systems or more, best first: significance clusters, and who is best how surely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from evalkit.stats.multiplicity import adjust
from evalkit.stats.ranking import probability_best, significance_clusters
from evalkit.table import Floats
from evalkit.verbs.comparing.contrasts import Work, contrast
from evalkit.verbs.comparing.differences import Compared

Record = dict[str, Any]
Pairs = dict[tuple[int, int], Floats]  # p [outputs] of two systems, the first number smaller


def rankings(found: Sequence[Compared], work: Work) -> Iterator[Record]:
    """One per output on the whole set; none for two systems."""
    for one in found:
        if one.part.name is not None or len(one.names) < 3:
            continue
        p_values = _pairs(one, work)
        for output, name in enumerate(one.part.outputs):
            record = next(each for each in one.differences if each["output"] == name)
            if not record["detail"] and (ranked := _ranked(one, record, output, p_values, work)):
                yield ranked


def _pairs(one: Compared, work: Work) -> Pairs:
    outputs = range(len(one.part.outputs))
    found: Pairs = {}
    for i, j in combinations(range(len(one.names)), 2):
        both = one.contrasts[j - 1] if i == 0 else contrast(one.part, i, j, work)
        found[i, j] = np.array([both.test(output)["p"] for output in outputs])
    return found


def _ranked(
    one: Compared, record: Record, output: int, p_values: Pairs, work: Work
) -> Record | None:
    """None where a value is undefined."""
    first = one.contrasts[0].values[0, output]
    values = np.array([first, *(each.values[1, output] for each in one.contrasts)])
    if not np.isfinite(values).all():
        return None
    up = record["higher_is_better"]
    order = [int(i) for i in np.argsort(-values if up else values, kind="stable")]
    corrected = adjust([p[output] for p in p_values.values()], work.options.correction)
    beaten = np.zeros((len(values), len(values)), np.bool_)
    for (i, j), p in zip(p_values, corrected, strict=True):
        if p <= 1 - work.options.level:
            better = (i, j) if (values[i] > values[j]) == up else (j, i)
            beaten[better] = True
    clusters = significance_clusters(order, beaten)
    best = _best(one, output, up)
    return {
        **{key: record[key] for key in ("metric", "label", "output", "higher_is_better", "scale")},
        "slice": None,
        "correction": work.options.correction,
        "pairs": len(p_values),
        "order": [
            {
                "system": one.names[i],
                "value": float(values[i]),
                "cluster": clusters[i],
                "probability_best": None if best is None else float(best[i]),
            }
            for i in order
        ],
    }


def _best(one: Compared, output: int, up: bool) -> Floats | None:
    """From the differences to the baseline in the same resamples; None without resamples."""
    moves = [each.moves for each in one.contrasts]
    known = [each[:, output] for each in moves if each is not None]
    if len(known) < len(moves):
        return None
    return probability_best(np.stack([np.zeros(len(known[0])), *known]), higher_is_better=up)
