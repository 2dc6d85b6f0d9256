"""The same bytes whatever the order of input, block size, processes and threads; pairing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalkit
from evalkit import catalogue
from evalkit.metric import Metric
from evalkit.stats.paired import paired_difference
from evalkit.stats.resampling import resample
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Table
from tests.conftest import ROOT
from tests.corpora import text_system
from tests.means import Mean, mean_table

FLOATS = '''
"""Rows of twenty irrational numbers, so that every order of addition shows."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evalkit.metric import Output, SumMetric


@dataclass(frozen=True)
class Floats(SumMetric):
    outputs: ClassVar = (Output("floats", (None, None)), Output("logs", (None, None)))
    reads: ClassVar = "text"
    reference: ClassVar = "made up for a test"

    def rows(self, examples, fitted):
        for example in examples:
            seed = sum(map(ord, example.id + example.prediction))
            yield [math.sqrt(seed + k) * 10.0 ** (k % 7 - 3) for k in range(20)]

    def from_sums(self, sums, scoring):
        ratio = sums[:, :10].sum(axis=1) / sums[:, 10:].sum(axis=1)
        logs = np.log(sums[:, 1]) - np.log(sums[:, 2])
        return np.stack([ratio, np.exp(logs)], axis=1)
'''


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metric") / "floats.py"
    path.write_text(FLOATS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def float_table(floats: Path) -> tuple[Metric, Table]:
    metric = catalogue.metric(str(floats))
    system = text_system(1300, 4)
    rows = list(metric.rows(system.examples, metric.fit([])))
    table = Table.of(
        metric.header(metric.fit([]), "set"), system.ids, [np.atleast_2d(row) for row in rows]
    )
    return metric, table


@given(panels=st.integers(1, 20), threads=st.integers(1, 3))
@settings(max_examples=12, deadline=None)
def test_block_size_and_threads_change_no_byte(
    float_table: tuple[Metric, Table], panels: int, threads: int
) -> None:
    metric, table = float_table
    draws = PoissonDraws(unit_keys(table.ids, 1, "set"))
    scorer = metric.scorer(table)
    first = resample([scorer], [True], draws, 640, block=64)[0]
    again = resample([scorer], [True], draws, 640, block=64 * panels, threads=threads)[0]
    for one, other in zip(vars(first).values(), vars(again).values(), strict=True):
        assert one.tobytes() == other.tobytes()


@given(count=st.integers(1, 130), at=st.integers(0, 129))
@settings(max_examples=30, deadline=None)
def test_a_row_of_weights_alone_is_a_row_among_many(
    float_table: tuple[Metric, Table], count: int, at: int
) -> None:
    """BLAS takes another path for one row than for many: fixed panels do not."""
    metric, table = float_table
    scorer = metric.scorer(table)
    weights = PoissonDraws(unit_keys(table.ids, 1, "set")).block(0, 192)
    many = scorer.measure(weights, errors=True)
    for part in (slice(0, count), slice(at, at + 1)):
        few = scorer.measure(weights[part], errors=True)
        for one, other in zip(few, many, strict=True):
            assert one.tobytes() == other[part].tobytes()


def test_fewer_resamples_are_the_first_of_more(float_table: tuple[Metric, Table]) -> None:
    metric, table = float_table
    draws = PoissonDraws(unit_keys(table.ids, 1, "set"))
    scorer = metric.scorer(table)
    few, many = (resample([scorer], [True], draws, count)[0] for count in (100, 1000))
    assert few.values.tobytes() == many.values[:100].tobytes()


def write(folder: Path, order: list[int]) -> None:
    system = text_system(300, 4)
    for name in ("preds", "refs"):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as stream:
            for i in order:
                one = system.examples[i]
                record: dict[str, object] = {
                    "id": one.id,
                    "doc": f"d{i // 5}",
                    "domain": "ab"[i % 2],
                }
                record |= (
                    {"prediction": one.prediction}
                    if name == "preds"
                    else {"references": one.references}
                )
                stream.write(json.dumps(record) + "\n")


def result_bytes(folder: Path, floats: Path, *more: str, **environment: str) -> bytes:
    command = [
        *(sys.executable, "-m", "evalkit", "score", "preds.jsonl", "--refs", "refs.jsonl"),
        *("-m", "bleu", "-m", "chrf", "-m", str(floats), "--slice", "domain", "--set", "s"),
        *("--no-cache", "--quiet", "--resamples", "640", *more),
    ]
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=True,
        capture_output=True,
    )
    return (folder / "results" / "s" / "preds" / "result.json").read_bytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, floats: Path) -> bytes:
    folder = tmp_path_factory.mktemp("expected")
    write(folder, list(range(300)))
    return result_bytes(folder, floats, "--workers", "1", "--threads", "1", OMP_NUM_THREADS="1")


@pytest.mark.parametrize(
    ("flags", "threads"),
    [
        (("--workers", "1", "--threads", "1"), "2"),
        (("--workers", "2", "--threads", "2"), "2"),
        (("--workers", "3", "--threads", "4"), "4"),
    ],
)
def test_processes_and_threads_change_no_byte(
    tmp_path: Path, floats: Path, expected: bytes, flags: tuple[str, ...], threads: str
) -> None:
    write(tmp_path, list(range(300)))
    found = result_bytes(
        tmp_path, floats, *flags, OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads
    )
    assert found == expected


@pytest.mark.parametrize("seed", range(3))
def test_order_of_lines_changes_no_byte(
    tmp_path: Path, floats: Path, expected: bytes, seed: int
) -> None:
    write(tmp_path, np.random.default_rng(seed).permutation(300).tolist())
    assert result_bytes(tmp_path, floats) == expected


def test_systems_scored_apart_pair_as_when_scored_together(tmp_path: Path) -> None:
    """Two runs, kept and loaded again, give the bytes of one run with both systems."""
    from evalkit.verbs.score_files import ScoreRequest, score_files

    one, other = text_system(200, 4), text_system(200, 5)
    for name, system in (("a", one), ("b", other)):
        with (tmp_path / f"{name}.jsonl").open("w") as stream:
            for example, same in zip(system.examples, one.examples, strict=True):
                record = {"id": same.id, "prediction": example.prediction}
                stream.write(json.dumps(record | {"references": same.references}) + "\n")
    paths = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    together = score_files(ScoreRequest(tuple(paths), metrics=("bleu", "ter"))).results
    apart = []
    for path in paths:
        run = score_files(ScoreRequest((path,), metrics=("bleu", "ter"), out=tmp_path / "kept"))
        apart.append(evalkit.load(run.folders[0]))
    for label in ("bleu", "ter"):
        metric = catalogue.metric(label)
        here, there = (
            paired_difference(metric, pair[0].tables[label], pair[1].tables[label])
            for pair in (together, apart)
        )
        assert here == there
        assert here["interval"]["low"] < here["value"] < here["interval"]["high"]
        alone = [result.value(label) for result in together]
        assert here["value"] == pytest.approx(alone[1] - alone[0])


def test_a_paired_difference_is_that_of_the_differences() -> None:
    """Of means: the difference scorer must agree with the mean of the differences."""
    generator = np.random.default_rng(0)
    a = generator.normal(size=80)
    b = a + 0.3 + 0.2 * generator.normal(size=80)
    paired = paired_difference(Mean(), mean_table(a), mean_table(b))
    scorer = Mean().scorer(mean_table(b - a))
    draws = PoissonDraws(unit_keys(mean_table(a).ids, 12345, "set"))
    single = resample([scorer], [True], draws, 2000)[0]
    assert paired["value"] == pytest.approx(float(single.point[0]))
    pivots = (single.values[:, 0] - single.point[0]) / single.errors[:, 0]
    low = single.point[0] - np.quantile(pivots, 0.975) * single.point_error[0]
    assert paired["interval"]["low"] == pytest.approx(low)
    assert paired["interval"]["method"] == "bootstrap-t"
