"""From boxes as files write them to boxes that metrics read; everything is checked here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from evalkit.errors import DataError, counted
from evalkit.records import boxes, masks
from evalkit.records.boxes import Box, BoxRecord, Four, Mask, Name
from evalkit.records.fields import encodable, shown
from evalkit.records.masks import Runs, Size

CHUNK = 512  # boxes that are read at once; run lengths of so many stay in the processor's cache
SHOWN = 5  # of what is unknown

_NO_OTHERS = (None,) * 5
Place = Callable[[int], str]


@dataclass(frozen=True)
class Categories:
    """The categories of a COCO file. labels: by id, as text."""

    source: str
    labels: Mapping[str, str]

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.labels.values())

    def hint(self) -> str:
        some = ", ".join(f"{id} ({label})" for id, label in islice(self.labels.items(), 3))
        return f"its categories are {some}{', …' if len(self.labels) > 3 else ''}"


@dataclass
class BoxReader:
    """One file's boxes. scored: they are detections; form: xywh or xyxy.

    categories: None where labels count as they are written; sizes: of images, where known.
    """

    scored: bool
    form: str
    categories: Categories | None = None
    sizes: MutableMapping[str, Size] = field(default_factory=dict)
    total: int = 0
    without_size: int = 0
    passed_over: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    first_unknown: str = ""
    _labels: dict[Name, str] = field(default_factory=dict)  # by category_id
    _named: dict[Name, str] = field(default_factory=dict)  # by the other names of a label

    def for_detections(self, form: str) -> BoxReader:
        """Of the same images and categories."""
        return BoxReader(True, form, self.categories, dict(self.sizes))

    def read(self, records: Sequence[BoxRecord], images: Sequence[str], place: Place) -> list[Box]:
        """One box per record, which belongs to image [i]; place(i) names it in a message."""
        self.total += len(records)
        own, around = self._masks(records, images, place)
        quick = self.scored and self.form == "xywh" and not own
        found: list[Box] = []
        for i, one in enumerate(records):
            box = self._usual(one) if quick else None
            if box is not None:
                found.append(box)
                continue
            try:
                found.append(self._box(one, own.get(i), around.get(i), i, place))
            except DataError as error:
                raise DataError(error.message, place(i)) from None
        return found

    def _usual(self, one: BoxRecord) -> Box | None:
        """A detection in COCO's own names with nothing to say about; None: `_box` must see it."""
        if one.category_id is None or one.bbox is None or one.score is None:
            return None
        label, score = self._labels.get(one.category_id), one.score
        others = (one.box, one.confidence, one.label, one.category, one.class_)
        if not label or others != _NO_OTHERS:
            return None
        x, y, width, height = one.bbox
        near = abs(x) + abs(y) + width + height <= boxes.LARGEST
        if not (width >= 0 and height >= 0 and near and math.isfinite(score)):
            return None
        return Box(one.bbox, label, score)

    def _box(
        self, one: BoxRecord, mask: Mask | None, around: Four | None, i: int, place: Place
    ) -> Box:
        sides = boxes.four(one)
        if sides is None:
            if around is None:
                raise DataError(_why_no_box(boxes.segmentation(one)))
            sides = around
        elif self.form == "xyxy":
            sides = boxes.upright(sides)
        x, y, width, height = sides
        near = abs(x) + abs(y) + width + height <= boxes.LARGEST
        if not (width >= 0 and height >= 0 and near):
            boxes.refuse_shape(sides, self.form)
        label = self._label(one, i, place)
        if self.scored:
            score = boxes.score(one)
            if score is None:
                raise DataError('no "score" in this detection; average precision ranks by it')
            return Box(sides, label, boxes.finite(score, "score"), mask=mask)
        area = one.area
        if area is not None and not 0 <= area < math.inf:
            raise DataError(f"the area must be a number of pixels, not {shown(area)}")
        self.passed_over += boxes.passed_over(one)
        return Box(sides, label, None, boxes.crowd(one), area, mask)

    def _label(self, one: BoxRecord, i: int, place: Place) -> str:
        coco = self.categories is not None and one.category_id is not None
        written = one.category_id if coco else boxes.name(one)
        known = self._named if one.category_id is None else self._labels
        if written is None or written == "":
            raise DataError('no label: name it "category_id", "label", "category" or "class"')
        label = known.get(written)
        if label is None:
            label = self._text(written, named=known is self._named)
            known[written] = encodable(label, "label", place(i))
        if not label:
            self.first_unknown = self.first_unknown or place(i)
            self.unknown[str(written)] += 1
        return label

    def _text(self, written: Name, *, named: bool) -> str:
        """Empty where the categories do not have it. A category_id is an id, a label a name."""
        text = str(written)
        if self.categories is None:
            return text
        by_id, by_name = self.categories.labels.get(text), text in self.categories.known
        if named and by_name and by_id not in (None, text) and isinstance(written, int):
            raise DataError(
                f'{text} is the id of "{by_id}" and the name of another category; '
                'give a "category_id", or the name as a text'
            )
        if named and by_name and isinstance(written, str):
            return text
        return by_id or (text if by_name else "")

    def refuse_unknown(self) -> None:
        """DataError with the labels that the categories do not have."""
        if not self.unknown or self.categories is None:
            return
        listed = ", ".join(islice(self.unknown, SHOWN))
        more = f" and {len(self.unknown) - SHOWN} more" if len(self.unknown) > SHOWN else ""
        what = counted(sum(self.unknown.values()), "box").replace("boxs", "boxes")
        raise DataError(
            f"{what} of {self.total:,} with a category that {self.categories.source} does not "
            f"have: {listed}{more}; {self.categories.hint()}",
            self.first_unknown,
        )

    def _masks(
        self, records: Sequence[BoxRecord], images: Sequence[str], place: Place
    ) -> tuple[dict[int, Mask], dict[int, Four]]:
        """By place: the masks, and the boxes around those that have no other."""
        found: dict[int, Mask] = {}
        for i, one in enumerate(records):
            try:
                if not (written := boxes.segmentation(one)):
                    continue
                mask = masks.mask(written, self.sizes.get(images[i]))
            except DataError as error:
                raise DataError(error.message, place(i)) from None
            if mask is None:
                self.without_size += 1
            else:
                found[i] = mask
        codes = [(i, one) for i, one in found.items() if not one.polygons]
        around = {
            i: masks.around(one.polygons)
            for i, one in found.items()
            if one.polygons and boxes.four(records[i]) is None
        }
        if codes:
            where, each = zip(*codes, strict=True)
            runs = Runs.of(each)
            if not runs.valid.all():
                bad = int((~runs.valid).argmax())
                raise DataError(masks.refuse_run_lengths(each[bad]).message, place(where[bad]))
            if any(boxes.four(records[i]) is None for i in where):
                around |= zip(where, runs.boxes(each), strict=True)
        return found, around


def _why_no_box(segmentation: bytes) -> str:
    if not segmentation:
        return 'no "bbox" and no "segmentation" here, or an empty one'
    return (
        'polygons without a "bbox" want the "width" and "height" of their image, which are not '
        "given"
    )
