"""What is special about labels: unseen and missing ones, annotators, ties, order, limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.labels.reading import predicted_label, top_labels
from evalkit.metric import Metric, SumMetric
from evalkit.records.example import Example, System
from evalkit.records.labels import in_order
from evalkit.table import Table
from evalkit.tables.build import Builder
from tests.corpora import labels_system

BARE = ("accuracy", "f1", "f1:per_class=true", "confusion")
NAMES = (*BARE, "accuracy:top=2")
SUMS = (*NAMES, "calibration_error", "calibration_error:bins=3")


def table_of(spec: str, examples: Sequence[Example]) -> tuple[Metric, Table]:
    metric, system = catalogue.metric(spec), System("system", list(examples))
    fitted = metric.fit([one.references for one in examples])
    return metric, Builder().table(metric, system, fitted, system.references_digest)


def pairs(*found: tuple[Any, str]) -> list[Example]:
    return [
        Example(f"{i}", prediction, tuple(actual.split("|")))
        for i, (prediction, actual) in enumerate(found)
    ]


def values(spec: str, examples: Sequence[Example]) -> dict[str, float]:
    metric, table = table_of(spec, examples)
    found = metric.score(metric.prepare(table), np.ones((1, len(examples))))[0]
    return dict(zip(table.header.outputs, found.tolist(), strict=True))


def test_order_of_labels() -> None:
    shuffled = ["b", "10", "a", "-1", "9", "1.5", "10a", "9" * 30, "٣"]
    assert sorted(shuffled, key=in_order) == [
        *("-1", "9", "10", "1.5", "10a", "9" * 30, "a", "b", "٣"),
    ]


def test_the_most_probable_label_and_ties() -> None:
    assert predicted_label("cat") == "cat"
    assert predicted_label({"b": 0.25, "10": 0.375, "9": 0.375}) == "9"
    assert top_labels({"b": 0.3, "a": 0.3, "10": 0.3, "c": 0.1}, 3) == ["10", "a", "b"]
    assert top_labels({"a": 1.0}, 5) == ["a"]


@pytest.mark.parametrize("spec", BARE)
def test_probabilities_are_scored_as_their_label(spec: str) -> None:
    examples = labels_system(50, 1).examples
    bare = [Example(one.id, predicted_label(one.prediction), one.references) for one in examples]
    mixed = [two if i % 2 else one for i, (one, two) in enumerate(zip(examples, bare, strict=True))]
    first, second, third = (table_of(spec, part)[1] for part in (examples, bare, mixed))
    assert np.array_equal(first.rows, second.rows)
    assert np.array_equal(first.rows, third.rows)


@pytest.mark.parametrize("spec", NAMES)
def test_annotators_are_examples_of_less_weight(spec: str) -> None:
    """Three annotators are three examples that weigh a third each."""
    three = labels_system(40, 2, annotators=3).examples
    alone = [
        Example(f"{one.id} {i}", one.prediction, (label,))
        for one in three
        for i, label in enumerate(one.references)
    ]
    metric, table = table_of(spec, alone)
    expected = metric.score(metric.prepare(table), np.full((1, len(alone)), 1 / 3))[0]
    assert list(values(spec, three).values()) == pytest.approx(expected.tolist(), rel=1e-12)


def test_macro_f1_is_the_mean_of_the_f1_of_each_class() -> None:
    found = values("f1:per_class=true", labels_system(60, 3).examples)
    each = [value for name, value in found.items() if name.endswith(" f1")]
    assert len(each) == 4
    assert found["f1"] == pytest.approx(sum(each) / 4, rel=1e-14)
    assert found["micro"] == pytest.approx(
        values("accuracy", labels_system(60, 3).examples)["accuracy"], rel=1e-14
    )


def test_an_unseen_label_is_wrong_and_said() -> None:
    examples = pairs(("a", "a"), ("x", "a"), ("b", "b"), ("y", "b"), ("b", "b"), ("", "b"))
    assert values("accuracy", examples)["accuracy"] == 0.5
    f1 = values("f1:per_class=true", examples)
    assert (f1["a f1"], f1["b recall"], f1["micro"]) == (2 / 3, 0.5, 0.5)
    confusion = values("confusion", examples)
    assert (confusion["a→(other)"], confusion["b→(other)"], confusion["b→b"]) == (0.5, 0.5, 0.5)
    for spec in ("accuracy", "f1", "confusion"):
        metric, table = table_of(spec, examples)
        assert list(metric.remarks(table)) == [
            (
                "unseen-labels",
                "2 predictions outside the 2 labels of the references, scored as wrong: "
                'id "1", "3"',
            )
        ]
        metric, table = table_of(spec, pairs(("a", "a"), ("", "b")))
        assert list(metric.remarks(table)) == []


def test_a_remark_names_three() -> None:
    metric, table = table_of("f1", pairs(*[("x", "a|b")] * 9, ("a", "a")))
    [(_, message)] = metric.remarks(table)
    assert message.startswith("9 predictions outside the 2 labels")
    assert message.endswith('id "0", "1", "2", …')


def test_what_is_undefined_is_not_0() -> None:
    examples = pairs(("a", "a"), ("a", "b"))
    found = values("f1:per_class=true", examples)
    assert np.isnan(found["b precision"])
    assert (found["b recall"], found["b f1"], found["f1"]) == (0, 0, 1 / 3)
    metric, table = table_of("confusion", examples)
    only_first = metric.score(metric.prepare(table), np.array([[1, 0]]))[0]
    assert only_first[:4].tolist() == [1, 1, 0, 0]
    assert np.isnan(only_first[4:]).all()


@pytest.mark.parametrize("spec", SUMS)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_the_slopes(spec: str, seed: int) -> None:
    """By central differences of the sums, also where a label is gone or has no prediction."""
    metric, table = table_of(spec, labels_system(60, seed).examples)
    assert isinstance(metric, SumMetric)
    weights = np.random.default_rng(seed).poisson(1.0, (8, 60)).astype(np.float64)
    weights[-1] = table.rows[table.owner.searchsorted(np.arange(60)), 0] == 1
    scoring = table.header.scoring
    sums = metric.scorer(table).sums(weights)
    expected = SumMetric.gradient(metric, sums, scoring)
    found = metric.gradient(sums, scoring) * (sums != 0)[:, None]
    values = metric.from_sums(sums, scoring)
    assert np.allclose(found, np.where(np.isnan(values)[..., None], 0, expected), atol=1e-7)


def test_accuracy_takes_wilson_and_so_does_what_is_a_share() -> None:
    examples = labels_system(80, 4, annotators=1).examples
    result = evalkit.score(
        [one.prediction for one in examples],
        [one.references for one in examples],
        ["accuracy", "f1:per_class=true", "confusion"],
        resamples=256,
    )
    found = {
        (record["metric"], record["output"]): record["interval"]
        for record in result.scores
        if record["interval"]
    }
    bounds = [
        (found[key]["low"], found[key]["high"]) for key in [("accuracy",) * 2, ("f1", "micro")]
    ]
    assert bounds[0] == bounds[1]
    assert found["f1", "f1"]["method"] == "bootstrap-t"
    assert found["f1", "cat recall"] == found["confusion", "cat→cat"]
    assert found["f1", "cat precision"]["method"] == "wilson"
    assert found["confusion", "balanced_accuracy"]["method"] == "bootstrap-t"
    cells = [one for (name, _), one in found.items() if name == "confusion"]
    assert len(cells) == 1 + 4 * 5
    assert {one["method"] for one in cells} == {"wilson", "bootstrap-t"}


def test_wilson_of_a_cell_counts_the_examples_of_its_label() -> None:
    metric, table = table_of("confusion", pairs(("a", "a"), ("a", "b"), ("b", "b"), ("a", "a|a")))
    scorer = metric.scorer(table)
    assert [scorer.binary(output) for output in range(7)] == [
        *(None, (2, 2), (0, 2), (0, 2), (1, 2), (1, 2), (0, 2)),
    ]
    metric, table = table_of("confusion", pairs(("a", "a"), ("a", "b"), ("b", "a|b")))
    assert metric.scorer(table).binary(1) is None


def test_the_short_way_to_the_errors_of_cells() -> None:
    """As if every example were a cluster, which takes the way of all sums; and block by block."""
    metric, table = table_of("confusion", labels_system(70, 5, annotators=1).examples)
    assert isinstance(metric, SumMetric)
    short, long = metric.scorer(table), metric.scorer(table, np.arange(70))
    assert type(short) is not type(long)
    weights = np.random.default_rng(5).poisson(0.5, (100, 70)).astype(np.uint8)
    values, errors = short.measure(weights, errors=True)
    expected = long.measure(weights, errors=True)
    assert np.array_equal(values, expected[0], equal_nan=True)
    assert np.allclose(errors, expected[1], rtol=1e-12, atol=1e-15)
    assert (errors > 0).any()
    parts = [short.measure(weights[i : i + 1], errors=True)[1] for i in range(100)]
    assert np.array_equal(np.concatenate(parts), errors)


@pytest.mark.parametrize("spec", ["calibration_error", "accuracy:top=2"])
def test_probabilities_are_needed(spec: str) -> None:
    examples = [*pairs(({"a": 1.0}, "a")), Example("7", "a", ("a",)), Example("8", "a", ("a",))]
    with pytest.raises(MetricError, match=r'of id "7" is a bare label, but probabilities'):
        table_of(spec, examples)


def test_a_missing_prediction_is_wrong_but_has_no_probability() -> None:
    examples = [*pairs(({"a": 1.0}, "a")), Example("7", "", ("a",))]
    assert values("accuracy:top=2", examples)["accuracy"] == 0.5
    with pytest.raises(MetricError, match=r'of id "7" is missing, but probabilities'):
        table_of("calibration_error", examples)


@pytest.mark.parametrize(
    "spec",
    ["accuracy:top=0", "calibration_error:bins=0", "calibration_error:bins=1001"],
)
def test_bad_parameters(spec: str) -> None:
    with pytest.raises(MetricError, match="must be"):
        catalogue.metric(spec)


def test_limits() -> None:
    labels = [(f"{i}",) for i in range(101)]
    assert catalogue.metric("f1").fit(labels).scoring["labels"] == 101
    catalogue.metric("f1:per_class=true").fit(labels[:100])
    with pytest.raises(MetricError, match="per_class shows at most 100 labels, and there are 101"):
        catalogue.metric("f1:per_class=true").fit(labels)
    catalogue.metric("confusion").fit(labels[:20])
    with pytest.raises(MetricError, match="21 labels, and a matrix of more than 20"):
        catalogue.metric("confusion").fit(labels[:21])


@pytest.mark.parametrize("labels", [("a", "(other)"), ("a", "a→b", "b", "b→b")])
def test_cells_of_one_name(labels: tuple[str, ...]) -> None:
    with pytest.raises(MetricError, match="two cells would be called"):
        catalogue.metric("confusion").fit([(label,) for label in labels])


def test_confidence_and_accuracy_by_hand() -> None:
    """|share right - mean probability| of two bins of 2: 0.6 and 0.9 with one right each."""
    examples = pairs(
        ({"a": 0.6, "b": 0.4}, "a"),
        ({"a": 0.6, "b": 0.4}, "b"),
        ({"a": 0.9, "b": 0.1}, "a"),
        ({"a": 0.9, "b": 0.1}, "b"),
    )
    found = values("calibration_error:bins=10", examples)
    assert found == pytest.approx({"calibration_error": 0.25, "confidence": 0.75})
    assert values("calibration_error:bins=1", examples)["calibration_error"] == pytest.approx(0.25)
