"""METEOR with and without resamples: Java counts once, the resamples are sums of its counts."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import ROOT, Timed, run

LIBRARIES = ("pycocoevalcap",)
IMAGES = 2000
SCORE = (sys.executable, "-m", "evalkit", "score", "preds.jsonl", "--refs", "refs.jsonl")
COMMANDS = {
    "without intervals": (*SCORE, "--metric", "meteor", "--interval", "none"),
    "with 1,000 resamples": (*SCORE, "--metric", "meteor", "--resamples", "1000"),
}


def section(runs: int, count: int = IMAGES) -> list[str]:
    """Lines of the page."""
    timed: dict[str, list[Timed]] = {label: [] for label in COMMANDS}
    values = {}
    with tempfile.TemporaryDirectory() as name:
        run((sys.executable, "-m", "benchmarks.captions", "write", name, str(count)), ROOT)
        for _ in range(runs):
            for label, command in COMMANDS.items():
                quiet = (*command, "--no-cache", "--quiet", "--no-save", "--json")
                one, printed = run(quiet, Path(name))
                timed[label].append(one)
                values[label] = json.loads(printed)["results"][0]["scores"][0]["value"]
    base = timed["without intervals"]
    rows = []
    for label, found in timed.items():
        pairs = list(zip(found, base, strict=True))
        wall = statistics.median(one.wall for one in found)
        cpu = statistics.median(one.cpu for one in found)
        ratios = [
            statistics.median(one.wall / other.wall for one, other in pairs),
            statistics.median(one.cpu / other.cpu for one, other in pairs),
        ]
        rows.append(f"| {label} | {wall:.1f} s | {cpu:.1f} s | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return [
        f"`evalkit score --metric meteor` on {count:,} images of COCO val2014 with five "
        f"references, Java's start included; medians of {runs} runs.",
        "",
        "| | clock | processor | clock, without = 1 | processor, without = 1 |",
        "|---|---:|---:|---:|---:|",
        *rows,
        "",
        f"Values: {' and '.join(f'{value!r}' for value in values.values())}.",
    ]
