"""Values and standard errors under resampled weights; one draw serves all metrics and systems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from evalkit.metric import Scorer
from evalkit.panels import RESAMPLES
from evalkit.stats import kernels
from evalkit.stats.weights import Draws
from evalkit.table import Floats

BLOCK_BYTES = 2**21  # of weights per block: stays in the cache, and few blocks where n is small


@dataclass(frozen=True)
class Resamples:
    """`point`, `point_error` [outputs]; `values`, `errors` [B, outputs], NaN where not known."""

    point: Floats
    point_error: Floats
    values: Floats
    errors: Floats


def resample(
    scorers: Sequence[Scorer],
    errors: Sequence[bool],
    draws: Draws,
    count: int,
    *,
    block: int | None = None,
    threads: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Resamples]:
    """All scorers under the same `count` resamples of the same units.

    errors: which want a standard error in every resample. block: resamples at a time, a multiple of
    64. progress(resamples done so far). The bytes depend on neither block nor threads.
    """
    block = block or _block(draws.units)
    assert block % RESAMPLES == 0
    kernels.poisson(draws.units * count)

    def measure(first: int) -> list[tuple[Floats, Floats]]:
        panels = -(-min(block, count - first) // RESAMPLES)
        weights = draws.block(first, panels * RESAMPLES)
        measured = [
            scorer.resampled(weights, errors=wanted)
            for scorer, wanted in zip(scorers, errors, strict=True)
        ]
        if draws.units < RESAMPLES:  # with more, no resample is ever empty
            for values, _ in measured:
                values[~weights.any(axis=1)] = np.nan
        return measured

    ones = np.ones((1, draws.units), np.uint8)
    points = [scorer.measure(ones, errors=True) for scorer in scorers]
    blocks = []
    if draws.in_order:
        threads = 1
    with ThreadPoolExecutor(threads) as pool:
        starts = range(0, count, block)
        for measured in map(measure, starts) if threads == 1 else pool.map(measure, starts):
            blocks.append(measured)
            progress(min(len(blocks) * block, count))
    return [
        Resamples(
            points[i][0][0],
            points[i][1][0],
            *(
                np.concatenate([points[i][part][:0], *(done[i][part] for done in blocks)])[:count]
                for part in (0, 1)
            ),
        )
        for i in range(len(scorers))
    ]


def _block(units: int) -> int:
    panels = BLOCK_BYTES // (RESAMPLES * max(units, 1))
    return RESAMPLES * min(max(panels, 1), 16)
