"""Approximate randomisation of bleu, chrf and ter from their counts: evalkit beside sacrebleu.

`python -m benchmarks.comparing evalkit|sacrebleu SEGMENTS SWAPS THREADS` prints one JSON object;
benchmarks.report runs it.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.timing import ROOT, Timed, run
from evalkit import catalogue
from evalkit.stats.randomisation import randomisation
from evalkit.stats.units import Units
from evalkit.table import Array, Header, Table

SEED = 12345
SEGMENTS, SWAPS, THREADS = 100_000, 10_000, 2
BESIDE = 5_000  # segments; sacrebleu holds two masks of swaps x segments
STEPS = (8, 4, 2, 1)
CHARACTERS = 6  # chrF's orders
EFFECT = 1.0005  # so that p is neither 0 nor 1
PYTHON = (sys.executable, "-m")


def section(runs: int) -> list[str]:
    """Lines of the page."""
    full = [_once("evalkit", SEGMENTS, SWAPS, THREADS) for _ in range(runs)]
    pairs = [
        (_once("evalkit", BESIDE, SWAPS, 1), _once("sacrebleu", BESIDE, SWAPS, 1))
        for _ in range(runs)
    ]
    ours, theirs = zip(*pairs, strict=True)
    with tempfile.TemporaryDirectory() as folder:
        run((*PYTHON, "benchmarks.comparing_stored", folder, str(SEGMENTS)), ROOT)
        systems = [f"{folder}/set/{name}" for name in "ab"]
        whole = [
            run((*PYTHON, "evalkit", "compare", *systems, "--json"), ROOT)[0] for _ in range(runs)
        ]
    return [
        "Made-up counts of two systems. From the stored rows to the p-values of bleu, chrf and ter "
        f"under {SWAPS:,} swaps of segments; medians of {runs} runs; a process's clock and memory "
        "include loading Python and making up the counts.",
        "",
        "| segments | program | threads | bleu, chrf, ter | processor | clock | largest process |",
        "|---:|---|---:|---:|---:|---:|---:|",
        _row(f"{SEGMENTS:,} | evalkit | {THREADS}", full),
        _row(f"{BESIDE:,} | evalkit | 1", list(ours)),
        _row(f"{BESIDE:,} | sacrebleu `--paired-ar` | 1", list(theirs)),
        "",
        f"The whole of `evalkit compare` on two stored results of {SEGMENTS:,} segments, texts and "
        f"all, with intervals of 2,000 resamples and {SWAPS:,} swaps of all three metrics: "
        f"{_median(whole, 'cpu'):.1f} s of processor time, {_median(whole, 'wall'):.1f} s by the "
        f"clock, {_median(whole, 'memory'):,.0f} MiB.",
        "",
        f"p of the {BESIDE:,}: evalkit {_p(ours[0][1])}, sacrebleu {_p(theirs[0][1])}; they draw "
        "different swaps.",
        "",
        f"How the processor time grows on one thread, with {SWAPS:,} swaps and with "
        f"{SEGMENTS // 4:,} segments; an exponent is the slope of log seconds over the log of what "
        "varies:",
        "",
        "| varied | from – to | seconds | exponent |",
        "|---|---:|---:|---:|",
        _growth("segments", [(SEGMENTS // step, SWAPS) for step in STEPS], 0),
        _growth("swaps", [(SEGMENTS // 4, 8 * SWAPS // step) for step in STEPS], 1),
    ]


def _once(program: str, segments: int, swaps: int, threads: int) -> tuple[Timed, dict[str, Any]]:
    command = (*PYTHON, "benchmarks.comparing", program, str(segments), str(swaps), str(threads))
    timed, printed = run(command, ROOT)
    return timed, json.loads(printed)


def _median(found: Sequence[Timed], field: str) -> float:
    return float(statistics.median(getattr(one, field) for one in found))


def _row(label: str, found: list[tuple[Timed, dict[str, Any]]]) -> str:
    seconds = statistics.median(one["seconds"] for _, one in found)
    wall, cpu, memory = (
        statistics.median(getattr(timed, field) for timed, _ in found)
        for field in ("wall", "cpu", "memory")
    )
    return f"| {label} | {seconds:.1f} s | {cpu:.1f} s | {wall:.1f} s | {memory:.0f} MiB |"


def _p(found: dict[str, Any]) -> str:
    return ", ".join(f"{one:.4f}" for one in found["p"].values())


def _growth(varied: str, sizes: list[tuple[int, int]], which: int) -> str:
    """The least processor time of three tries each."""
    seconds = [min(_once("evalkit", *size, 1)[1]["processor"] for _ in range(3)) for size in sizes]
    points = [size[which] for size in sizes]
    slope = np.polyfit(np.log(points), np.log(seconds), 1)[0]
    least = f"{seconds[0]:.2f} – {seconds[-1]:.2f} s"
    return f"| {varied} | {points[0]:,} – {points[-1]:,} | {least} | {slope:.2f} |"


def counts(segments: int) -> dict[str, tuple[Array, Array]]:
    """By metric, the rows of both systems; references and difficulty are shared."""
    generator = np.random.default_rng(SEED)
    reference = 4 + generator.negative_binomial(3, 3 / 21, segments)
    quality = generator.beta(6, 3, segments)
    first, second = (
        _system(generator, reference, np.minimum(quality * factor, 1)) for factor in (1, EFFECT)
    )
    return {name: (first[name], second[name]) for name in first}


def _system(generator: np.random.Generator, reference: Array, quality: Array) -> dict[str, Array]:
    length = generator.poisson(0.95 * reference)
    total = np.maximum(length[:, None] - np.arange(4), 0)
    correct = generator.binomial(total, quality[:, None] ** (1 + np.arange(4)))
    orders = np.arange(CHARACTERS)
    written = np.maximum(5 * length[:, None] - orders, 0)
    wanted = np.maximum(5 * reference[:, None] - orders, 0)
    matching = generator.binomial(np.minimum(written, wanted), quality[:, None] ** (1 + orders / 5))
    edits = generator.binomial(reference, 1 - quality)
    return {
        "bleu": np.column_stack([length, reference, correct, total]),
        "chrf": np.stack([written, wanted, matching], axis=2).reshape(len(reference), -1),
        "ter": np.column_stack([edits, reference]),
    }


def ours(rows: dict[str, tuple[Array, Array]], swaps: int, threads: int) -> dict[str, float]:
    """p by metric."""
    found = {}
    for name, both in rows.items():
        metric = catalogue.metric(name)
        header = Header(metric.name, metric.parameters, "", (name,), "", "benchmark")
        ids = tuple(f"{i:07d}".encode() for i in range(len(both[0])))
        owner = np.arange(len(ids))
        first, second = (Table(header, ids, owner, one.astype(np.uint16)) for one in both)
        tested = randomisation(metric, first, second, Units(ids), swaps=swaps, threads=threads)
        found[name] = float(tested.p[0])
    return found


def theirs(rows: dict[str, tuple[Array, Array]], swaps: int) -> dict[str, float]:
    """p by metric; sacrebleu is handed the counts that it would extract."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER
    from sacrebleu.significance import Result, _paired_ar_test

    found = {}
    for name, peer in (("bleu", BLEU(force=True)), ("chrf", CHRF()), ("ter", TER())):
        first, second = (one.tolist() for one in rows[name])
        peer._extract_corpus_statistics = lambda *_, counts=second: counts  # type: ignore[method-assign]
        baseline = {name: (first, Result(peer._aggregate_and_compute(first).score))}
        empty = [""] * len(first)
        tested: Any = _paired_ar_test(baseline, "", empty, None, {name: peer}, swaps, seed=SEED)
        found[name] = tested[1][name].p_value
    return found


def main(program: str, segments: int, swaps: int, threads: int) -> dict[str, Any]:
    rows = counts(segments)
    clock, processor = time.perf_counter(), time.process_time()
    p = ours(rows, swaps, threads) if program == "evalkit" else theirs(rows, swaps)
    return {
        "p": p,
        "seconds": time.perf_counter() - clock,
        "processor": time.process_time() - processor,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:]))))
