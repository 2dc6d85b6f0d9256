"""bleu, chrf and ter beside sacrebleu: the resampling alone, and whole runs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpus
from benchmarks.timing import ONE_THREAD, ROOT, Timed, run

COUNTS = (2_000, 20_000)


def section(runs: int, counts: Sequence[int] = COUNTS) -> list[str]:
    """Lines of the page."""
    what, _, _ = corpus.segments(1)
    first: list[str] = []
    widths: list[str] = []
    second: list[str] = []
    same: list[str] = []
    for count in counts:
        rows, width = resampling(count, runs)
        first.extend(rows)
        widths.append(width)
    for count in counts:
        rows, parity = whole(count, runs if count < 10_000 else max(1, runs // 2))
        second.extend(rows)
        same.extend(f"- {count:,} segments: {line}" for line in parity)
    return [
        f"Beside sacrebleu on {what}; medians of {runs} runs ({max(1, runs // 2)} for whole runs "
        "of 20,000).",
        "",
        "### Resampling bleu and chrf, 1,000 resamples, one thread",
        "",
        "From the counts to both intervals, the drawing of weights included. `percentile` is "
        "what sacrebleu computes; `auto` also needs a standard error in every resample "
        "([intervals](intervals.md)).",
        "",
        "| segments | weights drawn by | sacrebleu | percentile | faster | auto | faster |",
        "|---:|---|---:|---:|---:|---:|---:|",
        *first,
        "",
        "Half widths of the percentile intervals of bleu and of chrf, evalkit's (Poisson "
        "weights) and sacrebleu's (multinomial):",
        "",
        *widths,
        "",
        "### The whole run: bleu, chrf and ter, nothing cached",
        "",
        "evalkit gives 2,000 resamples of all three, writes the result and its tables, and "
        "counts in as many processes as there are processors.",
        "",
        "| segments | command | clock | processor | clock, sacrebleu = 1 | largest process |",
        "|---:|---|---:|---:|---:|---:|",
        *second,
        "",
        "The values of both, evalkit's first:",
        "",
        *same,
        "",
        "### TER on paragraphs",
        "",
        "TER's search for shifts grows faster than the square of the length, in sacrebleu "
        "itself: a system of paragraphs can take a minute or more. evalkit counts in all "
        "processors, shows a bar, and keeps the counts in its cache: the same predictions are "
        "never counted twice.",
    ]


def resampling(count: int, runs: int) -> tuple[list[str], str]:
    """Rows of the first table, and the half widths that both computed."""
    rows = []
    for weights, means in (("numpy", "numpy"), ("numba", "numba, loaded before")):
        found = [_resampling_once(count, weights) for _ in range(runs)]
        peer = statistics.median(one["sacrebleu"]["seconds"] for one in found)
        cells = []
        for method in ("percentile", "auto"):
            seconds = statistics.median(one[method]["seconds"] for one in found)
            ratio = statistics.median(
                one["sacrebleu"]["seconds"] / one[method]["seconds"] for one in found
            )
            cells.append(f"{seconds:.3f} s | {ratio:.0f}×")
        rows.append(f"| {count:,} | {means} | {peer:.2f} s | {' | '.join(cells)} |")
    widths = zip(
        found[0]["percentile"]["half_widths"], found[0]["sacrebleu"]["half_widths"], strict=True
    )
    parity = ", ".join(f"±{ours:.3f} and ±{theirs:.3f}" for ours, theirs in widths)
    return rows, f"- {count:,} segments: {parity}"


def _resampling_once(count: int, weights: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.resampling", str(count), weights],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def whole(count: int, runs: int) -> tuple[list[str], list[str]]:
    """Rows of the second table, and what shows that both computed the same values."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus.write(folder, count)
        evalkit = (sys.executable, "-m", "evalkit", "score", "hyp.txt", "--refs", "ref.txt")
        ours = (*evalkit, "--no-cache", "--quiet", "--replace", "--json")
        peer = (sys.executable, "-m", "sacrebleu", "ref.txt", "-i", "hyp.txt", "-m")
        theirs = (*peer, "bleu", "chrf", "ter", "-f", "json", "-w", "15")
        commands = {
            "sacrebleu": theirs,
            "sacrebleu --confidence --confidence-n 1000": (
                *theirs,
                *("--confidence", "--confidence-n", "1000"),
            ),
            "evalkit score": ours,
            "evalkit score --workers 1 --threads 1": (*ours, "--workers", "1", "--threads", "1"),
        }
        timed: dict[str, list[Timed]] = {label: [] for label in commands}
        printed: dict[str, str] = {}
        for _ in range(runs):
            for label, command in commands.items():
                one, printed[label] = run(command, folder)
                timed[label].append(one)
        base = timed["sacrebleu"]
        rows = []
        for label, found in timed.items():
            ratio = statistics.median(
                one.wall / other.wall for one, other in zip(found, base, strict=True)
            )
            wall, cpu, memory = (
                statistics.median(getattr(one, field) for one in found)
                for field in ("wall", "cpu", "memory")
            )
            cells = f"{wall:.1f} s | {cpu:.1f} s | {ratio:.2f} | {memory:.0f} MiB"
            rows.append(f"| {count:,} | `{label}` | {cells} |")
        return rows, _parity(printed)


def _parity(printed: dict[str, str]) -> list[str]:
    found = json.loads(printed["evalkit score"])["results"][0]["scores"]
    peers = json.loads(printed["sacrebleu"])
    return [
        f"{ours['metric']} {ours['value']:.10f} and {theirs['score']:.10f}"
        for ours, theirs in zip(found, peers, strict=True)
    ]
