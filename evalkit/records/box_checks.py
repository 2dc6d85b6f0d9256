"""Mistakes that leave every box possible and every score wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from evalkit.errors import DataError, counted
from evalkit.records.boxes import Box, Four
from evalkit.records.example import Example, System
from evalkit.records.fields import shown
from evalkit.records.masks import Size, image_size

LOOKED_AT = 1000  # boxes
MOST = 0.5  # of the boxes that leave their image
FITTING = 0.9  # of those that leave it
SLACK = 1.0  # pixels that a box may leave it by
MANY = 0.1  # of the images
SMALL = 16  # pixels; no image that boxes in 0..1 could be right for is larger

Remarks = Iterator[tuple[str, str]]


def refuse_corners(system: System) -> None:
    """DataError where most boxes leave their image: two corners, or made for another size."""
    detections = ((image_size(one.fields), one.prediction) for one in system.examples)
    objects = (
        (image_size(one.fields), list(chain.from_iterable(one.references)))
        for one in system.examples
    )
    for boxes, source in ((detections, system.sources[0]), (objects, system.sources[-1])):
        seen = list(islice(_with_size(boxes), LOOKED_AT))
        leaving = [one for one in seen if _leaves(*one)]
        if len(leaving) <= MOST * len(seen):
            continue
        few = len(leaving) - sum(_corners(*one) for one in leaving)
        what = f"{len(leaving):,} of {len(seen):,} boxes leave their image as x, y, width, height"
        if few <= (1 - FITTING) * len(leaving):
            raise DataError(
                f"{what}, but {f'only {few:,}' if few else 'none'} of them as two corners; "
                "say --box-format xyxy, or, if they are right, --box-format xywh (COCO's own files "
                "are always xywh)",
                source,
            )
        box, (height, width) = leaving[0]
        raise DataError(
            f"{what}, and {few:,} as two corners, as does {shown(list(box))} in {width} x {height} "
            "pixels; scale boxes of another resolution, and a normalised size, to pixels of the "
            "image, or say --box-format xywh to score them as they are",
            source,
        )


def _with_size(
    images: Iterator[tuple[Size | None, Sequence[Box]]],
) -> Iterator[tuple[Four, Size]]:
    for size, boxes in images:
        if size is not None:
            yield from ((one.box, size) for one in boxes)


def _leaves(box: Four, size: Size) -> bool:
    x, y, width, height = box
    return x + width > size[1] + SLACK or y + height > size[0] + SLACK


def _corners(box: Four, size: Size) -> bool:
    x, y, right, bottom = box
    return x <= right <= size[1] + SLACK and y <= bottom <= size[0] + SLACK


def remarks(examples: Sequence[Example], source: str | None) -> tuple[tuple[str, str], ...]:
    """What to say of boxes that no file declares anything about; DataError as below."""
    refuse_no_objects(examples, source)
    refuse_other_labels(examples, source)
    return tuple(findings(examples))


def refuse_no_objects(examples: Sequence[Example], source: str | None) -> None:
    """DataError where no reference holds a box."""
    if not any(boxes for one in examples for boxes in one.references):
        raise DataError("no box in any reference", source)


def findings(examples: Sequence[Example]) -> Remarks:
    """Images without detections where they are many, objects without areas, boxes in 0..1."""
    empty = sum(not one.prediction for one in examples)
    if empty > MANY * len(examples):
        yield "empty-images", f"{empty:,} of {counted(len(examples), 'image')} have no detection"
    objects = [box for one in examples for boxes in one.references for box in boxes]
    if without := sum(box.area is None for box in objects):
        yield (
            "no-area",
            f"{without:,} of {len(objects):,} references have no area; "
            "that of the box (of the mask, where masks are matched) stands for it",
        )
    detections = [box for one in examples for box in one.prediction]
    sizes = (image_size(one.fields) for one in examples)
    large = any(size is not None and min(size) > SMALL for size in sizes)
    for side, own, others in (
        ("detection", detections, objects),
        ("reference", objects, detections),
    ):
        if _normalised(own) and (large or not _normalised(others)):
            yield (
                "normalised",
                f"every box of a {side} lies within 0 to 1, as shares of an image do; boxes are "
                "x, y, width, height in pixels",
            )


def _normalised(boxes: Sequence[Box]) -> bool:
    """Whether all lie within 0..1, and not all of them on whole numbers."""
    return all(0 <= side <= 1 for one in boxes for side in one.box) and any(
        side % 1 for one in boxes for side in one.box
    )


def refuse_other_labels(examples: Sequence[Example], source: str | None) -> None:
    """DataError where one side names its labels and the other numbers them."""
    ours = {box.label for one in examples for box in one.prediction}
    theirs = {box.label for one in examples for boxes in one.references for box in boxes}
    if not ours or ours & theirs or len({label.isdecimal() for label in ours}) > 1:
        return
    if {label.isdecimal() for label in ours} != {label.isdecimal() for label in theirs}:
        raise DataError(
            f"no label of a detection ({_some(ours)}) is one of the references ({_some(theirs)}): "
            "names on one side, ids on the other",
            source,
        )


def _some(labels: set[str]) -> str:
    return ", ".join(sorted(labels)[:3]) + (", …" if len(labels) > 3 else "")
