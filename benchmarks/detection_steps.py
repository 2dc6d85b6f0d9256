"""Where the processor time of coco_ap goes, and how it grows; one process, numba loaded before."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection_set import Document, detection_set
from evalkit import catalogue
from evalkit.metric import Metric, Scorer
from evalkit.panels import RESAMPLES as RESAMPLES_AT_ONCE
from evalkit.records.example import System
from evalkit.records.reading import ReadOptions, read_systems
from evalkit.stats.resampling import resample
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Table
from evalkit.tables.build import Builder
from tests.vision.coco import system as as_system

RESAMPLES = 1000
FEW = 512  # resamples where something else varies
TRIES = 3


def steps(folder: Path) -> dict[str, Any]:
    """Processor seconds of each step, of objects and detections in files."""
    marks = {"Python, numpy and evalkit loaded": time.process_time()}
    files = str(folder / "results.json"), str(folder / "instances.json")
    options = ReadOptions()
    system = read_systems([files[0]], [files[1]], options, "boxes")[0]
    digest = system.references_digest
    marks["reading and checking the files"] = time.process_time()
    metric = catalogue.metric("coco_ap")
    table = _table(metric, system, digest)
    marks["matching"] = time.process_time()
    scorer = _valued(metric, table)
    marks["ordering, and the values"] = time.process_time()
    _resample(scorer, table, 64)
    marks["numba and the compiled kernel loaded"] = time.process_time()
    _resample(scorer, table, RESAMPLES)
    marks["resamples"] = time.process_time()
    each = np.diff([0, *marks.values()]).tolist()
    return {
        "seconds": dict(zip(marks, each, strict=True)),
        "objects": sum(len(one.references[0]) for one in system.examples),
        "detections": sum(len(one.prediction) for one in system.examples),
    }


def growth(images: int) -> dict[str, list[dict[str, float]]]:
    """Varied -> its size and processor seconds, the least of three tries."""
    seconds(*detection_set(images // 8), 64)  # loads numba
    found: dict[str, list[dict[str, float]]] = {}
    for share in (8, 4, 2, 1):
        own, results = detection_set(images // share)
        point = {"size": images // share, **seconds(own, results, FEW)}
        found.setdefault("images", []).append(point)
    own, results = detection_set(images // 2)
    for more in (0, 20, 60, 140):
        every = [*results, *_false_positives(own, more)]
        point = {"size": len(every), **seconds(own, every, FEW)}
        found.setdefault("detections, by more false positives", []).append(point)
    for count in (256, 512, 1024, 2048):
        point = {"size": count, "resamples": seconds(own, results, count)["resamples"]}
        found.setdefault("resamples", []).append(point)
    return found


def seconds(own: Document, results: list[Document], count: int) -> dict[str, float]:
    """Of each step on a set that is in memory."""
    metric, system = catalogue.metric("coco_ap"), as_system(own, results)
    found = []
    for _ in range(TRIES):
        marks = [time.process_time()]
        table = _table(metric, system, "")
        marks.append(time.process_time())
        scorer = _valued(metric, table)
        marks.append(time.process_time())
        _resample(scorer, table, count, block=RESAMPLES_AT_ONCE)
        marks.append(time.process_time())
        found.append([after - before for before, after in itertools.pairwise(marks)])
    least = np.min(found, axis=0).tolist()
    return dict(zip(("matching", "ordering", "resamples"), least, strict=True))


def _table(metric: Metric, system: System, references: str) -> Table:
    fitted = metric.fit([one.references for one in system.examples])
    return Builder().table(metric, system, fitted, references)


def _valued(metric: Metric, table: Table) -> Scorer:
    scorer = metric.scorer(table)
    scorer.measure(np.ones((1, len(table.ids)), np.uint8), errors=False)
    return scorer


def _resample(scorer: Scorer, table: Table, count: int, block: int | None = None) -> None:
    draws = PoissonDraws(unit_keys(table.ids, 12345, ""))
    resample([scorer], [False], draws, count, block=block)


def _false_positives(own: Document, more: int) -> Iterator[Document]:
    """`more` per image, of any label, with scores like those of detection_set."""
    generator = np.random.default_rng(more)
    for image in own["images"]:
        corner = generator.uniform(0, 400, (more, 2)).round(2)
        score = np.maximum(generator.beta(0.7, 9, more), 0.001).round(3)
        label = generator.integers(1, 81, more)
        for one in zip(corner.tolist(), score.tolist(), label.tolist(), strict=True):
            box = [*one[0], 60.0, 60.0]
            yield {"image_id": image["id"], "category_id": one[2], "bbox": box, "score": one[1]}


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """steps FOLDER; growth IMAGES."""
    match arguments:
        case ["steps", folder]:
            return steps(Path(folder))
        case ["growth", images]:
            return growth(int(images))
        case _:
            raise SystemExit(main.__doc__)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
