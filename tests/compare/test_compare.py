"""What a comparison says, record by record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import DataError, EvalkitError, MetricError, UsageError
from evalkit.results.comparison import Comparison
from evalkit.stats.paired import paired_difference
from evalkit.stats.randomisation import randomisation
from evalkit.stats.units import Units
from tests.compare.results import predictions, references, result

GOOD, BAD = 0.1, 0.5


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    systems = [result("good", GOOD, 1), result("bad", BAD, 2), result("alike", GOOD, 3)]
    return evalkit.compare(*systems, resamples=500, swaps=1000)


def test_the_difference_is_that_of_the_values(comparison: Comparison) -> None:
    assert comparison.baseline == "good"
    assert comparison.systems == ["bad", "alike"]
    for record in comparison.differences:
        assert record["difference"] == record["value"] - record["baseline_value"]
        assert record["n"] == 60


def test_interval_and_p_are_those_of_the_engine(comparison: Comparison) -> None:
    good, bad = result("good", GOOD, 1), result("bad", BAD, 2)
    for label in ("bleu", "chrf"):
        ours, theirs = bad.tables[label], good.tables[label]
        metric = catalogue.metric(label)
        found = comparison.difference(label, system="bad")
        paired = paired_difference(metric, theirs, ours, resamples=500)
        assert found["interval"] == found["interval"] | paired["interval"]
        assert found["difference"] == paired["value"]
        tested = randomisation(metric, theirs, ours, Units.of(ours.ids, None), swaps=1000)
        assert found["test"]["p"] == tested.p[0]
        assert found["test"]["exact"] is False


def test_holm_over_all_tests_of_the_call(comparison: Comparison) -> None:
    tests = [record["test"] for record in comparison.differences]
    assert {test["family"] for test in tests} == {4}
    p = sorted(test["p"] for test in tests)
    expected = np.minimum(np.maximum.accumulate([(4 - i) * one for i, one in enumerate(p)]), 1)
    assert sorted(test["p_adjusted"] for test in tests) == pytest.approx(expected)


def test_the_verdict_is_that_of_the_corrected_p(comparison: Comparison) -> None:
    assert comparison.difference("bleu", system="bad")["verdict"] == "worse"
    assert comparison.difference("bleu", system="alike")["verdict"] == "not shown"
    for record in comparison.differences:
        assert (record["verdict"] != "not shown") == (record["test"]["p_adjusted"] <= 0.05)


def test_a_lower_error_rate_is_better() -> None:
    found = evalkit.compare(
        result("bad", BAD, 2, metrics=("ter",)), result("good", GOOD, 1, metrics=("ter",))
    )
    record = found.difference("ter")
    assert record["difference"] < 0
    assert record["verdict"] == "better"


def test_the_ranking_has_clusters_and_chances(comparison: Comparison) -> None:
    (bleu, chrf) = comparison.rankings
    assert (bleu["label"], chrf["label"]) == ("bleu", "chrf")
    order = {one["system"]: one for one in bleu["order"]}
    assert [one["value"] for one in bleu["order"]] == sorted(
        (one["value"] for one in bleu["order"]), reverse=True
    )
    assert order["good"]["cluster"] == order["alike"]["cluster"] == 1
    assert order["bad"]["cluster"] == 2
    assert order["bad"]["probability_best"] == 0
    assert sum(one["probability_best"] for one in bleu["order"]) == pytest.approx(1)


def test_two_systems_have_no_ranking() -> None:
    assert evalkit.compare(result("a", GOOD, 1), result("b", BAD, 2)).rankings == []


def test_equal_systems_are_not_told_apart() -> None:
    found = evalkit.compare(result("a", GOOD, 1), result("b", GOOD, 1), swaps=200)
    record = found.difference("bleu")
    assert record["difference"] == 0
    assert record["test"]["p"] == 1
    assert record["interval"] is None
    assert "agree" in record["interval_reason"]


def test_sixteen_units_are_enumerated() -> None:
    found = evalkit.compare(result("a", GOOD, 1, count=16), result("b", BAD, 2, count=16))
    assert found.difference("bleu")["test"] == found.difference("bleu")["test"] | {
        "exact": True,
        "swaps": 65536,
    }


def test_the_shifted_bootstrap(comparison: Comparison) -> None:
    systems = result("good", GOOD, 1), result("bad", BAD, 2)
    record = evalkit.compare(*systems, test="bootstrap").difference("bleu")
    assert record["test"]["name"] == "bootstrap"
    assert record["test"]["p"] == 1 / 2001


def test_slices_and_clusters_are_those_of_the_results() -> None:
    systems = [
        result(name, wrong, seed, clustered=True, sliced=True)
        for name, wrong, seed in (("a", GOOD, 1), ("b", BAD, 2))
    ]
    found = evalkit.compare(*systems, swaps=200)
    slices = [record["slice"] and record["slice"]["value"] for record in found.differences]
    assert slices == [None, "news", "talk"] * 2
    for record in found.differences:
        assert record["interval"]["unit"] == "cluster"
        assert record["interval"]["units"] == 20
        assert record["n"] == (60 if record["slice"] is None else 30)


def test_the_smallest_difference_that_could_be_seen(comparison: Comparison) -> None:
    """Wanted: the same arithmetic from the standard error; more units for less."""
    record = comparison.difference("bleu", system="alike")
    found = record["detectable"]
    assert found["difference"] == pytest.approx((1.959964 + 0.841621) * record["standard_error"])
    assert found["wanted"] == pytest.approx(found["difference"] / 2, rel=0.35)
    ratio = found["difference"] / found["wanted"]
    assert found["units"] == pytest.approx(60 * ratio**2, abs=1)


@pytest.mark.parametrize(
    ("margin", "wrong", "non_inferior", "equivalent"),
    [(30, GOOD, "yes", "yes"), (0.01, GOOD, "undecided", "undecided"), (1, BAD, "no", "no")],
)
def test_margins(margin: float, wrong: float, non_inferior: str, equivalent: str) -> None:
    systems = result("a", GOOD, 1, metrics=("bleu",)), result("b", wrong, 3, metrics=("bleu",))
    found = evalkit.compare(*systems, margin=margin).difference("bleu")["margin"]
    assert (found["non_inferior"], found["equivalent"]) == (non_inferior, equivalent)
    assert found["level"] == 0.95


def test_the_bounds_of_a_margin_are_one_sided() -> None:
    systems = result("a", GOOD, 1, metrics=("ter",)), result("b", GOOD, 3, metrics=("ter",))
    found = evalkit.compare(*systems, margin=5)
    wide = evalkit.compare(*systems, level=0.9).difference("ter")["interval"]
    margin = found.difference("ter")["margin"]
    assert [margin["low"], margin["high"]] == pytest.approx(
        [-wide["high"], -wide["low"]], rel=1e-12
    )


def test_nothing_is_scored_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    systems = result("a", GOOD, 1), result("b", BAD, 2)
    for label in ("bleu", "chrf"):
        monkeypatch.setattr(catalogue.metric_class(label), "rows", None)
    assert evalkit.compare(*systems, swaps=200).difference("bleu")["verdict"] == "worse"


def test_other_ids_are_named() -> None:
    ours = result("a", GOOD, 1)
    theirs = result("b", BAD, 2, ids=[f"{i:03d}" for i in range(2, 62)])
    with pytest.raises(DataError) as caught:
        evalkit.compare(ours, theirs)
    assert 'only a has "000", "001"' in caught.value.message
    assert 'only b has "060", "061"' in caught.value.message
    assert "--on-common" in caught.value.message


def test_other_references_are_named() -> None:
    truths = references(60)
    ids = [f"{i:03d}" for i in range(60)]
    first = result("a", GOOD, 1)
    other = [*truths[:7], ["quite another reference"], *truths[8:]]
    second = evalkit.score(predictions(truths, BAD, 2), other, ["bleu"], ids=ids, system="b")
    with pytest.raises(DataError, match=r'different references, first at id "007"'):
        evalkit.compare(first, second)
    found = evalkit.compare(first, second, on_common=True, swaps=200)
    assert found.difference("bleu")["n"] == 59


def test_on_common_is_scoring_what_all_have() -> None:
    ours = result("a", GOOD, 1, count=60, clustered=True, sliced=True)
    theirs = result("b", BAD, 2, count=50, clustered=True, sliced=True)
    found = evalkit.compare(ours, theirs, on_common=True, swaps=200)
    truths = references(60)[:50]
    anew = evalkit.score(predictions(references(60), GOOD, 1)[:50], truths, ["bleu"])
    assert found.difference("bleu")["baseline_value"] == anew.value("bleu")
    assert found.difference("bleu")["n"] == 50
    assert found.difference("bleu")["interval"]["units"] == 17
    assert {record["n"] for record in found.differences} == {50, 25}


def test_other_parameters_and_no_metric_in_common() -> None:
    ours = result("a", GOOD, 1, metrics=("bleu",))
    with pytest.raises(DataError, match="no metric in common: a has bleu; b has chrf"):
        evalkit.compare(ours, result("b", BAD, 2, metrics=("chrf",)))
    other = result("b", BAD, 2, metrics=("bleu",))
    table = other.tables["bleu"]
    header = replace(table.header, signature="nrefs:1|tok:intl")
    changed = replace(other, tables={"bleu": replace(table, header=header)})
    with pytest.raises(DataError, match=r"bleu of b and of a differ in their signature \(nrefs:1"):
        evalkit.compare(ours, changed)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"margin": -0.5}, "a number above 0"),
        ({"margin": 0}, "a number above 0"),
        ({"correction": "holms"}, 'did you mean "holm"'),
        ({"test": "t"}, "randomisation"),
        ({"swaps": 10}, "at least 100"),
        ({"level": 95}, "0.95"),
        ({"interval": "student"}, "no interval is called"),
    ],
)
def test_bad_options(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        evalkit.compare(result("a", GOOD, 1), result("b", BAD, 2), **options)


def test_bad_systems(tmp_path: Path) -> None:
    one = result("a", GOOD, 1)
    for given, says in (
        ((one,), "1 system, but a comparison wants two"),
        ((one, one), 'two systems are called "a"'),
        ((one, tmp_path), "a folder without result.json"),
        ((one, tmp_path / "none" / "result.json"), "no result here"),
        ((one, tmp_path / "x*"), "no file matches"),
        ((one, []), "an empty list"),
    ):
        with pytest.raises(EvalkitError, match=says):
            evalkit.compare(*given)


def test_runs_are_one_system() -> None:
    ours = [replace_system(result("a", GOOD, seed), "a") for seed in (1, 2, 3)]
    theirs = [replace_system(result("b", BAD, seed), "b") for seed in (4, 5, 6)]
    found = evalkit.compare(ours, theirs)
    record = found.difference("bleu")
    values = [one.value("bleu") for one in ours], [one.value("bleu") for one in theirs]
    assert record["baseline_value"] == pytest.approx(np.mean(values[0]))
    assert record["difference"] == pytest.approx(np.mean(values[1]) - np.mean(values[0]))
    assert record["interval"]["method"] == "two-way-t"
    assert 0 <= record["interval"]["seed_share"] <= 1
    assert record["interval"]["runs"] == {"baseline": 3, "system": 3}
    assert record["verdict"] == "worse"
    assert {warning["code"] for warning in found.document["warnings"]} == {"few-runs"}


def replace_system(one: evalkit.Result, name: str) -> evalkit.Result:
    return replace(one, document={**one.document, "system": name})


def test_folds_are_pooled() -> None:
    truths = references(60)
    scored = [
        evalkit.score(
            predictions(truths, wrong, seed),
            truths,
            ["bleu"],
            slices={"fold": [str(i % 5) for i in range(60)]},
            system=name,
        )
        for name, wrong, seed in (("a", GOOD, 1), ("b", BAD, 2))
    ]
    found = evalkit.compare(*scored, fold="fold")
    record = found.difference("bleu")
    assert record["interval"]["method"] == "nadeau-bengio"
    assert record["interval"]["folds"] == 5
    assert record["difference"] == scored[1].value("bleu") - scored[0].value("bleu")
    with pytest.raises(DataError, match='has no field "part"'):
        evalkit.compare(*scored, fold="part")


def test_moved_examples_go_both_ways() -> None:
    systems = result("a", 0.3, 1), result("b", 0.3, 2)
    found = evalkit.compare(*systems, moved="chrf", most_moved=3).document["moved"]
    assert [one["moved"] for one in found] == ["worse"] * 3 + ["better"] * 3
    each = [
        {one["id"]: one["scores"]["chrf"]["chrf"] for one in system.examples} for system in systems
    ]
    gains = {id: each[1][id] - each[0][id] for id in each[0]}
    worst = sorted(gains, key=lambda one: gains[one])[:3]
    best = sorted(gains, key=lambda one: -gains[one])[:3]
    assert [one["id"] for one in found] == worst + best
    with pytest.raises(UsageError, match='no value is called "blue"; did you mean "bleu"'):
        evalkit.compare(*systems, moved="blue")


def test_a_metric_that_is_no_sum() -> None:
    """coco_ap: swaps in one table of both, resamples by percentile."""
    generator = np.random.default_rng(1)
    truths: list[Any] = []
    good: list[Any] = []
    bad: list[Any] = []
    for _ in range(30):
        box = [*generator.uniform(0, 50, 2).tolist(), *generator.uniform(20, 40, 2).tolist()]
        truths.append({"boxes": [box], "labels": ["cat"]})
        for found, blur in ((good, 1.0), (bad, 8.0)):
            moved = [float(one + generator.normal(0, blur)) for one in box]
            found.append({"boxes": [moved], "labels": ["cat"], "scores": [generator.random()]})
    scored = [
        evalkit.score(found, truths, ["coco_ap"], box_format="xywh", system=name, interval="none")
        for name, found in (("good", good), ("bad", bad))
    ]
    comparison = evalkit.compare(*scored, swaps=200, resamples=200)
    record = comparison.difference("coco_ap", "AP")
    assert record["verdict"] == "worse"
    assert record["interval"]["method"] == "percentile"
    with pytest.raises(MetricError, match="no values of single examples"):
        evalkit.compare(*scored, moved="coco_ap AP", swaps=200, resamples=200)


def test_the_document_is_json_and_the_object_shows_itself(comparison: Comparison) -> None:
    assert json.loads(comparison.to_json()) == json.loads(json.dumps(comparison.document))
    assert "bad:bleu=-" in repr(comparison)
    assert "<table>" in comparison._repr_html_()
    frame = comparison.to_pandas()
    assert len(frame) == 4
    assert {"interval_low", "test_p_adjusted", "slice_field"} <= set(frame.columns)
    with pytest.raises(KeyError, match="bleu"):
        comparison.difference("rouge")


def test_what_runs_and_folds_could_see_has_their_own_quantiles() -> None:
    """Folds: t with 4 degrees of freedom, 2.776 and 0.941; no number of examples is promised."""
    truths = references(60)
    scored = [
        evalkit.score(
            predictions(truths, wrong, seed),
            truths,
            ["chrf"],
            slices={"fold": [str(i % 5) for i in range(60)]},
            system=name,
        )
        for name, wrong, seed in (("a", GOOD, 1), ("b", BAD, 2))
    ]
    record = evalkit.compare(*scored, fold="fold").difference("chrf")
    expected = (2.776445 + 0.940965) * record["standard_error"]
    assert record["detectable"]["difference"] == pytest.approx(expected)
    assert record["detectable"]["units"] is None


def test_equal_predictions_are_identical() -> None:
    one = result("a", GOOD, 1)
    found = evalkit.compare(one, replace_system(one, "b"))
    assert {record["verdict"] for record in found.differences} == {"identical"}


def test_metrics_choose_among_what_is_stored() -> None:
    systems = result("a", GOOD, 1), result("b", BAD, 2)
    found = evalkit.compare(*systems, metrics=["chrf"])
    assert [record["label"] for record in found.differences] == ["chrf"]
    assert found.difference("chrf")["test"]["family"] == 1
    with pytest.raises(UsageError, match='no "chrff" in common; did you mean "chrf"'):
        evalkit.compare(*systems, metrics=["chrff"])


def test_few_examples_are_said() -> None:
    found = evalkit.compare(result("a", GOOD, 1, count=20), result("b", BAD, 2, count=20))
    assert "few-examples" in {warning["code"] for warning in found.document["warnings"]}


def test_too_few_swaps_for_so_many_tests() -> None:
    systems = [result(f"s{i}", GOOD + i / 100, i) for i in range(6)]
    found = evalkit.compare(*systems, swaps=100)
    (warning,) = [one for one in found.document["warnings"] if one["code"] == "few-swaps"]
    assert warning["message"] == (
        "15 tests of 100 swaps: no corrected p can be below 0.15, so nothing can be shown; "
        "take --swaps 600"
    )


def test_an_example_is_in_the_same_slices_of_both() -> None:
    ours, theirs = result("a", GOOD, 1, sliced=True), result("b", BAD, 2, sliced=True)
    moved = [dict(one) for one in theirs.examples]
    moved[4]["fields"] = {"domain": "news"}
    with pytest.raises(DataError, match='id "004" into different slices of domain'):
        evalkit.compare(ours, replace(theirs, examples=moved))


def test_margins_that_make_no_sense() -> None:
    systems = result("a", GOOD, 1), result("b", BAD, 2)
    for options in ({"margin": np.inf}, {"margin": 1e-300}, {"margin": 1, "level": 0.4}):
        with pytest.raises(UsageError, match="--margin"):
            evalkit.compare(*systems, **options)  # type: ignore[arg-type]


def test_stored_results_run_no_program_unasked(tmp_path: Path) -> None:
    """A result may come from anyone."""
    ours, theirs = result("a", GOOD, 1), result("b", BAD, 2)
    proof = tmp_path / "proof"
    header = replace(
        ours.tables["bleu"].header, metric="command", parameters={"command": f"touch {proof}"}
    )
    label = f"command:touch {proof}"
    changed = [
        replace(
            one,
            document={
                **one.document,
                "scores": [{**one.scores[0], "metric": "command", "label": label}],
            },
            tables={label: replace(one.tables["bleu"], header=header)},
        )
        for one in (ours, theirs)
    ]
    with pytest.raises(EvalkitError):
        evalkit.compare(*changed, on_common=True)
    predictions_file = tmp_path / "c.jsonl"
    predictions_file.write_text('{"id": "1", "prediction": "a", "references": ["a"]}\n')
    with pytest.raises(UsageError, match="name the metrics to allow that"):
        evalkit.compare(changed[0], predictions_file)
    assert not proof.exists()


def test_a_result_without_texts_is_compared_but_not_scored_anew() -> None:
    """As `gate --update-baseline` keeps it."""
    ours, theirs = result("a", GOOD, 1), replace(result("b", BAD, 2), examples=())
    assert evalkit.compare(ours, theirs, swaps=200).difference("bleu")["verdict"] == "worse"
    with pytest.raises(DataError, match="b keeps no predictions and references"):
        evalkit.compare(ours, theirs, on_common=True)
    listed = evalkit.compare(ours, theirs, swaps=200, moved="bleu", most_moved=1).document["moved"]
    assert [one["prediction"] for one in listed] == [None] * len(listed)
