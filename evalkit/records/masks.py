"""Segmentations as COCO writes them: polygons, run lengths, and run lengths as a string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from evalkit.errors import DataError, MissingDependencyError
from evalkit.records.boxes import Four, Mask
from evalkit.records.fields import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Size = tuple[int, int]  # height, width
FARTHEST = 1_000_000  # pixels; far beyond it pycocotools ends the process


class _RunLengths(msgspec.Struct):
    size: Size
    counts: str | list[int]


_PLAIN = msgspec.json.Decoder(_RunLengths)
_POLYGONS = msgspec.json.Decoder(list[list[float]])


def image_size(record: Mapping[str, Any]) -> Size | None:
    height, width = record.get("height"), record.get("width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None


def mask(segmentation: bytes, size: Size | None) -> Mask | None:
    """From JSON; size: of the image. DataError without a place.

    None for no polygon at all, and for polygons where the size is not known.
    """
    try:
        if segmentation.lstrip()[:1] != b"[":
            code = _PLAIN.decode(segmentation)
            return _code(code, size)
        polygons = _POLYGONS.decode(segmentation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            "a segmentation must be polygons, [[x, y, …], …], or run lengths, "
            f'{{"size": [height, width], "counts": …}} ({error})'
        ) from None
    if any(len(one) < 6 or len(one) % 2 for one in polygons):
        raise DataError("a polygon must be a list of corners, three or more: [x, y, x, y, x, y, …]")
    if any(max(one) > FARTHEST or min(one) < -FARTHEST for one in polygons):
        raise DataError(f"a corner of a polygon lies more than {FARTHEST:,} pixels away")
    if not polygons or size is None:
        return None
    return Mask(size, polygons=msgspec.json.encode(polygons).decode())


def _code(code: _RunLengths, size: Size | None) -> Mask:
    if size is not None and code.size != size:
        height, width = code.size
        raise DataError(
            f"run lengths of {height} x {width} pixels (height x width), but the image has "
            f"{size[0]} x {size[1]}"
        )
    if isinstance(code.counts, str):
        return Mask(code.size, code.counts)
    if min(code.counts, default=0) < 0:
        raise DataError(f"the run lengths hold a negative one, {min(code.counts)}")
    if sum(code.counts) != code.size[0] * code.size[1]:
        raise DataError(
            f"the run lengths add up to {sum(code.counts):,}, not to the "
            f"{code.size[0] * code.size[1]:,} pixels of {code.size[0]} x {code.size[1]}"
        )
    return Mask(code.size, compressed(code.counts))


def of_pixels(value: Any) -> dict[str, Any]:
    """Run lengths of an array of numpy or torch [height, width]; DataError where it is another."""
    import numpy as np

    value = value.detach().cpu() if hasattr(value, "detach") else value
    if value.ndim != 2:
        shape = " x ".join(map(str, value.shape))
        raise DataError(f"the pixels of a mask are wanted as [height, width], not as {shape}")
    pixels = np.asarray(value == 1)
    if not np.asarray((value == 0) | (value == 1)).all():
        raise DataError("the pixels of a mask are true or false (1 or 0); apply a threshold first")
    return {"size": list(pixels.shape), "counts": compressed(lengths(pixels))}


def lengths(pixels: NDArray[np.bool_]) -> list[int]:
    """pixels [height, width] -> runs of unset and set pixels by turns, column by column."""
    import numpy as np

    flat = pixels.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs: list[int] = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return [0, *runs] if flat[:1].any() else runs


def compressed(counts: Sequence[int]) -> str:
    """COCO's string of run lengths (rleToString of maskApi.c, pycocotools 2.0.11)."""
    found = []
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        while True:
            low = rest & 31
            rest >>= 5
            last = rest == (-1 if low & 16 else 0)
            found.append(chr(48 + (low if last else low | 32)))
            if last:
                break
    return "".join(found)


@dataclass(frozen=True)
class Runs:
    """Run lengths of n masks. count [r]: in order; mask [r]: whose it is; place [r]: 0, 1, … in it.

    valid [n]: the string is a code of runs that fill the image exactly.
    """

    count: NDArray[np.int64]
    mask: NDArray[np.int64]
    place: NDArray[np.int64]
    valid: NDArray[np.bool_]

    @classmethod
    def of(cls, masks: Sequence[Mask]) -> Runs:
        """rleFrString of maskApi.c (pycocotools 2.0.11), of all strings at once."""
        import numpy as np

        texts = [one.counts.encode() for one in masks]
        code = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - 48
        length = np.array([len(one) for one in texts], np.int64)
        ends = np.cumsum(length)
        of = np.repeat(np.arange(len(masks)), length)
        bad = np.zeros(len(masks), np.bool_)
        bad[of[(code < 0) | (code > 63)]] = True
        last = (code & 32) == 0
        bad[length == 0] = True
        bad[length > 0] |= ~last[ends[length > 0] - 1]
        last[ends[length > 0] - 1] = True
        starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])[: int(last.sum())]
        digit = np.arange(len(code)) - np.repeat(starts, np.diff(np.append(starts, len(code))))
        bad[of[digit > 6]] = True
        shift = 5 * np.minimum(digit, 6)
        value = np.add.reduceat((code & 31) << shift, starts) if len(starts) else code[:0]
        end = np.flatnonzero(last)
        value -= np.where(code[end] & 16, 1 << (shift[end] + 5), 0)
        owner = of[end]
        first = np.searchsorted(owner, np.arange(len(masks)))
        place = np.arange(len(owner)) - first[owner]
        count = _undo_differences(value, place)
        total = np.zeros(len(masks), np.int64)
        np.add.at(total, owner, count)
        bad[owner[count < 0]] = True
        pixels = np.array([one.size[0] * one.size[1] for one in masks], np.int64)
        return cls(count, owner, place, ~bad & (total == pixels))

    def boxes(self, masks: Sequence[Mask]) -> list[Four]:
        """The smallest box around each (rleToBbox of maskApi.c); zeros where no pixel is set."""
        import numpy as np

        height = np.array([one.size[0] for one in masks], np.int64)
        total = np.cumsum(self.count)
        before = np.concatenate([[0], total])[np.searchsorted(self.mask, np.arange(len(masks)))]
        ends = total - before[self.mask]
        chosen = np.flatnonzero((self.place % 2 == 1) & (self.count > 0))
        owner, tall = self.mask[chosen], height[self.mask[chosen]]
        first, last = ends[chosen] - self.count[chosen], ends[chosen] - 1
        spans = first // tall < last // tall
        found = np.zeros((len(masks), 4))
        bounds = np.flatnonzero(np.diff(owner, prepend=-1))
        if len(bounds):
            top = np.minimum.reduceat(np.where(spans, 0, first % tall), bounds)
            bottom = np.maximum.reduceat(np.where(spans, tall - 1, last % tall), bounds)
            left = np.minimum.reduceat(first // tall, bounds)
            right = np.maximum.reduceat(last // tall, bounds)
            sides = (left, top, right - left + 1, bottom - top + 1)
            found[owner[bounds]] = np.column_stack(sides)
        return [(x, y, width, tall) for x, y, width, tall in found.tolist()]


def _undo_differences(value: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """From the fourth run on, the code holds the difference to the run before the last."""
    import numpy as np

    found = value.copy()
    for own in (np.flatnonzero((place % 2 == 0) & (place > 0)), np.flatnonzero(place % 2 == 1)):
        total = np.cumsum(value[own])
        starts = np.flatnonzero(place[own] <= 2)
        before = np.concatenate([[0], total])[starts]
        found[own] = total - np.repeat(before, np.diff(np.append(starts, len(own))))
    return found


def around(polygons: str) -> Four:
    """The smallest box around the corners of polygons (JSON)."""
    flat = [one for polygon in _POLYGONS.decode(polygons) for one in polygon]
    left, top = min(flat[::2]), min(flat[1::2])
    return left, top, max(flat[::2]) - left, max(flat[1::2]) - top


def run_lengths(one: Mask) -> dict[str, Any]:
    """As pycocotools.mask wants it; MissingDependencyError where polygons need it and it is not."""
    if not one.polygons:
        return {"size": one.size, "counts": one.counts}
    try:
        from pycocotools import mask as library
    except ImportError:
        raise MissingDependencyError(
            "polygons need pycocotools (extra `detection`): pip install pycocotools"
        ) from None
    polygons = _POLYGONS.decode(one.polygons)
    merged: dict[str, Any] = library.merge(library.frPyObjects(polygons, *one.size))
    return merged


def refuse_run_lengths(one: Mask) -> DataError:
    height, width = one.size
    return DataError(
        f"the run lengths {shown(one.counts)} are no code of {height} x {width} pixels; "
        "encode the mask again, e.g. with pycocotools.mask.encode"
    )
