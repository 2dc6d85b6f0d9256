"""The programs that evaluate detections of COCO, each as a user would run it.

Imports neither evalkit nor numpy, so that it runs where only one of them is installed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

REPEATED = 3  # resamples that pycocotools does
MODULES = {
    "pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval"),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster"),
    "hotcoco": ("hotcoco", "hotcoco", "COCOeval"),
}


def evaluation(program: str, folder: Path) -> Any:
    """Load instances.json and results.json, evaluate, accumulate, summarize."""
    module, other, name = MODULES[program]
    coco, evaluator = import_module(module).COCO, getattr(import_module(other), name)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco(str(folder / "instances.json"))
        load = truth.load_res if program == "hotcoco" else truth.loadRes
        made = evaluator(truth, load(str(folder / "results.json")), "bbox")
        made.evaluate()
        made.accumulate()
        made.summarize()
    return made


def accumulated_again(folder: Path) -> float:
    """Processor seconds of one resample where pycocotools keeps its matches."""
    import numpy as np

    made = evaluation("pycocotools", folder)
    images = len(made._paramsEval.imgIds)
    matches = np.array(made.evalImgs, object).reshape(-1, images)
    generator = np.random.default_rng(0)
    started = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        for _ in range(REPEATED):
            drawn = np.sort(generator.integers(0, images, images))
            made.evalImgs = matches[:, drawn].ravel().tolist()
            made.accumulate()
            made.summarize()
    return (time.process_time() - started) / REPEATED


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """PROGRAM FOLDER; again FOLDER."""
    match arguments:
        case ["again", folder]:
            return {"each": accumulated_again(Path(folder))}
        case [program, folder] if program in MODULES:
            made = evaluation(program, Path(folder))
            return {"values": [float(one) for one in made.stats[:12]]}
        case _:
            raise SystemExit(main.__doc__)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
