"""The keyed Poisson weights against their definition, their distribution and each other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evalkit.metric import MeanMetric
from evalkit.stats import kernels
from evalkit.stats.resampling import resample
from evalkit.stats.weights import TABLE, MultinomialDraws, PoissonDraws, unit_keys
from evalkit.table import Header, Table
from tests.statistics.simulation import Mean

WORD = 2**64
Source = Callable[[int], PoissonDraws]


def names(count: int) -> tuple[bytes, ...]:
    return tuple(f"segment-{i}".encode() for i in range(count))


def draws(count: int, seed: int = 12345, references: str = "references") -> PoissonDraws:
    return PoissonDraws(unit_keys(names(count), seed, references))


def close_keys(count: int) -> PoissonDraws:
    """Keys without any hash: neighbouring numbers, the hardest that the mixer can meet."""
    return PoissonDraws(np.arange(count, dtype=np.uint64))


def weight(unit: bytes, number: int, seed: int, references: str) -> int:
    """The definition, in whole numbers of Python: SplitMix64 of key and counter, then inversion."""
    salt = hashlib.blake2b(f"{seed}\0{references}".encode(), digest_size=16).digest()
    key = int.from_bytes(hashlib.blake2b(unit, digest_size=8, key=salt).digest(), "little")
    word = mixed(key + mixed((number // 4 + 1) * 0x9E3779B97F4A7C15))
    return int(TABLE[word >> 16 * (number % 4) & 0xFFFF])


def mixed(word: int) -> int:
    word %= WORD
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB % WORD
    return word ^ word >> 31


def test_table_has_mean_and_variance_one() -> None:
    counts = np.bincount(TABLE)
    sizes = np.arange(len(counts))
    assert counts.sum() == 2**16
    assert (sizes * counts).sum() == 2**16
    assert (sizes**2 * counts).sum() == 2 * 2**16
    assert (np.diff(TABLE.astype(int)) >= 0).all()


def test_table_is_poisson() -> None:
    shares = np.bincount(TABLE) / 2**16
    expected = stats.poisson.pmf(np.arange(len(shares)), 1)
    beyond = stats.poisson.sf(len(shares) - 1, 1)
    assert (np.abs(shares - expected).sum() + beyond) / 2 < 4e-5


def test_weights_are_as_defined() -> None:
    found = draws(5, seed=7, references="abc").block(128, 64)
    assert found.dtype == np.uint8
    assert found.tolist() == [
        [weight(unit, number, 7, "abc") for unit in names(5)] for number in range(128, 192)
    ]


@pytest.mark.parametrize("source", [draws, close_keys])
def test_weights_are_poisson(source: Source) -> None:
    drawn = source(2000).block(0, 2048)
    seen = np.bincount(drawn.ravel(), minlength=8)
    seen = np.append(seen[:7], seen[7:].sum())
    expected = stats.poisson.pmf(np.arange(7), 1)
    expected = np.append(expected, 1 - expected.sum()) * drawn.size
    assert stats.chisquare(seen, expected).pvalue > 0.001
    for axis in (0, 1):  # sums over units and over resamples: as dispersed as independent draws
        sums = drawn.sum(axis=axis, dtype=np.int64)
        length = drawn.shape[axis]
        dispersion = ((sums - length) ** 2).sum() / length
        assert 0.0005 < stats.chi2.cdf(dispersion, len(sums)) < 0.9995


@pytest.mark.parametrize("source", [draws, close_keys])
@pytest.mark.parametrize("between", ["units", "resamples"])
def test_weights_are_independent(source: Source, between: str) -> None:
    drawn = source(256).block(0, 8192) if between == "units" else source(8192).block(0, 256).T
    correlations = np.corrcoef(drawn, rowvar=False)[np.triu_indices(256, 1)]
    scaled = correlations * math.sqrt(len(drawn))  # standard normal where independent
    largest = stats.norm.isf(0.001 / 2 / len(scaled))
    assert np.abs(scaled).max() < largest
    assert 0.0005 < stats.chi2.cdf((scaled**2).sum(), len(scaled)) < 0.9995


def test_compiled_and_numpy_weights_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="the compiled kernel needs numba")
    source = draws(1000)
    monkeypatch.setattr(kernels, "poisson", lambda weights=None: None)
    plain = source.block(640, 256)
    monkeypatch.undo()
    monkeypatch.setattr(kernels, "WORTHWHILE", 0)
    assert kernels.poisson(1) is not None
    compiled = source.block(640, 256)
    kernels._poisson.cache_clear()
    assert compiled.dtype == plain.dtype
    assert compiled.tobytes() == plain.tobytes()


def test_little_work_does_not_load_the_compiler() -> None:
    kernels._poisson.cache_clear()
    assert kernels.poisson(kernels.WORTHWHILE - 1) is None
    assert kernels.poisson() is None


def test_blocks_do_not_matter() -> None:
    source = draws(70)
    whole = source.block(0, 512)
    for size in (64, 128, 256):
        parts = [source.block(first, size) for first in range(0, 512, size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_order_and_company_of_units_do_not_matter() -> None:
    chosen = np.random.default_rng(1).permutation(70)[:40]
    some = tuple(names(70)[i] for i in chosen)
    keys = unit_keys(some, 12345, "references")
    expected = draws(70).block(64, 128)[:, chosen]
    assert np.array_equal(PoissonDraws(keys).block(64, 128), expected)
    assert np.array_equal(draws(70).take(chosen).block(64, 128), expected)


@pytest.mark.parametrize(("seed", "references"), [(12346, "references"), (12345, "others")])
def test_other_seeds_and_references_give_unrelated_weights(seed: int, references: str) -> None:
    ours, theirs = draws(500).block(0, 1024), draws(500, seed, references).block(0, 1024)
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    assert abs(correlation) * math.sqrt(ours.size) < 3.5


def test_seed_and_references_are_kept_apart() -> None:
    assert not np.array_equal(unit_keys(names(3), 1, "2x"), unit_keys(names(3), 12, "x"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("block", [64, 192, 1024])
def test_resamples_do_not_depend_on_blocks_and_threads(block: int, threads: int) -> None:
    metric, source = Mean(), draws(700)
    values = np.random.default_rng(2).lognormal(size=700)
    rows = [np.array([[value, 1.0]]) for value in values]
    table = Table.of(Header("mean", {}, "", ("mean",), "", "references"), names(700), rows)
    scorer = metric.scorer(table)
    expected = resample([scorer], [True], source, 1000)[0]
    found = resample([scorer], [True], source, 1000, block=block, threads=threads)[0]
    assert found.values.shape == (1000, 1)
    assert found.values.tobytes() == expected.values.tobytes()
    assert found.errors.tobytes() == expected.errors.tobytes()


def sacrebleu_counts(units: int, resamples: int) -> NDArray[np.int64]:
    """Counts [resamples, units] of sacrebleu 2.6.0, significance.py, _bootstrap_resample."""
    chosen = np.random.default_rng(12345).choice(units, size=(resamples, units), replace=True)
    return np.array([np.bincount(row, minlength=units) for row in chosen])


@pytest.mark.parametrize("units", [1, 37, 256])
def test_multinomial_counts_are_those_of_sacrebleu(units: int) -> None:
    expected = sacrebleu_counts(units, 1024)
    source = MultinomialDraws(units, 12345)
    for size in (64, 1024, 256):
        drawn = [source.block(first, size) for first in range(0, 1024, size)]
        assert np.array_equal(np.concatenate(drawn), expected)


def test_multinomial_slices_are_drawn_anew() -> None:
    taken = MultinomialDraws(100, 12345).take(np.arange(10, 47))
    assert np.array_equal(taken.block(0, 64), sacrebleu_counts(37, 64))


def test_multinomial_resamples_do_not_depend_on_threads() -> None:
    metric: MeanMetric = Mean()
    rows = [np.array([[value, 1.0]]) for value in range(37)]
    table = Table.of(Header("mean", {}, "", ("mean",), "", "references"), names(37), rows)
    found = [
        resample([metric.scorer(table)], [False], MultinomialDraws(37, 12345), 500, threads=threads)
        for threads in (1, 2)
    ]
    values = np.array([float(name.split(b"-")[1]) for name in table.ids])
    expected = sacrebleu_counts(37, 500) @ values / 37
    for one in found:
        assert one[0].values[:, 0] == pytest.approx(expected, rel=1e-14)
