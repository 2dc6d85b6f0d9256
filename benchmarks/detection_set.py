"""A made-up detection set like COCO val2017: 80 labels, about 35,000 objects, 180,000 detections.

`python -m benchmarks.detection_set FOLDER [IMAGES] [SEED]` writes instances.json and results.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

Document = dict[str, Any]
# Objects of each category in COCO val2017, roughly.
FREQUENCIES = np.array(
    "11004 316 1932 371 143 285 190 415 430 637 101 75 60 413 440 202 218 273 361 380 255 71 "
    "268 232 371 814 540 254 303 115 241 69 265 336 146 148 269 180 225 1025 343 899 215 326 "
    "253 626 379 239 177 287 316 371 127 285 338 316 1791 261 342 163 697 179 288 231 106 283 "
    "153 262 55 143 9 225 126 1161 267 277 36 191 11 57".split(),
    np.float64,
)
MOST = 100  # detections per image
FALSE_POSITIVES = 23.5  # per image, on average
CROWD_FROM, CROWD_SHARE = 6, 0.42  # objects of a label in an image; how often a crowd joins them


def detection_set(images: int = 5000, seed: int = 0) -> tuple[Document, list[Document]]:
    """(instances, results) as COCO's files hold them; scores have three decimals, so many tie."""
    generator = np.random.default_rng(seed)
    labels = len(FREQUENCIES)
    skill = np.clip(generator.normal(0.62, 0.13, labels), 0.15, 0.93)
    burst = 1 + generator.gamma(1.5, 1.25, labels)
    frames: list[Document] = []
    annotations: list[Document] = []
    results: list[Document] = []
    for number in range(images):
        size = np.array([640.0, 480.0] if generator.random() < 0.75 else [480.0, 640.0])
        id = 116 * number + 139
        frames.append({"id": id, "width": int(size[0]), "height": int(size[1])})
        label, box, crowd = _objects(generator, size, burst)
        area = box[:, 2] * box[:, 3] * generator.uniform(0.45, 0.95, len(box))
        for one in zip(label.tolist(), box.tolist(), area.tolist(), crowd.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": id,
                    "category_id": one[0] + 1,
                    "bbox": one[1],
                    "area": round(one[2], 2),
                    "iscrowd": int(one[3]),
                }
            )
        found = _detections(generator, size, label, box, crowd, skill)
        best = np.argsort(-found[2], kind="stable")[:MOST]
        for one in zip(*(column[best].tolist() for column in found), strict=True):
            results.append(
                {"image_id": id, "category_id": one[0] + 1, "bbox": one[1], "score": one[2]}
            )
    categories = [{"id": i + 1, "name": f"class {i + 1}"} for i in range(labels)]
    return {"images": frames, "annotations": annotations, "categories": categories}, results


def _objects(generator: np.random.Generator, size: Any, burst: Any) -> tuple[Any, Any, Any]:
    """label [n], box [n, 4], crowd [n]: a few labels per image, some of them many times."""
    chance = FREQUENCIES / burst
    present = min(int(generator.poisson(3.15)), len(burst)) if generator.random() > 0.01 else 0
    found: list[tuple[Any, Any, Any]] = [(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, bool))]
    for label in generator.choice(len(burst), present, replace=False, p=chance / chance.sum()):
        count = min(int(generator.geometric(1 / burst[label])), 41)
        box = _boxes(generator, size, count, 75 if count < 4 else 45, 0.95, 4)
        crowd = np.zeros(count, bool)
        if count >= CROWD_FROM and generator.random() < CROWD_SHARE:
            corner = 0.3 * size * generator.random(2)
            box = np.vstack([box, [*corner, 0.6 * size[0], 0.5 * size[1]]])
            crowd = np.arange(count + 1) == count
        found.append((np.full(len(box), label), box, crowd))
    labels, boxes, crowds = (np.concatenate(column) for column in zip(*found, strict=True))
    return labels, boxes.round(2), crowds


def _boxes(
    generator: np.random.Generator,
    size: Any,
    count: int,
    typical: float,
    spread: float,
    least: float,
) -> Any:
    """[count, 4]."""
    side = np.exp(generator.normal(np.log(typical), spread, count))
    shape = np.exp(generator.normal(0, 0.25, count))
    extent = np.clip(np.stack([side * shape, side / shape], axis=1), least, 0.95 * size)
    return np.hstack([generator.random((count, 2)) * (size - extent), extent])


def _detections(
    generator: np.random.Generator, size: Any, label: Any, box: Any, crowd: Any, skill: Any
) -> tuple[Any, Any, Any]:
    """label [d], box [d, 4], score [d]: hits, duplicates, confusions and false positives."""
    width = np.sqrt(box[:, 2] * box[:, 3])
    able = skill[label] * np.where(width < 32, 0.6, np.where(width < 96, 0.95, 1.15))
    seen = np.flatnonzero(~crowd & (generator.random(len(box)) < np.minimum(able + 0.25, 0.97)))
    good = generator.random(len(seen)) < able[seen]
    blur = np.where(
        good,
        np.abs(generator.normal(0, 0.05, len(seen))) + 0.015,
        np.abs(generator.normal(0, 0.18, len(seen))) + 0.05,
    )
    score = np.where(good, generator.beta(5, 2, len(seen)), generator.beta(1.6, 4, len(seen)))
    again = np.repeat(np.arange(len(seen)), generator.poisson(0.9, len(seen)))
    confused = seen[generator.random(len(seen)) < 0.25]
    many = np.repeat(np.flatnonzero(crowd), generator.integers(1, 6, int(crowd.sum())))
    inside = box[many, :2] + 0.8 * generator.random((len(many), 2)) * box[many, 2:]
    false = int(generator.poisson(FALSE_POSITIVES))
    false_label = generator.choice(len(skill), false, p=FREQUENCIES / FREQUENCIES.sum())
    if len(label):
        near = generator.random(false) < 0.45
        false_label = np.where(near, label[generator.integers(0, len(label), false)], false_label)
    labels = [label[seen], label[seen[again]], generator.integers(0, len(skill), len(confused))]
    boxes = [
        _blurred(generator, box[seen], blur[:, None]),
        _blurred(generator, box[seen[again]], 0.09),
        _blurred(generator, box[confused], 0.03),
        np.hstack([inside, np.tile([30.0, 42.0], (len(many), 1))]),
        _boxes(generator, size, false, 60, 0.9, 1),
    ]
    scores = [
        score,
        score[again] * generator.beta(1.2, 4, len(again)),
        generator.beta(1.2, 6, len(confused)),
        generator.beta(2, 3, len(many)),
        generator.beta(0.7, 9, false),
    ]
    every = np.concatenate(scores)
    return (
        np.concatenate([*labels, label[many], false_label]).astype(int),
        np.concatenate(boxes).round(2),
        np.maximum(every, 0.001).round(3),
    )


def _blurred(generator: np.random.Generator, box: Any, blur: Any) -> Any:
    """Centres moved and sides stretched, in proportion to the size."""
    extent = box[:, 2:] * np.exp(1.3 * blur * generator.normal(size=(len(box), 2)))
    centre = box[:, :2] + box[:, 2:] / 2 + blur * box[:, 2:] * generator.normal(size=(len(box), 2))
    return np.hstack([centre - extent / 2, extent])


def main(folder: Path, images: int = 5000, seed: int = 0) -> None:
    instances, results = detection_set(images, seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "instances.json").write_text(json.dumps(instances), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    objects = len(instances["annotations"])
    print(f"{images} images, {objects} objects, {len(results)} detections in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(one) for one in sys.argv[2:4]))
