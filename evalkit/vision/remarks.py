"""What a reader must know of detections before they trust an average precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evalkit.errors import counted
from evalkit.table import Floats

TIED = 0.5  # of the detections with one and the same score

Remarks = Iterator[tuple[str, str]]


def unknown_labels(number: int, what_becomes: str) -> Remarks:
    """what_becomes of them: `left out`."""
    if number:
        what = f"{counted(number, 'detection')} with a label that no reference has"
        yield "unknown-label", f"{what}: {what_becomes}"


def ranking(scores: Floats) -> Remarks:
    """Of the scores [d] of all detections with a known label."""
    if not len(scores):
        yield "no-detections", "no detection has a label of the references: every AP is 0"
        return
    tied = int(np.unique(scores, return_counts=True)[1].max())
    if tied > 1 and tied > TIED * len(scores):
        yield (
            "tied-scores",
            f"{tied:,} of {counted(len(scores), 'detection')} have the same score, so that AP "
            "depends on the order of images and of detections; give scores that rank them",
        )


def vanished_labels(values: Floats) -> Remarks:
    """values [resamples, labels], NaN where a resample lacks a label."""
    present = ~np.isnan(values)
    vanished = (present.any(axis=0) & ~present).any(axis=1)
    if vanished.any():
        yield (
            "vanished-labels",
            f"{vanished.mean():.1%} of the resamples lack a label that the set has; their mean "
            "is over the labels that they have",
        )
