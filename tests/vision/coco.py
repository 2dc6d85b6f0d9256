"""COCO's own form of a set (instances, results) as a system, random sets, and pycocotools."""

from __future__ import annotations

import contextlib
import copy
import io
from collections import defaultdict
from typing import Any

import numpy as np

from evalkit.records.boxes import Box, Mask
from evalkit.records.example import Example, System
from evalkit.table import Array, Floats

Document = dict[str, Any]
AREAS = [1024.0, 9216.0, 0.0, 1023.99, 9216.01]  # at and beside the bounds of the ranges


def system(instances: Document, results: list[Document]) -> System:
    """Labels are the ids of the categories as text."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in instances["images"]}
    objects, detections = defaultdict(list), defaultdict(list)
    for one in instances["annotations"]:
        size = sizes[one["image_id"]]
        objects[one["image_id"]].append(
            Box(
                tuple(one["bbox"]),
                str(one["category_id"]),
                crowd=bool(one["iscrowd"]),
                area=one["area"],
                mask=_mask(one.get("segmentation"), size),
            )
        )
    for one in results:
        detections[one["image_id"]].append(
            Box(
                tuple(one.get("bbox", (0, 0, 0, 0))),
                str(one["category_id"]),
                one["score"],
                mask=_mask(one.get("segmentation"), sizes[one["image_id"]]),
            )
        )
    examples = [
        Example(str(id), tuple(detections[id]), (tuple(objects[id]),)) for id in sorted(sizes)
    ]
    return System("set", sorted(examples, key=lambda one: one.id.encode()), kind="boxes")


def _mask(segmentation: Any, size: tuple[int, int]) -> Mask | None:
    """Polygons and uncompressed codes become compressed ones."""
    if segmentation is None:
        return None
    from pycocotools import mask as masks

    if isinstance(segmentation, list):
        segmentation = masks.merge(masks.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        segmentation = masks.frPyObjects(segmentation, *size)
    counts = segmentation["counts"]
    return Mask(size, counts.decode() if isinstance(counts, bytes) else counts)


def pycocotools(
    instances: Document, results: list[Document], iou: str = "bbox"
) -> tuple[Floats, Floats, Floats]:
    """precision [thresholds, 101, labels, areas, 3], recall without the 101, twelve numbers."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(instances)
        truth.createIndex()
        found = truth.loadRes(copy.deepcopy(results)) if results else COCO()
        if not results:
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, iou)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.eval["precision"], evaluation.eval["recall"], np.array(evaluation.stats)


def random_set(seed: int, *, ties: bool = True) -> tuple[Document, list[Document]]:
    """A small set with all that is awkward; by seed: on a grid of 16 pixels (exact ties of
    overlaps), free, or with boxes of size 0. Without ties every score occurs once.
    """
    generator = np.random.default_rng(seed)
    style = ("grid", "free", "empty")[seed % 3]
    labels = int(generator.integers(1, 5))
    images = [
        {"id": int(3 * i + 5), "width": 640, "height": 480}
        for i in range(generator.integers(1, 12))
    ]
    annotations: list[Document] = []
    results: list[Document] = []
    for image in images:
        if generator.random() < 0.15:
            continue
        for _ in range(generator.integers(0, 14)):
            box = _box(generator, style)
            area = box[2] * box[3]
            if generator.random() < 0.5:
                area = float(generator.choice([*AREAS, 0.7 * area]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": int(generator.integers(1, labels + 1)),
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(generator.random() < 0.12),
                }
            )
    for image in images:
        if generator.random() < 0.1:
            continue
        own = [one for one in annotations if one["image_id"] == image["id"]]
        for _ in range(generator.integers(0, 30) if generator.random() < 0.9 else 260):
            results.append(_detection(generator, style, image["id"], own, labels))
    if not ties:
        for one, rank in zip(results, generator.permutation(len(results)), strict=True):
            one["score"] += 1e-6 * float(rank)
    categories = [{"id": label, "name": str(label)} for label in range(1, labels + 2)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def _box(generator: np.random.Generator, style: str) -> list[float]:
    if style == "free":
        return [
            *(300 * generator.random(2)).tolist(),
            *np.exp(generator.normal(3.6, 1, 2)).tolist(),
        ]
    return (16.0 * generator.integers([0, 0, 1, 1], [8, 8, 9, 9])).tolist()  # type: ignore[no-any-return]


def _detection(
    generator: np.random.Generator, style: str, image: int, objects: list[Document], labels: int
) -> Document:
    label = int(generator.integers(1, labels + 1))
    box = np.array(_box(generator, style))
    if objects and generator.random() < 0.7:
        near = objects[generator.integers(len(objects))]
        step = generator.normal(0, 4, 4) if style == "free" else 8.0 * generator.integers(-1, 2, 4)
        box = np.array(near["bbox"]) + step
        label = near["category_id"] if generator.random() < 0.9 else label
    box[2:] = np.maximum(box[2:], 0 if style == "empty" else 1)
    score = float(round(generator.random(), int(generator.integers(1, 4))))
    return {"image_id": image, "category_id": label, "bbox": box.tolist(), "score": score}


def with_masks(documents: list[Document]) -> list[Document]:
    """Boxes as rectangles of pixels in an image of 480 x 640, clipped to it."""
    from pycocotools import mask as masks

    found = []
    for one in documents:
        pixels = np.zeros((480, 640), np.uint8, order="F")
        left, top = (max(round(edge), 0) for edge in one["bbox"][:2])
        right, bottom = (round(one["bbox"][i] + one["bbox"][i + 2]) for i in (0, 1))
        pixels[top : max(bottom, 0), left : max(right, 0)] = 1
        code = masks.encode(pixels)
        code["counts"] = code["counts"].decode()
        kept = {key: value for key, value in one.items() if key != "bbox" or "iscrowd" in one}
        found.append(kept | {"segmentation": code})
    return found


def repeated(
    instances: Document, results: list[Document], counts: Array
) -> tuple[Document, list[Document]]:
    """Every image as often as counts [images] says, copies side by side."""
    copies = [
        (image, number)
        for image, count in zip(instances["images"], counts, strict=True)
        for number in range(count)
    ]
    annotations: list[Document] = []
    found: list[Document] = []
    for place, (image, _) in enumerate(copies, start=1):
        for one in instances["annotations"]:
            if one["image_id"] == image["id"]:
                annotations.append({**one, "id": len(annotations) + 1, "image_id": place})
        found += [{**one, "image_id": place} for one in results if one["image_id"] == image["id"]]
    images = [{**image, "id": place} for place, (image, _) in enumerate(copies, start=1)]
    return {**instances, "images": images, "annotations": annotations}, found
