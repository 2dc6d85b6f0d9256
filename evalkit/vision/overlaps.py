"""Intersection over union of every detection and every object of the same image and label."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from evalkit.errors import MetricError, MissingDependencyError
from evalkit.records import masks
from evalkit.table import Floats, Ints
from evalkit.vision.columns import Bools, Columns, Masks, places


@dataclass(frozen=True)
class Pairs:
    """Detection [p] and object [p] that could match, and their iou [p]; in order of both."""

    detection: Ints
    object: Ints
    iou: Floats


def pairs_in_cells(detection_cell: Ints, object_cell: Ints) -> tuple[Ints, Ints]:
    """(detection [p], object [p]) of one cell each; both columns come in order of cell."""
    first = np.searchsorted(object_cell, detection_cell, side="left")
    count = np.searchsorted(object_cell, detection_cell, side="right") - first
    detection = np.repeat(np.arange(len(detection_cell)), count)
    before = np.cumsum(count) - count
    return detection, np.arange(len(detection)) + np.repeat(first - before, count)


def box_overlaps(detections: Columns, objects: Columns, labels: int) -> Pairs:
    """The pairs that overlap, in the order of operations of maskApi.c (pycocotools 2.0.11)."""
    i, j = pairs_in_cells(detections.cells(labels), objects.cells(labels))
    iou = box_iou(detections.box[i], objects.box[j], objects.crowd[j])
    some = np.flatnonzero(iou > 0)
    return Pairs(i[some], j[some], iou[some])


def box_iou(detection: Floats, object: Floats, crowd: Bools) -> Floats:
    """[n, 4] and [n, 4] -> [n] in 0..1; of a crowd: the share of the detection that it covers."""
    x, y, width, height = detection.T
    left, top, across, down = object.T
    shared_width = np.minimum(width + x, across + left) - np.maximum(x, left)
    shared_height = np.minimum(height + y, down + top) - np.maximum(y, top)
    shared = shared_width * shared_height
    area = width * height
    union = np.where(crowd, area, area + across * down - shared)
    overlap = (shared_width > 0) & (shared_height > 0) & (union > 0)
    return np.asarray(np.divide(shared, union, out=np.zeros(len(shared)), where=overlap))


def mask_overlaps(detections: Columns, objects: Columns, labels: int) -> Pairs:
    """As `box_overlaps`, of masks; MetricError where the masks of an image differ in size."""
    i, j = pairs_in_cells(detections.cells(labels), objects.cells(labels))
    cell = detections.cells(labels)[i]
    edges = np.append(np.flatnonzero(places(cell) == 0), len(cell))
    codes, truths = _codes(detections.mask), _codes(objects.mask)
    crowd = objects.crowd.astype(np.uint8)
    library = mask_library()
    iou = np.zeros(len(i))
    for start, end in pairwise(edges):
        these = slice(i[start], i[end - 1] + 1)
        those = slice(j[start], j[end - 1] + 1)
        iou[start:end] = library.iou(codes[these], truths[those], crowd[those].tolist()).ravel()
    if (iou < 0).any():
        raise MetricError("masks of one image have different sizes; give each the image's size")
    some = np.flatnonzero(iou > 0)
    return Pairs(i[some], j[some], iou[some])


def mask_areas(found: Masks) -> Floats:
    """[n] pixels."""
    library = mask_library()  # of more than 255 at once, pycocotools 2.0.11 fails under numpy 2
    return np.array([float(library.area(code)) for code in _codes(found)], np.float64)


def _codes(found: Masks) -> list[dict[str, Any]]:
    """As pycocotools wants them."""
    return [masks.run_lengths(mask) for mask in found]


def mask_library() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        raise MissingDependencyError(
            "iou=segm needs pycocotools (extra `detection`): pip install pycocotools"
        ) from None
    return mask
