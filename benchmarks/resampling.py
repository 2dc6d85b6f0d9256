"""Resampling bleu and chrf together, 1,000 times, one thread: evalkit beside sacrebleu.

`python -m benchmarks.resampling COUNT numpy|numba|auto` prints one JSON object; benchmarks.report
runs it. Both start from their counts; evalkit's time includes drawing the weights.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import _bootstrap_resample

from benchmarks.corpus import segments
from evalkit import catalogue
from evalkit.metric import Metric
from evalkit.records.example import Example, System
from evalkit.stats import kernels
from evalkit.stats.intervals import Situation, interval, wants_errors
from evalkit.stats.resampling import resample
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Table
from evalkit.tables.build import Builder

RESAMPLES = 1000


def ours(metrics: list[Metric], tables: list[Table], method: str) -> dict[str, Any]:
    started = time.perf_counter()
    scorers = [metric.scorer(table) for metric, table in zip(metrics, tables, strict=True)]
    draws = PoissonDraws(unit_keys(tables[0].ids, 12345, "benchmark"))
    errors = [wants_errors(method, metric.interval) for metric in metrics]
    found = resample(scorers, errors, draws, RESAMPLES, threads=1)
    records = [
        interval(
            Situation(scorer, one, 0, draws.units, clustered=False),
            method,
            declared=metric.interval,
            level=0.95,
            scale=metric.outputs[0].scale,
        )
        for metric, scorer, one in zip(metrics, scorers, found, strict=True)
    ]
    seconds = time.perf_counter() - started
    half = [(record["high"] - record["low"]) / 2 for record in records]
    return {"seconds": seconds, "half_widths": half}


def theirs(peers: list[Any], counts: list[Any]) -> dict[str, Any]:
    started = time.perf_counter()
    half = []
    for peer, stats in zip(peers, counts, strict=True):
        score = peer._aggregate_and_compute(stats)
        score.estimate_ci(_bootstrap_resample(stats, peer, RESAMPLES)[1])
        half.append(float(score._ci))
    return {"seconds": time.perf_counter() - started, "half_widths": half}


def main(count: int, weights: str) -> dict[str, Any]:
    """weights: drawn by "numpy"; by "numba", loaded before the clock starts; or as a user's are."""
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)
    if weights == "numpy":
        kernels.WORTHWHILE = sys.maxsize
    elif weights == "numba":
        kernels.WORTHWHILE = 0
        assert kernels.poisson(1) is not None, "numba is not installed"
        PoissonDraws(unit_keys([b"1"], 1, "warm")).block(0, 64)
    _, predictions, references = segments(count)
    examples = [
        Example(f"{i:06d}", prediction, (reference,))
        for i, (prediction, reference) in enumerate(zip(predictions, references, strict=True))
    ]
    metrics = [catalogue.metric(name) for name in ("bleu", "chrf")]
    tables = []
    for metric in metrics:
        fitted = metric.fit([example.references for example in examples])
        tables.append(Builder().table(metric, System("x", examples), fitted, "benchmark"))
    counts = [np.asarray(table.rows).astype(int).tolist() for table in tables]
    return {
        "percentile": ours(metrics, tables, "percentile"),
        "auto": ours(metrics, tables, "auto"),
        "sacrebleu": theirs([BLEU(force=True), CHRF()], counts),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), sys.argv[2])))
