"""PASCAL VOC's rule of matching, and its average precision under any weights of the images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evalkit.table import Array, Floats, Ints, Table
from evalkit.vision.columns import Bools, Columns, places
from evalkit.vision.matching import Matches
from evalkit.vision.outcomes import Outcomes
from evalkit.vision.overlaps import Pairs, box_overlaps
from evalkit.vision.precision import running

TENTHS = np.arange(11) * 0.1  # three lie one rounding above a tenth, as in np.arange(0, 1.1, 0.1)


def voc_overlaps(detections: Columns, objects: Columns, labels: int, *, inclusive: bool) -> Pairs:
    """inclusive: the last column and row of pixels belong to a box and are not in its size yet.

    Difficult objects overlap like any other.
    """
    found, truths = (
        replace(one, box=one.box + np.array([0.0, 0, 1, 1])) if inclusive else one
        for one in (detections, objects)
    )
    return box_overlaps(found, replace(truths, crowd=np.zeros_like(truths.crowd)), labels)


def match(pairs: Pairs, detections: int, difficult: Bools, iou: float) -> Matches:
    """VOCevaldet.m: every detection goes to its nearest object (the first of equal ones), free or
    not; the first of an object is a hit, the others are false positives; a difficult object's are
    ignored. detections: how many, in falling order of score; difficult [o].

    -> arrays [detections, 1, 1].
    """
    order = np.lexsort((pairs.object, -pairs.iou, pairs.detection))
    nearest = order[places(pairs.detection[order]) == 0]
    nearest = nearest[pairs.iou[nearest] >= iou]
    detection, object = pairs.detection[nearest], pairs.object[nearest]
    hit, ignored = np.zeros((2, detections), np.bool_)
    ignored[detection] = difficult[object]
    _, first = np.unique(object, return_index=True)
    hit[detection[first]] = ~difficult[object[first]]
    return Matches(hit[:, None, None], ignored[:, None, None])


@dataclass(frozen=True)
class Curve:
    """One label. hit_image [h], and before each hit the images of the false positives since the
    last one: false_image[starts[i] : starts[i + 1]]; object_image, objects [c].
    """

    hit_image: Ints
    false_image: Ints
    starts: Ints
    object_image: Ints
    objects: Ints


def curves(table: Table, labels: int) -> list[Curve]:
    """One per label; the order of equal scores is that of `Outcomes`."""
    outcomes = Outcomes.of(table, labels, 1)
    found, objects = outcomes.detections, outcomes.objects
    counted = np.flatnonzero(found.ignored[0] == 0)
    image, hit, label = found.image[counted], found.hit[0, counted] != 0, found.label[counted]
    made = []
    for number in range(labels):
        own = slice(*np.searchsorted(label, [number, number + 1]))
        cells = slice(*np.searchsorted(objects.label, [number, number + 1]))
        hits = np.flatnonzero(hit[own])
        last = hits[-1] if len(hits) else 0
        false = image[own][:last][~hit[own][:last]]
        made.append(
            Curve(
                image[own][hits],
                false,
                np.concatenate([[0], hits - np.arange(len(hits))]),
                objects.image[cells],
                objects.number[cells, 0],
            )
        )
    return made


def average_precision(curve: Curve, panel: Floats, *, eleven: bool) -> Floats:
    """panel [images, b], how often each image counts -> [b], 0..1; NaN where there is no object.

    eleven: the mean of the highest precision from each tenth of recall on (VOC 2007); else the
    area below the highest precision from each recall on (VOC 2010 to 2012).
    """
    objects = curve.objects.astype(np.float64) @ panel[curve.object_image]
    nothing = np.zeros(panel.shape[1])
    if not len(curve.hit_image):
        return np.where(objects > 0, nothing, np.nan)
    hits = running(np.add, panel[curve.hit_image])
    false = running(np.add, np.concatenate([nothing[None], panel[curve.false_image]]))
    counts = hits + false[curve.starts[1:]]
    precision = np.divide(hits, counts, out=np.zeros_like(hits), where=counts > 0)
    best = running(np.maximum, precision[::-1])[::-1]
    some = np.where(objects > 0, objects, 1)
    if eleven:
        reached = np.searchsorted(TENTHS, hits / some, side="right").astype(np.float64)
        steps = np.diff(reached, axis=0, prepend=0) / len(TENTHS)
    else:
        steps = panel[curve.hit_image] / some
    return np.where(objects > 0, (best * steps).sum(axis=0), np.nan)


def mean_over_labels(values: Array) -> Floats:
    """[labels, b] -> [b], over the labels that have a value; NaN where none has."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
