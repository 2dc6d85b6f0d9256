"""COCO average precision and recall of detected boxes or masks, as pycocotools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import ClassVar

import numpy as np

import evalkit
from evalkit.errors import MetricError, counted, did_you_mean
from evalkit.metric import Fitted, Metric, Output
from evalkit.panels import RESAMPLES
from evalkit.records.boxes import Box
from evalkit.records.example import Example
from evalkit.table import Array, Floats, Ints, Table
from evalkit.vision.columns import Columns, natural_order
from evalkit.vision.images import require_masks
from evalkit.vision.matching import match
from evalkit.vision.outcomes import Kept, Outcomes, left_out, rows, scores
from evalkit.vision.overlaps import box_overlaps, mask_areas, mask_overlaps
from evalkit.vision.precision import Curves
from evalkit.vision.remarks import ranking, unknown_labels, vanished_labels, vanishing_labels

THRESHOLDS = np.linspace(0.5, 0.95, 10, dtype=np.float64)
AREAS = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])  # pixels, both ends in
MOST = 100  # detections per image and label
RECALLS = ((0, 1), (0, 10), (0, MOST), (1, MOST), (2, MOST), (3, MOST))
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
OBJECTS = (0, 0, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3)  # the area whose objects each number is about
OVERLAPS = {"bbox": box_overlaps, "segm": mask_overlaps}


@dataclass(frozen=True)
class CocoAp(Metric):
    """iou: bbox or segm (masks). per_class: the AP of every label beside the twelve numbers.

    The area of a detection is that of what is matched, its box or its mask. pycocotools takes it
    from what the first result holds: of masks alone, scored as boxes, the masks' areas; of boxes
    and masks, scored as masks, the boxes'. APs, APm, APl, ARs, ARm and ARl then differ from its.

    A mean is over the labels that have objects (in an area), also in a slice or a resample. A
    resample is AP under weights in the fixed order of the full set: score, then image, then file.
    """

    iou: str = "bbox"
    per_class: bool = True

    outputs: ClassVar = tuple(map(Output, NAMES))
    reads: ClassVar = "boxes"
    reference: ClassVar = "Lin et al. 2014; COCOeval of pycocotools 2.0.11"

    def __post_init__(self) -> None:
        if self.iou not in OVERLAPS:
            hint = did_you_mean(self.iou, OVERLAPS)
            raise MetricError(f'coco_ap: iou is bbox or segm, not "{self.iou}"{hint}')

    def fit(self, references: Iterable[Sequence[Sequence[Box]]]) -> Fitted:
        """The labels that occur."""
        labels = {box.label for image in references for box in _only(image)}
        ordered = sorted(labels, key=natural_order)
        return Fitted({"labels": ordered}, {"labels": ordered})

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        labels = fitted.scoring["labels"] if self.per_class else ()
        return (*self.outputs, *(Output(f"AP {label}", detail=True) for label in labels))

    def signature(self, fitted: Fitted) -> str:
        masks = f"|pycocotools:{metadata.version('pycocotools')}" if self.iou == "segm" else ""
        labels = len(fitted.scoring["labels"])
        return (
            f"iou:{self.iou}|labels:{labels}|detections:{MOST}{masks}|evalkit:{evalkit.__version__}"
        )

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Floats]:
        """See evalkit.vision.outcomes."""
        labels = {label: number for number, label in enumerate(fitted.state["labels"])}
        objects = Columns.of([_only(one.references) for one in examples], labels).sorted()
        assert (objects.label >= 0).all(), "fit saw all references"
        _require_scores(examples)
        if self.iou == "segm":
            require_masks("coco_ap", examples)
        detections = Columns.of([one.prediction for one in examples], labels)
        kept = Kept.of(detections, len(labels), MOST)
        pairs = OVERLAPS[self.iou](kept.columns, objects, len(labels))
        unknown = np.flatnonzero(np.isnan(objects.area))
        objects.area[unknown] = self._areas(objects.take(unknown))
        ignored = objects.crowd[:, None] | _outside(objects.area)
        outside = _outside(self._areas(kept.columns))
        cells = kept.columns.cells(len(labels))
        matches = match(pairs, cells, outside, ignored, objects.crowd, THRESHOLDS)
        yield from rows(kept, matches, objects, ~ignored)

    def _areas(self, boxes: Columns) -> Floats:
        """[n] pixels."""
        if self.iou == "segm":
            return mask_areas(boxes.mask)
        return boxes.box[:, 2] * boxes.box[:, 3]

    def prepare(self, table: Table) -> Detector:
        return Detector(table, self.per_class)

    def score(self, prepared: Detector, weights: Array) -> Floats:
        return _in_blocks(prepared, weights, None)

    def resampled(self, prepared: Detector, weights: Array, unit_of: Ints | None) -> Floats:
        """A label in few images varies less between resamples than between sets: see `stretch`."""
        return _in_blocks(prepared, weights, prepared.stretch(unit_of))

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        unknown, cut = left_out(table)
        yield from unknown_labels(unknown, "left out, as by pycocotools")
        if cut:
            what = f"{counted(cut, 'detection')} beyond the {MOST} best of an image and label"
            yield "cut", f"{what}: left out, as by pycocotools"
        yield from ranking(scores(table), unknown)

    def resample_remarks(
        self, table: Table, values: Floats, unit_of: Ints | None = None
    ) -> Iterator[tuple[str, str]]:
        if self.per_class:
            yield from vanished_labels(values[:, len(NAMES) :])
        else:
            yield from vanishing_labels(table, unit_of)


@dataclass(frozen=True)
class Detector:
    """A table, and what `score` wants of it, made when it is first wanted."""

    table: Table
    per_class: bool

    @cached_property
    def labels(self) -> int:
        return len(self.table.header.scoring["labels"])

    @cached_property
    def outcomes(self) -> Outcomes:
        return Outcomes.of(self.table, self.labels, len(THRESHOLDS))

    @cached_property
    def curves(self) -> Curves:
        return Curves.of(self.outcomes, RECALLS)

    @cached_property
    def at_ones(self) -> Floats:
        """[12, labels, 1]; wanted more than once."""
        return self._by_label(np.ones((len(self.table.ids), 1)))

    @property
    def width(self) -> int:
        return len(NAMES) + self.labels * self.per_class

    def stretch(self, unit_of: Ints | None) -> Floats:
        """[12, labels]: sqrt(m / (m - 1)) for a label in m units, as in Rao and Wu 1988.

        The variance of a mean of m, resampled, is short of the mean's by (m - 1) / m; so is, about,
        that of the AP of a label in m images. 1 where m is 1: nothing is known of its spread.
        """
        units = self.outcomes.objects.units(self.labels, unit_of)
        factor = np.sqrt(units / np.maximum(units - 1, 1))
        return np.asarray(np.where(units > 1, factor, 1).T[list(OBJECTS)])

    def measure(self, panel: Array, stretch: Floats | None) -> Floats:
        """panel [images, b] -> [b, outputs]; labels move by stretch times what they moved."""
        ones = panel.shape[1] == 1 and (panel == 1).all()
        by_label = self.at_ones if ones else self._by_label(panel)
        if stretch is not None:
            by_label = self.at_ones + (by_label - self.at_ones) * stretch[..., None]
        found = [_mean(one) for one in by_label]
        return np.column_stack([*found, *by_label[0]] if self.per_class else found)

    def _by_label(self, panel: Array) -> Floats:
        """panel [images, b] -> the twelve numbers of each label [12, labels, b]."""
        precision, recall = self.curves.measure(panel)  # [labels, areas, thresholds, b]
        by_area = precision.mean(axis=2)
        first = (by_area[:, 0], precision[:, 0, 0], precision[:, 0, 5])
        return np.stack([*first, *by_area[:, 1:].swapaxes(0, 1), *recall.swapaxes(0, 1)])


def _in_blocks(prepared: Detector, weights: Array, stretch: Floats | None) -> Floats:
    found = [
        prepared.measure(weights[first : first + RESAMPLES].T, stretch)
        for first in range(0, len(weights), RESAMPLES)
    ]
    return np.concatenate(found) if found else np.zeros((0, prepared.width))


def _mean(values: Floats) -> Floats:
    """[labels, b] -> [b], over the labels that have a value; NaN where none has."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))


def _outside(area: Floats) -> Array:
    """[n] -> [n, areas]."""
    return (area[:, None] < AREAS[:, 0]) | (area[:, None] > AREAS[:, 1])


def _only(annotators: Sequence[Sequence[Box]]) -> Sequence[Box]:
    if len(annotators) != 1:
        raise MetricError(
            f"coco_ap: an image with {counted(len(annotators), 'annotator')}, but AP is defined "
            "against one; keep the boxes of one annotator per image"
        )
    return annotators[0]


def _require_scores(examples: Sequence[Example]) -> None:
    for example in examples:
        for box in example.prediction:
            if box.score is None:
                raise MetricError(
                    f'coco_ap: id "{example.id}" has a detection without a score, which AP needs'
                )
