"""A gate that looks at one set at every commit: looks are counted, alarms keep their rate."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.cli.app import run
from evalkit.stats.sequential import alpha_of_look
from evalkit.verbs.gating.bets import Bets
from tests.gate.made import ACCURACY, gate_file, labels, scored, worse

GOOD = labels(400, 0.85, 1)
LOOKS = 40
SEED = 20261122
RULE = f'{ACCURACY}kind = "not_worse_than_baseline"\nmargin = 0.05'
BETTER = f'{ACCURACY}kind = "better_than_baseline"'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    scored(GOOD, "base").save("results")
    assert run(["gate", "results/s/base", "--update-baseline"]) == 0
    gate_file(tmp_path, RULE)
    return tmp_path


def gated(
    capfd: pytest.CaptureFixture[str], system: str, *flags: str, sequential: bool = True
) -> dict[str, Any]:
    more = ("--sequential",) if sequential else ()
    capfd.readouterr()
    run(["gate", f"results/s/{system}", "--rules", "gate.toml", "--json", *more, *flags])
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def test_each_system_is_a_look_and_has_its_share(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, by in enumerate((4, 5, 6), start=1):
        scored(worse(GOOD, by), f"commit{by}").save("results")
        for _ in range(2):
            (row,) = gated(capfd, f"commit{by}")["rules"]
            assert row["look"] == number
            assert row["alpha"] == alpha_of_look(number, 0.05)
    assert len((store / "results" / "s" / "looks.jsonl").read_text().splitlines()) == 3


def test_looks_are_counted_before_anyone_asks(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for by in (4, 5):
        scored(worse(GOOD, by), f"commit{by}").save("results")
        assert gated(capfd, f"commit{by}", sequential=False)["rules"][0]["alpha"] == 0.05
    assert gated(capfd, "commit5")["rules"][0]["look"] == 2
    run(["gate", "results/s/commit5", "--rules", "gate.toml"])
    assert "look 2 at this set" in capfd.readouterr().err


def test_several_systems_in_one_call_are_several_looks(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for by in (4, 5, 6):
        scored(worse(GOOD, by), f"commit{by}").save("results")
    found = gated(capfd, "", "--baseline", "results/s/base")
    assert [row["look"] for row in found["rules"]] == [1, 2, 3]


def test_an_alarm_needs_the_wealth_of_its_look(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scored(worse(GOOD, 120), "broken").save("results")
    (row,) = gated(capfd, "broken")["rules"]
    assert row["verdict"] == "fail"
    assert row["wealth"] >= 1 / row["alpha"]
    assert row["p"] == pytest.approx(1 / row["wealth"])
    scored(worse(GOOD, 36), "doubtful").save("results")
    (row,) = gated(capfd, "doubtful", sequential=False)["rules"]
    assert row["verdict"] == "fail"
    (row,) = gated(capfd, "doubtful")["rules"]
    assert row["verdict"] == "inconclusive"
    assert row["wealth"] < 1 / row["alpha"]
    said = f"at look 2 p must be below {row['alpha']:.2g}; it is {row['p']:.2g}; about "
    assert row["reason"].startswith(said)
    assert row["examples_wanted"] > 400


def test_better_is_claimed_by_the_wealth_too(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gate_file(store, BETTER)
    few, many = (["a"] * by + GOOD[by:] for by in (40, 400))
    scored(few, "few").save("results")
    scored(many, "many").save("results")
    assert gated(capfd, "few", sequential=False)["verdict"] == "pass"
    (row,) = gated(capfd, "few")["rules"]
    assert row["verdict"] == "inconclusive"
    found = re.match(r"at look 1 p must be below (.*) for a pass; it is (.*); no", row["reason"])
    assert found is not None, row["reason"]
    assert float(found[1]) == pytest.approx(row["alpha"], rel=0.05)
    assert row["alpha"] < float(found[2]) < 1
    assert gated(capfd, "many")["verdict"] == "pass"


def test_rules_without_a_baseline_are_no_look_of_their_own(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In either order; another baseline is one."""
    alone = f'{ACCURACY}kind = "at_least"\nvalue = 0.5'
    for number, (by, tables) in enumerate({4: (RULE, alone), 5: (alone, RULE)}.items(), start=1):
        scored(worse(GOOD, by), f"commit{by}").save("results")
        for table in tables:
            gate_file(store, table)
            assert gated(capfd, f"commit{by}")["rules"][0]["look"] == number
    gate_file(store, RULE)
    scored(GOOD[::-1], "other").save("results")
    assert gated(capfd, "commit4", "-b", "results/s/other")["rules"][0]["look"] == 3
    gate_file(store, alone)
    assert gated(capfd, "commit4")["rules"][0]["look"] == 1


def test_a_corpus_metric_has_no_bets(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts = [f"the cat {i} sat on the mat" for i in range(60)]
    bad = [text.replace("cat", "dog" if i % 5 else "cat") for i, text in enumerate(texts)]
    settings: dict[str, Any] = {"references": texts, "metrics": ["bleu"]}
    baseline = scored(texts, "texts", **settings).save("t")
    scored(bad, "bad", **settings).save("t")
    gate_file(store, 'metric = "bleu"\nkind = "not_worse_than_baseline"\nmargin = 1')
    command = ("gate", "t/s/bad", "--baseline", str(baseline), "--rules", "gate.toml")
    capfd.readouterr()
    assert run([*command, "--sequential", "--json"]) == 1
    (row,) = json.loads(capfd.readouterr().out)["rules"]
    assert row["wealth"] is None
    assert row["alpha"] < 0.05


def test_a_look_that_cannot_be_counted_is_an_error_where_it_matters(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scored(worse(GOOD, 4), "new").save("results")
    command = ["gate", "results/s/new", "--rules", "gate.toml", "--looks", "gate.toml/looks"]
    assert run(command) == 0
    assert "this look is not counted" in capfd.readouterr().err
    assert run([*command, "--sequential"]) == 2
    (store / "damaged.jsonl").write_text("{}\n")
    assert run([*command[:-1], "damaged.jsonl", "--sequential"]) == 2
    assert "damaged.jsonl:1: damaged" in capfd.readouterr().err


@pytest.mark.parametrize(
    "streams", [pytest.param(2000, marks=pytest.mark.slow), 200], ids=["full", "reduced"]
)
def test_false_alarms_over_forty_looks(streams: int) -> None:
    """40 systems per stream, each exactly as much worse as is tolerable, on one set of 150."""
    generator = np.random.default_rng(SEED)
    alarms = 0
    for _ in range(streams):
        drawn = generator.random((LOOKS, 150))
        differences = np.where(drawn < 0.15, -1.0, np.where(drawn < 0.25, 1.0, 0.0))
        wealth = [Bets(row, -0.05, 1.0).against("at_least") for row in differences]
        alarms += any(
            one * alpha_of_look(look, 0.05) >= 1 for look, one in enumerate(wealth, start=1)
        )
    assert alarms / streams <= 0.05
