"""accuracy, f1, confusion and calibration_error against torchmetrics 1.9, which has float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit.table import Floats, Ints

torch = pytest.importorskip("torch", reason="torch is not installed (extra `neural`)")
classification = pytest.importorskip(
    "torchmetrics.classification", reason="torchmetrics is not installed (extra `neural`)"
)

SINGLE = 2e-6  # of 2,000 sums in float32


@dataclass(frozen=True)
class Drawn:
    """probabilities [n, classes], actual [n]; class i is called str(i)."""

    probabilities: Floats
    actual: Ints

    @property
    def classes(self) -> int:
        return self.probabilities.shape[1]

    @property
    def tensors(self) -> tuple[Any, Any]:
        return torch.from_numpy(self.probabilities), torch.from_numpy(self.actual)

    def ours(self, metrics: Sequence[str]) -> Any:
        return evalkit.score(
            [
                {str(label): one for label, one in enumerate(row)}
                for row in self.probabilities.tolist()
            ],
            text(self.actual),
            list(metrics),
            interval="none",
        )


def text(classes: Ints) -> list[str]:
    return [str(one) for one in classes]


def drawn(classes: int, seed: int, count: int = 2000) -> Drawn:
    """Classes are not equally frequent, and every one occurs."""
    generator = np.random.default_rng(seed)
    frequencies = generator.dirichlet(np.full(classes, 2.0))
    actual = generator.choice(classes, count, p=frequencies)
    actual[:classes] = np.arange(classes)
    strength = np.full((count, classes), 0.4)
    strength[np.arange(count), actual] = 0.9
    gammas = generator.gamma(strength)
    return Drawn(gammas / gammas.sum(axis=1, keepdims=True), actual.astype(np.int64))


CASES = [(2, 0), (3, 1), (7, 2), (12, 3)]


@pytest.mark.parametrize(("classes", "seed"), CASES)
def test_accuracy(classes: int, seed: int) -> None:
    data = drawn(classes, seed)
    result = data.ours(["accuracy", "accuracy:top=2"])
    for label, top in (("accuracy", 1), ("accuracy:top=2", 2)):
        peer = classification.MulticlassAccuracy(classes, average="micro", top_k=top)
        assert result.value(label) == pytest.approx(float(peer(*data.tensors)), abs=SINGLE)


@pytest.mark.parametrize(("classes", "seed"), CASES)
def test_f1(classes: int, seed: int) -> None:
    data = drawn(classes, seed)
    result = data.ours(["f1:per_class=true"])
    for output, average in (("f1", "macro"), ("micro", "micro"), ("weighted", "weighted")):
        peer = classification.MulticlassF1Score(classes, average=average)
        expected = float(peer(*data.tensors))
        assert result.value("f1", output) == pytest.approx(expected, abs=SINGLE)
    for output, name in (("f1", "F1Score"), ("precision", "Precision"), ("recall", "Recall")):
        peer = getattr(classification, f"Multiclass{name}")(classes, average="none")
        for label, expected in enumerate(peer(*data.tensors).tolist()):
            assert result.value("f1", f"{label} {output}") == pytest.approx(expected, abs=SINGLE)


@pytest.mark.parametrize(("classes", "seed"), CASES)
def test_confusion(classes: int, seed: int) -> None:
    data = drawn(classes, seed)
    result = data.ours(["confusion"])
    cells = classification.MulticlassConfusionMatrix(classes, normalize="true")(*data.tensors)
    for actual, row in enumerate(cells.tolist()):
        for predicted, expected in enumerate(row):
            cell = result.value("confusion", f"{actual}→{predicted}")
            assert cell == pytest.approx(expected, abs=SINGLE)
        assert result.value("confusion", f"{actual}→(other)") == 0
    peer = classification.MulticlassAccuracy(classes, average="macro")
    assert result.value("confusion") == pytest.approx(float(peer(*data.tensors)), abs=SINGLE)


@pytest.mark.parametrize("bins", [1, 10, 15, 40])
@pytest.mark.parametrize(("classes", "seed"), CASES)
def test_calibration_error(classes: int, seed: int, bins: int) -> None:
    data = drawn(classes, seed)
    result = data.ours([f"calibration_error:bins={bins}"])
    peer = classification.MulticlassCalibrationError(classes, n_bins=bins, norm="l1")
    assert result.value("calibration_error") == pytest.approx(
        float(peer(*data.tensors)), abs=SINGLE
    )


def on_edges(bins: int, seed: int) -> Drawn:
    """Two classes; the top probability is an edge of the bins, 1 among them."""
    generator = np.random.default_rng(seed)
    edges = np.arange(bins + 1) / bins
    top = generator.choice(edges[edges > 0.5], 1000)
    actual = generator.integers(0, 2, 1000)
    return Drawn(np.column_stack([top, 1 - top]), actual.astype(np.int64))


@pytest.mark.parametrize("bins", [4, 5, 8, 10, 15])
def test_probabilities_on_the_edges_of_bins(bins: int) -> None:
    data = on_edges(bins, bins)
    peer = classification.MulticlassCalibrationError(2, n_bins=bins, norm="l1")
    result = data.ours([f"calibration_error:bins={bins}"])
    assert result.value("calibration_error") == pytest.approx(
        float(peer(*data.tensors)), abs=SINGLE
    )


def test_an_edge_that_float32_moves() -> None:
    """In float32, 9/20 lies below torchmetrics' tenth edge of 20; here it is the edge."""
    data = Drawn(
        np.array([[0.45, 0.30, 0.25], [0.46, 0.30, 0.24]]), np.array([0, 1], dtype=np.int64)
    )
    peer = classification.MulticlassCalibrationError(3, n_bins=20, norm="l1")
    found = data.ours(["calibration_error:bins=20"]).value("calibration_error")
    assert float(peer(*data.tensors)) == pytest.approx((0.55 + 0.46) / 2)
    assert found == pytest.approx(abs(1 - 0.45 - 0.46) / 2)


def test_a_predicted_class_without_references_is_averaged_in_there_and_not_here() -> None:
    predicted, actual = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1])
    peer = classification.MulticlassF1Score(3, average="macro")
    theirs = float(peer(torch.from_numpy(predicted), torch.from_numpy(actual)))
    ours = evalkit.score(text(predicted), text(actual), ["f1"], interval="none")
    assert ours.value("f1") == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert theirs == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_a_class_that_is_nowhere_is_left_out_of_the_mean_here_and_there() -> None:
    """A slice without the class 2, under the fit of the full set."""
    predicted, actual = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2])
    part = [True, True, True, False]
    peer = classification.MulticlassF1Score(3, average="macro")
    theirs = float(peer(torch.from_numpy(predicted[part]), torch.from_numpy(actual[part])))
    ours = evalkit.score(
        text(predicted),
        text(actual),
        ["f1"],
        slices={"part": ["a" if one else "b" for one in part]},
        interval="none",
    )
    assert ours.value("f1", slice={"field": "part", "value": "a"}) == pytest.approx(theirs)
