"""Mistakes that leave every box possible and every score wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from evalkit.errors import DataError
from evalkit.records.boxes import Box, Four
from evalkit.records.example import System
from evalkit.records.image_files import image_size
from evalkit.records.masks import Size

LOOKED_AT = 1000  # boxes
MOST = 0.5  # of the boxes that leave their image
SLACK = 1.0  # pixels that a box may leave it by


def refuse_corners(system: System) -> None:
    """DataError where most boxes leave their image, and all would fit into it as two corners."""
    detections = ((image_size(one.fields), one.prediction) for one in system.examples)
    objects = (
        (image_size(one.fields), list(chain.from_iterable(one.references)))
        for one in system.examples
    )
    for boxes, source in ((detections, system.sources[0]), (objects, system.sources[-1])):
        seen = list(islice(_with_size(boxes), LOOKED_AT))
        leaving = sum(_leaves(*one) for one in seen)
        if leaving > MOST * len(seen) and all(_corners(*one) for one in seen):
            raise DataError(
                f"{leaving:,} of {len(seen):,} boxes leave their image as x, y, width, height, but "
                "none does as two corners; say --box-format xyxy, or, if they are right, "
                "--box-format xywh (COCO's own files are always xywh)",
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


def refuse_other_labels(system: System) -> None:
    """DataError where one side names its labels and the other numbers them."""
    ours = {box.label for one in system.examples for box in one.prediction}
    theirs = {box.label for one in system.examples for boxes in one.references for box in boxes}
    if not ours or ours & theirs or len({label.isdecimal() for label in ours}) > 1:
        return
    if {label.isdecimal() for label in ours} != {label.isdecimal() for label in theirs}:
        raise DataError(
            f"no label of a detection ({_some(ours)}) is one of the references ({_some(theirs)}): "
            "names on one side, ids on the other",
            system.sources[0],
        )


def _some(labels: set[str]) -> str:
    return ", ".join(sorted(labels)[:3]) + (", …" if len(labels) > 3 else "")
