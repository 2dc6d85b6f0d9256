"""p-values against sacrebleu 2.6.0's `--paired-ar` and `--paired-bs`, on systems of WMT23."""

from __future__ import annotations

import gzip
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest

from evalkit import catalogue
from evalkit.records.example import Example, System
from evalkit.stats.paired import DifferenceScorer
from evalkit.stats.randomisation import beyond, pair, randomisation, shifted_bootstrap
from evalkit.stats.resampling import resample
from evalkit.stats.units import Units
from evalkit.stats.weights import MultinomialDraws, PoissonDraws, unit_keys
from evalkit.table import Table
from evalkit.tables.build import Builder

SEED = 12345  # of sacrebleu, unless SACREBLEU_SEED says otherwise
SWAPS, RESAMPLES = 10_000, 1000  # sacrebleu's defaults
STANDARD_ERRORS = 4  # Monte-Carlo allowance
SETS = {
    "en-cs": ("ONLINE-A", "ONLINE-G", "CUNI-GA"),
    "ja-en": ("ONLINE-A", "ONLINE-Y", "GTCOM_Peter"),
}
METRICS = {"bleu": BLEU, "chrf": CHRF, "ter": TER}
COUNT = 500


@dataclass(frozen=True)
class Scored:
    """Tables by metric, the baseline's first, and p by test, metric and system from sacrebleu."""

    tables: Mapping[str, Sequence[Table]]
    theirs: Mapping[str, Mapping[str, Sequence[float]]]

    @property
    def units(self) -> Units:
        return Units(self.tables["bleu"][0].ids)


@dataclass(frozen=True)
class TheirSwaps:
    """The masks of significance._paired_ar_test: where True, a pseudo-system keeps its own."""

    kept: NDArray[np.bool_]

    @property
    def units(self) -> int:
        return self.kept.shape[1]

    def block(self, first: int, count: int) -> NDArray[np.uint8]:
        found = np.zeros((count, self.units), np.uint8)
        some = self.kept[first : first + count]
        found[: len(some)] = some
        return found


@pytest.fixture(scope="module", params=SETS)
def scored(request: pytest.FixtureRequest, data: Path) -> Scored:
    folder = data / "wmt23-general-dasqm" / request.param
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no {folder}")
    references = {one["id"]: one["references"][0] for one in read(folder / "refs/refA.jsonl.gz")}
    ids = sorted(references, key=str.encode)[:COUNT]
    hypotheses = {}
    for name in SETS[request.param]:
        found = {one["id"]: one["prediction"] for one in read(folder / f"preds/{name}.jsonl.gz")}
        hypotheses[name] = [found[id] for id in ids]
    texts = [references[id] for id in ids]
    return Scored(
        {name: tables(name, ids, hypotheses, texts) for name in METRICS},
        {test: sacrebleus(test, hypotheses, texts) for test in ("ar", "bs")},
    )


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def tables(
    name: str, ids: list[str], hypotheses: Mapping[str, list[str]], references: list[str]
) -> list[Table]:
    metric = catalogue.metric(name)
    fitted = metric.fit([(one,) for one in references])
    found = []
    for system, texts in hypotheses.items():
        pairs = zip(ids, texts, references, strict=True)
        examples = [Example(id, text, (reference,)) for id, text, reference in pairs]
        whole = System(system, examples)
        found.append(Builder().table(metric, whole, fitted, whole.references_digest))
    return found


def sacrebleus(
    test: str, hypotheses: Mapping[str, list[str]], references: list[str]
) -> dict[str, list[float]]:
    """p by metric, of each system but the baseline."""
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)
    counters = {name: metric(references=[references]) for name, metric in METRICS.items()}
    systems: list[tuple[str, Sequence[str]]] = list(hypotheses.items())
    scores: dict[str, Any] = PairedTest(systems, counters, None, test_type=test)()[1]
    del scores["System"]
    return {
        name: [result.p_value for result in results[1:]]
        for name, results in zip(METRICS, scores.values(), strict=True)
    }


def close(ours: float, theirs: float, draws: tuple[int, int]) -> bool:
    """Two shares of independent draws, within Monte-Carlo error."""
    share = (ours + theirs) / 2
    error = math.sqrt(share * (1 - share) * sum(1 / count for count in draws))
    return abs(ours - theirs) <= STANDARD_ERRORS * error + 2 / min(draws)


@pytest.mark.parametrize("name", METRICS)
def test_randomisation_agrees_within_monte_carlo_error(name: str, scored: Scored) -> None:
    baseline, *systems = scored.tables[name]
    for system, theirs in zip(systems, scored.theirs["ar"][name], strict=True):
        found = randomisation(catalogue.metric(name), baseline, system, scored.units, swaps=SWAPS)
        assert close(found.p[0], theirs, (SWAPS, SWAPS)), (found.p[0], theirs)


@pytest.mark.parametrize("name", METRICS)
def test_randomisation_under_sacrebleus_own_swaps_is_equal(name: str, scored: Scored) -> None:
    """But for ties, which sacrebleu leaves out: of TER, a number of edits, there are some."""
    baseline, *systems = scored.tables[name]
    drawn = np.random.default_rng(SEED).integers(2, size=(SWAPS, len(baseline.ids)), dtype=bool)
    for system, theirs in zip(systems, scored.theirs["ar"][name], strict=True):
        both = pair(catalogue.metric(name), baseline, system, scored.units)
        (seen,), (reached,) = beyond(both, TheirSwaps(drawn), SWAPS)
        ours, others = both.measure(drawn.astype(np.uint8))
        ties = int(np.isclose(np.abs(ours - others), abs(seen), rtol=1e-9, atol=0).sum())
        assert (reached - ties + 1) / (SWAPS + 1) == pytest.approx(theirs, abs=1e-12)
        assert ties < 0.02 * SWAPS


@pytest.mark.parametrize("name", METRICS)
def test_shifted_bootstrap_agrees_within_monte_carlo_error(name: str, scored: Scored) -> None:
    """Poisson weights here, indices there; they draw the same spread at this size."""
    baseline, *systems = scored.tables[name]
    metric, count = catalogue.metric(name), 10_000
    keys = unit_keys(baseline.ids, SEED, baseline.header.references)
    for system, theirs in zip(systems, scored.theirs["bs"][name], strict=True):
        scorer = DifferenceScorer(metric.scorer(baseline), metric.scorer(system))
        found = resample([scorer], [False], PoissonDraws(keys), count)[0]
        p = shifted_bootstrap(found.values, found.point)[0]
        assert close(p, theirs, (count, RESAMPLES)), (p, theirs)


@pytest.mark.parametrize("name", METRICS)
def test_shifted_bootstrap_under_sacrebleus_own_draws_is_equal(name: str, scored: Scored) -> None:
    """But for sums in float32 there, which may move a difference over the edge."""
    baseline, *systems = scored.tables[name]
    metric = catalogue.metric(name)
    for system, theirs in zip(systems, scored.theirs["bs"][name], strict=True):
        scorer = DifferenceScorer(metric.scorer(baseline), metric.scorer(system))
        draws = MultinomialDraws(len(baseline.ids), SEED)
        found = resample([scorer], [False], draws, RESAMPLES)[0]
        p = shifted_bootstrap(found.values, found.point)[0]
        assert p == pytest.approx(theirs, abs=1.5 / RESAMPLES)


def test_p_values_are_of_every_kind(scored: Scored) -> None:
    """Some difference is clear, some is not: agreement is no accident."""
    found = [p for by_metric in scored.theirs["ar"].values() for p in by_metric]
    assert min(found) < 0.05
    assert max(found) > 0.1
