"""What a gate concludes: which side of a threshold the bounds lie on, and how sure an alarm is."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evalkit import rules as gate_rules
from evalkit.results import Result
from evalkit.stats.intervals import wilson
from evalkit.verbs.gating.subjects import subjects
from evalkit.verbs.gating.verdicts import judge, overall
from tests.gate.made import ACCURACY, labels, rules, scored, worse

GOOD = labels(400, 0.85, 1)


def rows(
    tables: Sequence[str],
    results: Sequence[Result],
    baseline: Result | None = None,
    **more: Any,
) -> list[dict[str, Any]]:
    text = rules(*tables)
    tree = tomllib.loads(text)["gate"]
    parsed = gate_rules.parse(tree, gate_rules.Tables(text, Path("gate.toml")))
    return judge(list(subjects(parsed, results, baseline)), **more)


def one(table: str, result: Result, baseline: Result | None = None, **more: Any) -> dict[str, Any]:
    return rows([ACCURACY + table], [result], baseline, **more)[0]


@pytest.mark.parametrize(
    ("kind", "value", "verdict"),
    [
        ("at_least", 0.80, "pass"),
        ("at_least", 0.85, "inconclusive"),
        ("at_least", 0.95, "fail"),
        ("at_most", 0.95, "pass"),
        ("at_most", 0.85, "inconclusive"),
        ("at_most", 0.75, "fail"),
    ],
)
def test_a_value_against_a_number(kind: str, value: float, verdict: str) -> None:
    result = scored(GOOD)
    row = one(f'kind = "{kind}"\nvalue = {value}', result)
    assert row["verdict"] == verdict
    low, high = wilson(GOOD.count("a"), 400, 0.90)
    assert (row["interval"]["low"], row["interval"]["high"]) == pytest.approx((low, high))
    assert row["interval"]["level"] == 0.9
    near, far = ("low", "high") if kind == "at_least" else ("high", "low")
    assert row["bound"] == row["interval"][far if verdict == "fail" else near]


def test_the_value_itself_where_asked() -> None:
    row = one('kind = "at_least"\nvalue = 0.84\non = "value"', scored(GOOD))
    assert (row["verdict"], row["p"], row["interval"]) == ("pass", None, None)
    row = one('kind = "at_least"\nvalue = 0.99\non = "value"', scored(GOOD))
    assert row["verdict"] == "fail"


NOT_WORSE = 'kind = "not_worse_than_baseline"\nmargin = {}'


def test_not_worse_passes_fails_or_stays_open() -> None:
    base = scored(GOOD, "base")
    assert one(NOT_WORSE.format(0.02), scored(worse(GOOD, 0)), base)["verdict"] == "pass"
    assert one(NOT_WORSE.format(0.02), scored(worse(GOOD, 60)), base)["verdict"] == "fail"
    open_ = one(NOT_WORSE.format(0.02), scored(worse(GOOD, 6)), base)
    assert open_["verdict"] == "inconclusive"
    assert open_["difference"] == pytest.approx(-6 / 400)
    assert open_["examples_wanted"] > 400


def test_as_many_examples_as_are_wanted_settle_it() -> None:
    """The same shares on the number of examples that was named, rounded up."""
    base, system = GOOD, worse(GOOD, 6)
    row = one(NOT_WORSE.format(0.02), scored(system), scored(base, "base"))
    times = -(-row["examples_wanted"] // 400)
    more = one(NOT_WORSE.format(0.02), scored(system * times), scored(base * times, "base"))
    assert more["verdict"] == "pass"
    fewer = max(1, times // 2)
    less = one(NOT_WORSE.format(0.02), scored(system * fewer), scored(base * fewer, "base"))
    assert less["verdict"] == "inconclusive"


def test_better_wants_more_than_equal() -> None:
    better = 'kind = "better_than_baseline"'
    base = scored(worse(GOOD, 60), "base")
    assert one(better, scored(GOOD), base)["verdict"] == "pass"
    assert one(better, base, scored(GOOD))["verdict"] == "fail"
    assert one(better, base, base)["verdict"] == "fail"
    assert one(f"{better}\nmargin = 0.3", scored(GOOD), base)["verdict"] == "fail"


def test_where_lower_is_better() -> None:
    """Word error rate: 1 of 4 words wrong in half of the sentences, then in all."""
    texts = [f"a b c {i}" for i in range(60)]
    half = [text.replace("a", "x") if i % 2 else text for i, text in enumerate(texts)]
    some = [text.replace("a", "x") if i % 20 == 1 else text for i, text in enumerate(half)]
    wer: dict[str, Any] = {"metrics": ["wer"], "references": texts}
    base = scored(half, "base", **wer)
    every = scored([text.replace("a", "x") for text in texts], **wer)
    table = 'metric = "wer"\nkind = "not_worse_than_baseline"\nmargin = 0.05'
    row = rows([table], [every], base)[0]
    assert row["verdict"] == "fail"
    assert row["difference"] > 0
    assert row["threshold"] == 0.05
    better = 'metric = "wer"\nkind = "better_than_baseline"'
    assert rows([better], [base], every)[0]["verdict"] == "pass"
    assert rows([table], [scored(some, **wer)], base)[0]["verdict"] == "pass"


def test_other_predictions_that_move_no_example_are_not_certain() -> None:
    """Wrong in another way: 0 of n examples moved, and the rule of three bounds how many might."""
    before = labels(60, 0.8, 2)
    after = ["c" if one == "b" else one for one in before]
    row = one(NOT_WORSE.format(0.06), scored(after), scored(before, "base"))
    assert row["verdict"] == "pass"
    assert row["interval"]["low"] == pytest.approx(-(1 - 0.05 ** (1 / 60)))
    assert one(NOT_WORSE.format(0.04), scored(after), scored(before))["verdict"] == "inconclusive"


def test_exact_is_about_this_set_alone() -> None:
    base = scored(GOOD, "base")
    assert one('kind = "exact"', base, base)["verdict"] == "pass"
    moved = scored(worse(GOOD, 1))
    row = one('kind = "exact"', moved, base)
    assert (row["verdict"], row["p"]) == ("fail", None)
    assert one('kind = "exact"\ntolerance = 0.01', moved, base)["verdict"] == "pass"
    assert one('kind = "exact"', base, moved)["verdict"] == "fail"


def test_slices() -> None:
    domains = ["news" if i % 2 else "web" for i in range(400)]
    broken = [
        "b" if domain == "web" and i % 6 == 0 else label
        for i, (label, domain) in enumerate(zip(GOOD, domains, strict=True))
    ]
    base = scored(GOOD, "base", slices={"domain": domains})
    system = scored(broken, slices={"domain": domains})
    found = rows([ACCURACY + NOT_WORSE.format(0.05) + '\nslice = "domain"'], [system], base)
    assert [(row["slice"]["value"], row["verdict"]) for row in found] == [
        ("news", "pass"),
        ("web", "fail"),
    ]
    part = 'slice = { field = "domain", value = "news" }'
    alone = rows([f"{ACCURACY}{NOT_WORSE.format(0.05)}\n{part}"], [system], base)
    assert [row["slice"]["value"] for row in alone] == ["news"]
    assert alone[0]["n"] == 200


def test_clusters_are_resampled_together() -> None:
    """Ten copies of each of 40 examples are 40 units, and know as much as 40."""
    few = labels(40, 0.8, 3)
    many = [label for label in few for _ in range(10)]
    clusters = [i for i in range(40) for _ in range(10)]
    row = one('kind = "at_least"\nvalue = 0.5', scored(many, cluster=clusters))
    assert (row["interval"]["unit"], row["interval"]["units"]) == ("cluster", 40)
    by_example = one('kind = "at_least"\nvalue = 0.5', scored(many))
    assert row["interval"]["low"] < by_example["interval"]["low"] - 0.05


def test_holm_over_what_could_raise_an_alarm() -> None:
    """A rule that fails alone does not among many that are far from failing."""
    system, base = scored(worse(GOOD, 14)), scored(GOOD, "base")
    alone = one(NOT_WORSE.format(0.02), system, base)
    assert 0.005 < alone["p"] < 0.05, alone["p"]
    assert (alone["verdict"], alone["p_adjusted"]) == ("fail", alone["p"])
    others = [f'{ACCURACY}kind = "at_least"\nvalue = 0.{i}' for i in range(10, 20)]
    found = rows([ACCURACY + NOT_WORSE.format(0.02), *others], [system], base)
    assert found[0]["verdict"] == "inconclusive"
    assert found[0]["p_adjusted"] == pytest.approx(11 * found[0]["p"])
    assert "would fail alone" in found[0]["reason"]
    assert found[0]["examples_wanted"] > 400
    assert {row["verdict"] for row in found[1:]} == {"pass"}


def test_p_is_where_the_bound_reaches_the_threshold() -> None:
    """At level 1 - p the far bound is the threshold."""
    system, base = scored(worse(GOOD, 12)), scored(GOOD, "base")
    p = one(NOT_WORSE.format(0.02), system, base)["p"]
    row = one(NOT_WORSE.format(0.02), system, base, level=1 - p)
    assert row["interval"]["high"] == pytest.approx(-0.02, abs=1e-6)


def test_too_few_examples_are_inconclusive_with_the_reason() -> None:
    row = one('kind = "at_least"\nvalue = 0.5', scored(["a"] * 5))
    assert row["verdict"] == "inconclusive"
    assert "an interval needs at least 8" in row["reason"]
    assert row["examples_wanted"] is None


@pytest.mark.parametrize(
    ("counts", "verdict"), [("pass", "pass"), ("fail", "fail"), ("report", "inconclusive")]
)
def test_what_an_inconclusive_rule_counts_as(counts: str, verdict: str) -> None:
    table = f'kind = "at_least"\nvalue = 0.85\ninconclusive = "{counts}"'
    row = one(table, scored(GOOD))
    assert row["verdict"] == "inconclusive"
    assert overall([row]) == row["counts_as"] == verdict


def test_the_worst_rule_decides() -> None:
    states = {"pass": 0, "fail": 1, "inconclusive": 2}
    made = [{"counts_as": state} for state in states]
    assert overall(made) == "fail"
    assert overall([made[0], made[2]]) == "inconclusive"
    assert overall([made[0]]) == "pass"


def test_the_level_of_a_rule_wins() -> None:
    table = 'kind = "at_least"\nvalue = 0.5\nlevel = 0.99'
    assert one(table, scored(GOOD), level=0.9)["interval"]["level"] == 0.98
    assert (
        one('kind = "at_least"\nvalue = 0.5', scored(GOOD), level=0.9)["interval"]["level"] == 0.8
    )


def test_equal_inputs_give_equal_rows() -> None:
    system, base = scored(worse(GOOD, 6)), scored(GOOD, "base")
    tables = [ACCURACY + NOT_WORSE.format(0.02), f'{ACCURACY}kind = "at_least"\nvalue = 0.8']
    assert rows(tables, [system], base) == rows(tables, [system], base)


def test_a_system_that_fails_everywhere_fails() -> None:
    """Every difference is -1, so resampling sees no spread; that 60 agree says enough."""
    row = one(NOT_WORSE.format(0.1), scored(["b"] * 60), scored(["a"] * 60, "base"))
    assert row["verdict"] == "fail"
    assert row["interval"]["low"] == -1
    assert row["interval"]["high"] == pytest.approx(-1 + 2 * (1 - 0.05 ** (1 / 60)))
