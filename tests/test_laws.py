"""What holds for every metric in the catalogue; no metric is named here."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit import catalogue
from evalkit.errors import MetricError, UnavailableError
from evalkit.metric import Metric, SumMetric
from evalkit.records.example import System
from evalkit.stats.intervals import NoIntervalError
from evalkit.stats.paired import paired_difference
from evalkit.table import Table, concat
from evalkit.tables.build import Builder
from evalkit.tables.pool import Pool
from tests.corpora import boxes_system, labels_system, text_system
from tests.specs import TOLERANCE, spec

NAMES = sorted(catalogue.entries("metrics"))
CORPORA: dict[str, Callable[..., System]] = {
    "text": text_system,
    "labels": labels_system,
    "boxes": boxes_system,
}
COUNT = 24


@pytest.fixture(scope="module", params=NAMES)
def metric(request: pytest.FixtureRequest) -> Metric:
    return catalogue.metric(spec(request.param))


@pytest.fixture(scope="module")
def system(metric: Metric) -> System:
    return CORPORA[metric.reads](COUNT, seed=1)


@pytest.fixture(scope="module")
def table(metric: Metric, system: System) -> Table:
    try:
        return build(metric, system)
    except UnavailableError as error:
        pytest.skip(str(error))


def build(metric: Metric, system: System, fitted_on: System | None = None) -> Table:
    source = fitted_on or system
    fitted = metric.fit([example.references for example in source.examples])
    return Builder().table(metric, system, fitted, source.references_digest)


def scores(metric: Metric, table: Table, weights: Any) -> Any:
    return metric.score(metric.prepare(table), np.atleast_2d(np.asarray(weights)))[0]


def close(metric: Metric, one: Any, other: Any) -> bool:
    absolute = TOLERANCE.get(metric.name, 1e-12)
    return bool(np.allclose(one, other, rtol=1e-11, atol=absolute, equal_nan=True))


def same_table(metric: Metric, one: Table, other: Table) -> bool:
    """To the byte, unless the metric's rows depend on their batch."""
    if metric.name not in TOLERANCE:
        return saved(one) == saved(other)
    alike = one.header == other.header and one.ids == other.ids
    return alike and close(metric, one.rows, other.rows)


@given(weights=st.lists(st.integers(0, 4), min_size=COUNT, max_size=COUNT).filter(any))
@settings(max_examples=25, deadline=None)
def test_integer_weights_are_repetition(
    metric: Metric, system: System, table: Table, weights: list[int]
) -> None:
    repeated = [
        replace(example, id=f"{example.id}-{copy}")
        for example, weight in zip(system.examples, weights, strict=True)
        for copy in range(weight)
    ]
    again = build(metric, System("again", repeated), fitted_on=system)
    counts = np.array(weights, np.uint8)
    assert close(
        metric, scores(metric, table, counts), scores(metric, again, np.ones(len(repeated)))
    )


@given(chosen=st.lists(st.booleans(), min_size=COUNT, max_size=COUNT).filter(any))
@settings(max_examples=25, deadline=None)
def test_zero_one_weights_are_a_slice(metric: Metric, table: Table, chosen: list[bool]) -> None:
    mask = np.array(chosen)
    part = table.take(mask)
    assert close(metric, scores(metric, table, mask), scores(metric, part, np.ones(mask.sum())))


@given(cut=st.integers(1, COUNT - 1), swap=st.booleans())
@settings(max_examples=10, deadline=None)
def test_shards_concatenate_in_any_order(
    metric: Metric, system: System, table: Table, cut: int, swap: bool
) -> None:
    shards = [
        build(metric, System("shard", part), fitted_on=system)
        for part in (system.examples[:cut], system.examples[cut:])
    ]
    whole = concat(shards[::-1] if swap else shards)
    assert same_table(metric, whole, table)


def saved(table: Table) -> bytes:
    stream = io.BytesIO()
    table.save(stream)
    return stream.getvalue()


def test_tables_survive_a_file(table: Table) -> None:
    again = Table.load(io.BytesIO(saved(table)))
    assert again.header == table.header
    assert again.ids == table.ids
    assert again.rows.dtype == table.rows.dtype
    assert saved(again) == saved(table)


def test_other_references_refuse_to_mix(metric: Metric, table: Table) -> None:
    other = build(metric, CORPORA[metric.reads](COUNT, seed=2))
    with pytest.raises(MetricError, match="differ in their"):
        concat([table, other])
    with pytest.raises(MetricError, match="differ in their"):
        paired_difference(metric, table, other)


def test_order_of_input_is_irrelevant(metric: Metric, system: System, table: Table) -> None:
    """Table.of sorts whatever order the blocks come in."""
    order = np.random.default_rng(0).permutation(COUNT)
    blocks = [table.rows[table.owner == i] for i in order]
    shuffled = Table.of(table.header, [table.ids[i] for i in order], blocks)
    assert saved(shuffled) == saved(table)


def test_three_times_the_weights_is_the_same_value(metric: Metric, table: Table) -> None:
    weights = np.random.default_rng(3).poisson(1.0, COUNT).astype(np.uint8) + 1
    same = close(metric, scores(metric, table, weights), scores(metric, table, 3 * weights))
    assert same or not metric.scale_free


def test_values_keep_their_scale(metric: Metric, system: System, table: Table) -> None:
    weights = np.random.default_rng(4).poisson(1.0, (64, COUNT)).astype(np.uint8)
    values = metric.score(metric.prepare(table), weights)
    outputs = metric.output_list(metric.fit([example.references for example in system.examples]))
    assert values.shape == (64, len(outputs))
    for column, output in zip(values.T, outputs, strict=True):
        low, high = output.scale
        defined = column[~np.isnan(column)]
        assert low is None or (defined >= low - 1e-9).all()
        assert high is None or (defined <= high + 1e-9).all()


def test_rows_are_finite(table: Table) -> None:
    assert np.isfinite(table.rows).all()
    assert len(table.owner) == len(table.rows)


def test_gradient_is_the_infinitesimal_jackknife(metric: Metric, table: Table) -> None:
    """The slope of the value in each example's weight, by central differences of the weights."""
    if not isinstance(metric, SumMetric):
        assert metric.scorer(table).influence() is None
        return
    scorer = metric.scorer(table)
    step = 1e-5
    moved = [
        scorer.measure(np.ones((COUNT, COUNT)) + way * step * np.eye(COUNT), errors=False)[0]
        for way in (1, -1)
    ]
    slopes = (moved[0] - moved[1]) / (2 * step)
    influence = scorer.influence()
    assert influence is not None
    assert np.allclose(influence, slopes, rtol=1e-5, atol=1e-7)


def test_spread_is_the_norm_of_the_influence(metric: Metric, table: Table) -> None:
    if not isinstance(metric, SumMetric):
        return
    scorer = metric.scorer(table)
    _, errors = scorer.measure(np.ones((1, COUNT), np.uint8), errors=True)
    influence = scorer.influence()
    assert influence is not None
    norm = np.sqrt((influence**2).sum(axis=0))
    assert np.allclose(errors[0], norm, rtol=1e-9)


def test_clusters_of_one_are_examples(metric: Metric, table: Table) -> None:
    weights = np.random.default_rng(5).poisson(1.0, (64, COUNT)).astype(np.uint8)
    alone = metric.scorer(table).measure(weights, errors=True)
    clustered = metric.scorer(table, np.arange(COUNT)).measure(weights, errors=True)
    for one, other in zip(alone, clustered, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


def test_a_cluster_counts_as_its_examples(metric: Metric, table: Table) -> None:
    unit_of = np.arange(COUNT) // 3
    weights = np.random.default_rng(6).poisson(1.0, (64, COUNT // 3)).astype(np.uint8)
    by_cluster, _ = metric.scorer(table, unit_of).measure(weights, errors=False)
    by_example, _ = metric.scorer(table).measure(weights[:, unit_of], errors=False)
    assert close(metric, by_cluster, by_example)


def test_against_itself_there_is_no_difference(metric: Metric, table: Table) -> None:
    with pytest.raises(NoIntervalError, match="agree"):
        paired_difference(metric, table, table)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2) as made:
        yield made


def test_a_spawned_worker_makes_the_same_rows(
    metric: Metric, system: System, table: Table, pool: Pool
) -> None:
    fitted = metric.fit([example.references for example in system.examples])
    builder = Builder(pool=pool, eager=True)
    again = builder.table(metric, system, fitted, system.references_digest)
    assert same_table(metric, again, table)


def test_parameters_make_the_label_and_come_back_from_it(metric: Metric) -> None:
    if spec(metric.name) == metric.name:
        assert metric.label == metric.name
    assert catalogue.metric(metric.label) == metric


def test_a_metric_file_imports_nothing_heavy(metric: Metric, root: Path) -> None:
    heavy = "torch transformers pandas numba jpype matplotlib"
    probe = (
        f"import sys, importlib; importlib.import_module('evalkit.metrics.{metric.name}');"
        f"print(*(one for one in {heavy.split()!r} if one in sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == ""


def test_every_metric_says_where_it_is_defined(metric: Metric) -> None:
    assert len(metric.reference) > 10
    assert metric.outputs
    assert type(metric).__doc__
