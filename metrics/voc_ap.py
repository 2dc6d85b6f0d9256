"""Average precision as the PASCAL VOC challenges define it, of every label and their mean."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from evalkit.errors import MetricError
from evalkit.metric import Fitted, Metric, Output
from evalkit.panels import RESAMPLES
from evalkit.records.boxes import Box
from evalkit.records.example import Example
from evalkit.table import Array, Floats, Ints, Table
from evalkit.vision import remarks, voc
from evalkit.vision.columns import Columns
from evalkit.vision.images import fit_labels, only_annotator, require_scores, require_share
from evalkit.vision.outcomes import Kept, left_out, rows, scores

YEARS = (2007, 2012)


@dataclass(frozen=True)
class VocAp(Metric):
    """year: 2007 (11 points of recall, also VOC 2008 and 2009) or 2012 (all points, from 2010 on).

    Every detection goes to the object of its label that it overlaps most, at least by iou; a second
    one there is a false positive, where COCO would try the next object. An object that is marked
    crowd is difficult: neither it nor what goes to it counts. mAP is over the labels with objects.

    inclusive: adds a pixel to every width and height, for boxes made as xmax - xmin from VOC's own
    corners, whose last pixel is inside. Boxes whose width is xmax - xmin + 1 need none.

    A resample is AP under weights in the fixed order of the full set: score, then image, then file.
    """

    year: int = 2012
    iou: float = 0.5
    inclusive: bool = False
    per_class: bool = True

    outputs: ClassVar = (Output("mAP"),)
    reads: ClassVar = "boxes"
    reference: ClassVar = "Everingham et al. 2010; VOCevaldet.m of VOCdevkit; ChainerCV 0.13.1"

    def __post_init__(self) -> None:
        if self.year not in YEARS:
            raise MetricError(
                f"voc_ap: year is 2007 (11 points; also 2008, 2009) or 2012 (all points; also "
                f"2010, 2011), not {self.year}"
            )
        require_share("voc_ap", "iou", self.iou)

    def fit(self, references: Iterable[Sequence[Sequence[Box]]]) -> Fitted:
        """The labels that occur."""
        return fit_labels("voc_ap", references)

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        labels = fitted.scoring["labels"] if self.per_class else ()
        return (*self.outputs, *(Output(f"AP {label}", detail=True) for label in labels))

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Floats]:
        """See evalkit.vision.outcomes; one area, which is all, and one threshold."""
        require_scores("voc_ap", examples)
        labels = {label: number for number, label in enumerate(fitted.state["labels"])}
        truths = [only_annotator("voc_ap", one.references) for one in examples]
        objects = Columns.of(truths, labels).sorted()
        detections = Columns.of([one.prediction for one in examples], labels)
        kept = Kept.of(detections, len(labels), sys.maxsize)
        pairs = voc.voc_overlaps(kept.columns, objects, len(labels), inclusive=self.inclusive)
        matches = voc.match(pairs, len(kept.columns), objects.crowd, self.iou)
        yield from rows(kept, matches, objects, ~objects.crowd[:, None])

    def prepare(self, table: Table) -> Detector:
        return Detector(table)

    def score(self, prepared: Detector, weights: Array) -> Floats:
        labels = len(prepared.table.header.scoring["labels"])
        found = np.full((len(weights), 1 + labels), np.nan)
        for first in range(0, len(weights), RESAMPLES):
            these = slice(first, first + RESAMPLES)
            panel = np.ascontiguousarray(weights[these].T, np.float64)
            for label, curve in enumerate(prepared.curves):
                found[these, 1 + label] = voc.average_precision(
                    curve, panel, eleven=self.year == YEARS[0]
                )
        found[:, 0] = voc.mean_over_labels(found[:, 1:].T)
        return found if self.per_class else found[:, :1]

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        unknown = left_out(table)[0]
        yield from remarks.unknown_labels(unknown, "left out")
        yield from remarks.ranking(scores(table), unknown)

    def resample_remarks(
        self, table: Table, values: Floats, unit_of: Ints | None = None
    ) -> Iterator[tuple[str, str]]:
        if self.per_class:
            yield from remarks.vanished_labels(values[:, 1:])
        else:
            yield from remarks.vanishing_labels(table, unit_of)


@dataclass(frozen=True)
class Detector:
    """A table, and its curves, made when they are first wanted."""

    table: Table

    @cached_property
    def curves(self) -> list[voc.Curve]:
        return voc.curves(self.table, len(self.table.header.scoring["labels"]))
