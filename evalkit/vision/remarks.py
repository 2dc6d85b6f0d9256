"""What a reader must know of detections before they trust an average precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evalkit.errors import counted
from evalkit.table import Floats, Ints, Table
from evalkit.vision.columns import Bools
from evalkit.vision.outcomes import label_images

TIED = 0.5  # of the detections with one and the same score
FEW = 12  # units; a label in more is missing from one resample in 400,000
DRAWN = 2000  # resamples

Remarks = Iterator[tuple[str, str]]


def unknown_labels(number: int, what_becomes: str) -> Remarks:
    """what_becomes of them: `left out`."""
    if number:
        what = f"{counted(number, 'detection')} with a label that no reference has"
        yield "unknown-label", f"{what}: {what_becomes}"


def nothing_counts(below: int, threshold: float) -> Remarks:
    """Where no detection has a score of the threshold; below: how many have a lower one."""
    why = f"no detection counts; {below:,} have a score below {threshold:g}"
    yield "no-detections", why if below else "there is no detection"


def ranking(scores: Floats, unknown: int) -> Remarks:
    """Of the scores [d] of all detections with a known label; unknown: how many have none."""
    if not len(scores):
        why = "no detection has a label of the references" if unknown else "there is no detection"
        yield "no-detections", f"{why}: every AP is 0"
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
    vanished: Bools = np.asarray((present.any(axis=0) & ~present).any(axis=1))
    yield from _vanished(vanished, "")


def vanishing_labels(table: Table, unit_of: Ints | None) -> Remarks:
    """As vanished_labels, of resamples drawn here, where the values do not tell the labels."""
    label, image = label_images(table)
    unit = image if unit_of is None else unit_of[image]
    label, unit = np.unique(np.stack([label, unit]), axis=1)
    few = np.bincount(label) <= FEW
    label, unit = label[few[label]], unit[few[label]]
    units, place = np.unique(unit, return_inverse=True)
    weights = np.random.default_rng(0).poisson(1, (DRAWN, len(units)))
    starts = np.flatnonzero(np.diff(label, prepend=-1))
    if len(starts):
        total = np.add.reduceat(weights[:, place], starts, axis=1)
        vanished: Bools = np.asarray((total == 0).any(axis=1))
        yield from _vanished(vanished, "about ")


def _vanished(vanished: Bools, about: str) -> Remarks:
    if vanished.any():
        yield (
            "vanished-labels",
            f"{about}{vanished.mean():.1%} of the resamples lack a label that the set has; their "
            "mean is over the labels that they have",
        )
