"""COCO's greedy matching, for all thresholds and areas at once.

The n-th detection of every image and label takes its object at the same time, n = 1, 2, …
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evalkit.table import Floats, Ints
from evalkit.vision.columns import Bools, places
from evalkit.vision.overlaps import Pairs

ALMOST_ONE = 1 - 1e-10  # pycocotools lowers a threshold of 1 to this


@dataclass(frozen=True)
class Matches:
    """What became of each detection [detections, areas, thresholds].

    hit: it has an object that counts; ignored: it has one that does not, or has none and lies
    outside the range of areas; neither: a false positive.
    """

    hit: Bools
    ignored: Bools


def match(
    pairs: Pairs, cell: Ints, outside: Bools, ignored: Bools, crowd: Bools, thresholds: Floats
) -> Matches:
    """COCOeval.evaluateImg (pycocotools 2.0.11) on every image and label.

    cell [d]: the image and label of each detection, in falling order of score within each cell;
    outside [d, areas], ignored [o, areas]: detections outside the range, objects that do not count
    (those of a crowd among them); crowd [o]: objects that many detections may take.

    Of the objects that a detection may take, one that counts goes before one that does not, then
    the highest overlap, then the last in the file.
    """
    thresholds = np.minimum(thresholds, ALMOST_ONE)
    shape = (len(cell), outside.shape[1], len(thresholds))
    hit, on_ignored = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    free = np.ones((len(crowd), *shape[1:]), np.bool_)
    for detection, object, iou, preference, starts in _turns(pairs, cell, float(thresholds.min())):
        may = free[object] & (iou[:, None] >= thresholds)[:, None, :]
        counts = np.where(ignored[object], 0, len(crowd) + 1)
        wish = np.where(may, (preference[:, None] + counts)[:, :, None], 0)
        best = np.maximum.reduceat(wish, starts)
        lengths = np.diff(np.append(starts, len(detection)))
        taken = may & (wish == np.repeat(best, lengths, axis=0))
        free[object] &= ~(taken & ~crowd[object][:, None, None])
        hit[detection[starts]] = best > len(crowd)
        on_ignored[detection[starts]] = (best > 0) & (best <= len(crowd))
    return Matches(hit, on_ignored | (~hit & outside[:, :, None]))


def _turns(pairs: Pairs, cell: Ints, lowest: float) -> list[tuple[Ints, Ints, Floats, Ints, Ints]]:
    """Per turn: detection, object, iou, preference [p], and where each detection starts.

    In a turn every cell has at most one detection. preference: 1, 2, … by overlap, then by place
    in the file, within the pairs of a detection.
    """
    near = np.flatnonzero(pairs.iou >= lowest)
    detection, object, iou = pairs.detection[near], pairs.object[near], pairs.iou[near]
    order = np.lexsort((object, iou, detection))
    detection, object, iou = detection[order], object[order], iou[order]
    preference = 1 + places(detection)
    starts = np.flatnonzero(preference == 1)
    turn = np.repeat(places(cell[detection[starts]]), np.diff(np.append(starts, len(detection))))
    order = np.argsort(turn, kind="stable")
    found = []
    for these in np.split(order, np.cumsum(np.bincount(turn))[:-1]) if len(turn) else ():
        own = preference[these]
        found.append((detection[these], object[these], iou[these], own, np.flatnonzero(own == 1)))
    return found
