"""Which object each detection takes, at one overlap and from one score on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evalkit.errors import DataError, MetricError, UsageError, counted
from evalkit.records.example import Example
from evalkit.records.kinds import kind, with_box_format
from evalkit.records.reading import ReadOptions, read_systems
from evalkit.table import Floats, Ints
from evalkit.vision.columns import Bools, Columns
from evalkit.vision.images import fit_labels, only_annotator, require_scores
from evalkit.vision.matching import ALMOST_ONE
from evalkit.vision.overlaps import Pairs, box_overlaps

NONE = -1


@dataclass(frozen=True)
class Assignment:
    """detections [d], highest score first within an image and label; objects [o].

    A detection with a label that is none of the n labels has number n. taken [d]: the object that
    it takes, -1: none. below [images]: detections left out, because their score is too low.
    """

    detections: Columns
    objects: Columns
    taken: Ints
    below: Ints

    @classmethod
    def of(
        cls,
        metric: str,
        examples: Sequence[Example],
        labels: Sequence[str],
        iou: float,
        score: float,
        *,
        across: bool = False,
    ) -> Assignment:
        """score: the lowest that counts; across: whether objects of another label may be taken.

        metric: what messages call it. MetricError where a detection has no score.
        """
        require_scores(metric, examples)
        codes = {label: number for number, label in enumerate(labels)}
        truths = [only_annotator(metric, one.references) for one in examples]
        objects = Columns.of(truths, codes).sorted()
        every = Columns.of([one.prediction for one in examples], codes)
        every = replace(every, label=np.where(every.label < 0, len(labels), every.label))
        enough = every.score >= score
        below = np.bincount(every.image[~enough], minlength=len(examples))
        detections = every.take(np.flatnonzero(enough))
        if not across:
            detections = detections.sorted(by_score=True)
            pairs = box_overlaps(detections, objects, len(labels) + 1)
        else:
            order = np.lexsort((-detections.score, detections.image))
            detections = detections.take(order)
            pairs = _pairs_across(detections, objects)
        taken = assign(pairs, len(detections), objects.crowd, iou)
        return cls(detections, objects, taken, below)

    @property
    def ignored(self) -> Bools:
        """[d] detections that took a crowd."""
        found = self.taken >= 0
        found[found] = self.objects.crowd[self.taken[found]]
        return found


def _pairs_across(detections: Columns, objects: Columns) -> Pairs:
    """Of any two labels; a crowd only with its own."""
    plain, truths = (replace(one, label=np.zeros_like(one.label)) for one in (detections, objects))
    pairs = box_overlaps(plain, truths, 1)
    same = detections.label[pairs.detection] == objects.label[pairs.object]
    kept = np.flatnonzero(same | ~objects.crowd[pairs.object])
    return Pairs(pairs.detection[kept], pairs.object[kept], pairs.iou[kept])


def assign(pairs: Pairs, detections: int, crowd: Bools, iou: float) -> Ints:
    """[detections] the object that each takes in turn, -1: none; crowd [objects].

    COCO's rule, as in `matching.match`: of the free objects that overlap enough, one that is no
    crowd first, then the highest overlap, then the last in the file. A crowd stays free.
    """
    near = np.flatnonzero(pairs.iou >= min(iou, ALMOST_ONE))
    detection, object = pairs.detection[near], pairs.object[near]
    order = np.lexsort((-object, -pairs.iou[near], crowd[object], detection))
    taken = [NONE] * detections
    free = [True] * len(crowd)
    for one, wish in zip(detection[order].tolist(), object[order].tolist(), strict=True):
        if taken[one] == NONE and free[wish]:
            taken[one] = wish
            free[wish] = bool(crowd[wish])
    return np.array(taken, np.int64)


def best_threshold(
    predictions: Sequence[object] | str | Path,
    references: Sequence[object] | str | Path,
    *,
    box_format: str | None = None,
    iou: float = 0.5,
) -> tuple[float, float]:
    """(score, F1): the lowest score to count, for the highest F1 of all boxes of these images.

    Find it on other images than those that are scored with it: on the same ones F1 is too good.
    predictions, references: two files, as for `evalkit score`, or two lists, which want box_format,
    as for `evalkit.score`. Of equal F1 the highest score.
    Raises DataError, UsageError, and MetricError where there is no detection or no object.
    """
    if isinstance(predictions, str | Path) and isinstance(references, str | Path):
        files = [str(predictions)], [str(references)]
        systems = read_systems(*files, ReadOptions(box_format=box_format), "boxes")
        if len(systems) > 1:
            names = ", ".join(one.name for one in systems)
            raise DataError(f"one system is wanted, but here are {names}", files[0][0])
        return best_threshold_of(systems[0].examples, iou)
    if isinstance(predictions, str | Path) or isinstance(references, str | Path):
        raise UsageError("best_threshold wants two files or two lists, not one of each")
    if len(predictions) != len(references):
        raise DataError(
            f"references of {counted(len(references), 'image')} for predictions of "
            f"{counted(len(predictions), 'image')}"
        )
    boxes = with_box_format(kind("boxes"), box_format)
    examples = [
        Example(
            str(number),
            boxes.prediction(found, f"predictions[{number}]"),
            boxes.references(truth, f"references[{number}]"),
        )
        for number, (found, truth) in enumerate(zip(predictions, references, strict=True))
    ]
    return best_threshold_of(examples, iou)


def best_threshold_of(examples: Sequence[Example], iou: float = 0.5) -> tuple[float, float]:
    """As `best_threshold`. One assignment serves all scores: a detection never yields to a lower
    one."""
    name = "best_threshold"
    labels = fit_labels(name, (one.references for one in examples)).state["labels"]
    found = Assignment.of(name, examples, labels, iou, -np.inf)
    objects = int((~found.objects.crowd).sum())
    counted = np.flatnonzero(~found.ignored)
    if not objects or not len(counted):
        raise MetricError(f"{name}: F1 needs an object and a detection at least")
    ranked = counted[np.argsort(-found.detections.score[counted], kind="stable")]
    score = found.detections.score[ranked]
    hits = np.cumsum(found.taken[ranked] != NONE)
    f1: Floats = 2 * hits / (np.arange(1, len(hits) + 1) + objects)
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    best = last[np.argmax(f1[last])]
    return float(score[best]), float(f1[best])
