"""COCO AP on a made-up set like COCO val2017: evalkit beside the programs that compute it.

EVALKIT_BENCHMARK_PEERS: a Python that has faster-coco-eval and hotcoco, where this one has not.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection_peers import MODULES, REPEATED
from benchmarks.timing import ROOT, Timed, run

IMAGES = 5000
RESAMPLES = 1000
LIBRARIES = ("pycocotools", "numba")
PYTHON = (sys.executable, "-m")
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
BASE, FAST = "pycocotools", "hotcoco"
WHOLE, POINT = "`evalkit score`, 1,000 resamples", "`evalkit score --interval none`"
TORCHMETRICS = (
    "torchmetrics, whose MeanAveragePrecision wants torchvision, which does not load beside the "
    "build of PyTorch for processors"
)
GROWN = ("matching", "ordering", "resamples")
Commands = dict[str, tuple[str, ...]]


def section(runs: int, images: int = IMAGES) -> list[str]:
    """Lines of the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run((*PYTHON, "benchmarks.detection_set", name, str(images)), ROOT)
        commands, left_out = _commands(folder)
        timed, printed = _take_turns(commands, runs, folder)
        again = json.loads(run((*PYTHON, "benchmarks.detection_peers", "again", name), ROOT)[1])
    grown = json.loads(run((*PYTHON, "benchmarks.detection_steps", "growth", str(images)), ROOT)[1])
    inside = printed.pop("steps")
    del timed["steps"]
    minutes = again["each"] * RESAMPLES / 60
    return [
        f"A made-up set of {images:,} images, 80 labels, {inside[0]['objects']:,} objects and "
        f"{inside[0]['detections']:,} detections, their scores with three decimals "
        f"(`benchmarks/detection_set.py`). Medians of {runs} runs. evalkit reads the files, gives "
        "twelve numbers and the AP of every label, all with intervals; each other program reads "
        "the same files, evaluates once and gives twelve numbers.",
        "",
        "| program | processor | clock | largest process | processor, pycocotools = 1 |",
        "|---|---:|---:|---:|---:|",
        *_rows(timed),
        "",
        *(f"Left out: {one}.\n" for one in left_out),
        *_verdict(timed, inside),
        "",
        "Largest difference from pycocotools among the twelve numbers, and AP:",
        "",
        *_parity(printed),
        "",
        f"Repeating only pycocotools' accumulation costs {again['each']:.1f} s of processor time "
        f"per resample, measured on {REPEATED}; extrapolated, {RESAMPLES:,} resamples take "
        f"{minutes:.0f} minutes, {60 * minutes / _median(inside, 'resamples'):,.0f} times "
        "evalkit's.",
        "",
        f"Where evalkit's processor time goes, {RESAMPLES:,} resamples on one thread:",
        "",
        "| step | processor |",
        "|---|---:|",
        *(f"| {step} | {_median(inside, step):.2f} s |" for step in inside[0]["seconds"]),
        "",
        "How it grows; an exponent is the slope of log seconds over the log of what varies:",
        "",
        "| varied | from – to | matching | ordering | resamples |",
        "|---|---:|---:|---:|---:|",
        *_exponents(grown),
    ]


def _commands(folder: Path) -> tuple[Commands, list[str]]:
    """Label -> command, where {fresh} is a new empty folder; and what cannot run here."""
    files = ("results.json", "--refs", "instances.json")
    score = (*PYTHON, "evalkit", "score", *files, "--quiet", "--json")
    warm = ("env", f"NUMBA_CACHE_DIR={folder / 'numba'}")
    resamples = ("--resamples", str(RESAMPLES))
    nothing = ("--no-cache", "--no-save")
    written = ("EVALKIT_CACHE={fresh}/tables", *score, *resamples, "--out", "{fresh}/results")
    cold = ("env", "NUMBA_CACHE_DIR={fresh}", *score, *resamples, *nothing)
    place = str(folder)
    commands: Commands = {
        BASE: (*PYTHON, "benchmarks.detection_peers", BASE, place),
        WHOLE: (*warm, *score, *resamples, *nothing),
        "the same on one thread": (*warm, *score, *resamples, *nothing, "--threads", "1"),
        "the same, result and cache written": (*warm, *written),
        "the same, numba must compile": cold,
        POINT: (*warm, *score, *nothing, "--interval", "none"),
        "steps": (*warm, *PYTHON, "benchmarks.detection_steps", "steps", place),
    }
    peers = os.environ.get("EVALKIT_BENCHMARK_PEERS", sys.executable)
    left_out = [TORCHMETRICS]
    for program in [one for one in MODULES if one != BASE]:
        test = (peers, "-c", f"import {MODULES[program][0]}")
        if subprocess.run(test, capture_output=True).returncode == 0:
            commands[program] = (peers, "-m", "benchmarks.detection_peers", program, place)
        else:
            left_out.append(f"{program}, which is not installed here")
    return commands, left_out


def _take_turns(
    commands: Commands, runs: int, folder: Path
) -> tuple[dict[str, list[Timed]], dict[str, list[Any]]]:
    """Of every label, as many as runs."""
    timed: dict[str, list[Timed]] = {label: [] for label in commands}
    found: dict[str, list[Any]] = {label: [] for label in commands}
    run(commands[WHOLE], folder)  # numba compiles into its folder
    for _ in range(runs):
        for label, command in commands.items():
            with tempfile.TemporaryDirectory() as fresh:
                placed = [word.replace("{fresh}", fresh) for word in command]
                one, printed = run(placed, folder)
            timed[label].append(one)
            found[label].append(json.loads(printed))
    return timed, found


def _rows(timed: Mapping[str, Sequence[Timed]]) -> Iterator[str]:
    for label, found in timed.items():
        cpu, wall, memory = (
            statistics.median(getattr(one, name) for one in found)
            for name in ("cpu", "wall", "memory")
        )
        share = _ratio(found, timed[BASE])
        yield f"| {label} | {cpu:.2f} s | {wall:.2f} s | {memory:.0f} MiB | {share:.3f} |"


def _ratio(found: Sequence[Timed], base: Sequence[Timed], what: str = "cpu") -> float:
    pairs = zip(found, base, strict=True)
    return float(statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs))


def _median(inside: Sequence[dict[str, Any]], step: str) -> float:
    return float(statistics.median(one["seconds"][step] for one in inside))


def _verdict(timed: Mapping[str, Sequence[Timed]], inside: Sequence[dict[str, Any]]) -> list[str]:
    whole, base = timed[WHOLE], timed[BASE]
    lines = [
        f"The whole command takes a {1 / _ratio(whole, base):.1f}th of the processor time of one "
        f"evaluation by pycocotools and {_ratio(whole, base, 'memory'):.0%} of its memory. The "
        f"{RESAMPLES:,} resamples alone take {_median(inside, 'resamples'):.2f} s."
    ]
    if FAST in timed:
        without, with_them = (_ratio(timed[one], timed[FAST]) for one in (POINT, WHOLE))
        lines += [
            "",
            f"hotcoco's evaluation is faster: evalkit takes {without:.1f} times its processor time "
            f"without intervals, and {with_them:.1f} times with 1,000 resamples.",
        ]
    return lines


def _parity(printed: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    base = np.array(_twelve(printed[BASE][0]))
    for label, found in printed.items():
        own = _twelve(found[0])
        yield f"- {label}: {np.abs(own - base).max():.1e}, {own[0]!r}"


def _twelve(printed: dict[str, Any]) -> list[float]:
    if "values" in printed:
        return [float(one) for one in printed["values"]]
    scores = {one["output"]: one["value"] for one in printed["results"][0]["scores"]}
    return [float(scores[name]) for name in NAMES]


def _exponents(grown: Mapping[str, Sequence[dict[str, float]]]) -> Iterator[str]:
    for varied, points in grown.items():
        sizes = [one["size"] for one in points]
        cells = ["–"] * len(GROWN)
        for column, step in enumerate(GROWN):
            if step in points[0]:
                logs = np.log([one[step] for one in points])
                cells[column] = f"{np.polyfit(np.log(sizes), logs, 1)[0]:+.2f}"
        yield f"| {varied} | {sizes[0]:,} – {sizes[-1]:,} | {' | '.join(cells)} |"
