"""coco_ap against torchmetrics' MeanAveragePrecision, whose recall thresholds are float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.detection_set import detection_set
from evalkit import catalogue
from evalkit.table import Floats
from evalkit.tables.build import Builder
from tests.vision.coco import Document, system

KEYS = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large")
RECALLS = ("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large")


def theirs(instances: Document, results: list[Document], **options: Any) -> Floats:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `neural`)")
    try:
        from torchmetrics.detection import MeanAveragePrecision

        metric = MeanAveragePrecision(box_format="xywh", iou_type="bbox", **options)
    except (ImportError, RuntimeError) as error:  # torchvision is missing, or of another torch
        pytest.skip(f"torchmetrics' MeanAveragePrecision does not load: {error}")
    own: dict[int, tuple[list[Document], list[Document]]] = {
        image["id"]: ([], []) for image in instances["images"]
    }
    for side, boxes in enumerate((results, instances["annotations"])):
        for box in boxes:
            own[box["image_id"]][side].append(box)

    def columns(boxes: list[Document], names: dict[str, str]) -> dict[str, Any]:
        found = {name: torch.tensor([box[part] for box in boxes]) for name, part in names.items()}
        sides = torch.tensor([box["bbox"] for box in boxes], dtype=torch.float64).reshape(-1, 4)
        return {**found, "labels": found["labels"].long(), "boxes": sides}

    for found, truth in own.values():
        ours = columns(found, {"labels": "category_id", "scores": "score"})
        names = {"labels": "category_id", "iscrowd": "iscrowd", "area": "area"}
        metric.update([ours], [columns(truth, names)])
    computed = metric.compute()
    return np.array([float(computed[name]) for name in (*KEYS, *RECALLS)])


def test_mean_average_precision() -> None:
    """AP 3e-4 apart as it is, on so few images others 1e-3; equal with thresholds of 64 bits."""
    pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra `detection`)")
    instances, results = detection_set(300)
    one = system(instances, results)
    metric = catalogue.metric("coco_ap")
    fitted = metric.fit([example.references for example in one.examples])
    table = Builder().table(metric, one, fitted, "")
    ones = np.ones((1, len(table.ids)), np.uint8)
    ours = metric.scorer(table).measure(ones, errors=False)[0][0, :12]
    single = theirs(instances, results)
    assert ours[0] == pytest.approx(single[0], rel=0, abs=3e-4)
    assert ours == pytest.approx(single, rel=0, abs=1e-3)
    exact = theirs(instances, results, rec_thresholds=np.linspace(0, 1, 101).tolist())
    assert ours == pytest.approx(exact, rel=0, abs=1e-6)
