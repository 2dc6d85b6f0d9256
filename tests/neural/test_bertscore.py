"""bertscore as a metric: parameters, what is empty or cut, and that batches change nothing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.metric import Metric
from evalkit.neural import encoder as encoders
from evalkit.neural.device import use_device
from evalkit.records.example import Example
from evalkit.table import Floats
from tests.corpora import text_system
from tests.neural.stored import minilm

pytest.importorskip("torch", reason="the extra `neural` is not installed")
pytest.importorskip("transformers")

BERTSCORE = importlib.import_module("evalkit.metrics.bertscore")
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def _on_the_processor() -> Iterator[None]:
    with use_device("cpu"):
        yield


def made(**more: Any) -> Metric:
    found: Any = catalogue.metric_class("bertscore")
    metric: Metric = found(model=minilm(), num_layers=2, **more)
    return metric


def rows(metric: Metric, examples: Sequence[Example]) -> Floats:
    fitted = metric.fit([example.references for example in examples])
    return np.array(list(metric.rows(examples, fitted)))


@pytest.fixture(scope="module")
def examples() -> Sequence[Example]:
    return text_system(40, 3).examples


@pytest.fixture(scope="module")
def alone(examples: Sequence[Example]) -> Floats:
    return rows(made(), examples)


def test_order_changes_nothing(examples: Sequence[Example], alone: Floats) -> None:
    order = np.random.default_rng(0).permutation(len(examples))
    again = rows(made(), [examples[i] for i in order])
    assert np.abs(again - alone[order]).max() < TOLERANCE


def test_batches_and_chunks_change_nothing(
    examples: Sequence[Example], alone: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(encoders.BATCH_TOKENS, "cpu", 200)
    monkeypatch.setattr(BERTSCORE, "CHUNK_TEXTS", 7)
    assert np.abs(rows(made(), examples) - alone).max() < TOLERANCE


@pytest.mark.parametrize("room", [0, 100_000])
def test_systems_together_or_alone(
    examples: Sequence[Example], alone: Floats, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders.TextEncoder.__init__, "__defaults__", (room,))
    metric = made()
    others = [
        Example(one.id, other.prediction, one.references)
        for one, other in zip(examples, examples[::-1], strict=True)
    ]
    rows(metric, others)
    assert np.abs(rows(metric, examples) - alone).max() < TOLERANCE


def test_references_are_encoded_once(
    examples: Sequence[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[list[int]] = []
    plain = encoders.TextEncoder._vectors

    def counting(self: Any, ids: Any) -> Any:
        encoded.extend(ids)
        return plain(self, ids)

    monkeypatch.setattr(encoders.TextEncoder, "_vectors", counting)
    metric = made()
    rows(metric, examples)
    texts = {text for one in examples for text in (one.prediction, *one.references)}
    assert len(encoded) == len(texts)
    encoded.clear()
    rows(metric, [Example(one.id, f"{one.prediction} too", one.references) for one in examples])
    assert len(encoded) == len({one.prediction for one in examples})


def test_rows_come_while_others_wait(
    examples: Sequence[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BERTSCORE, "CHUNK_TEXTS", 10)
    metric = made()
    taken: list[Example] = []

    class Watched(list[Example]):
        def __iter__(self) -> Iterator[Example]:
            for one in super().__iter__():
                taken.append(one)
                yield one

    fitted = metric.fit([example.references for example in examples])
    next(iter(metric.rows(Watched(examples), fitted)))
    assert len(taken) < len(examples) / 2


def test_empty_cut_and_emoji_are_counted_and_said() -> None:
    predictions = ["", " \t\n", "🙂", "dog " * 600, "a dog"]
    references = [["a dog"], ["a dog"], ["🙂"], ["a dog"], ["", " a  dog "]]
    result = evalkit.score(predictions, references, [made()], interval="none")
    values = [next(iter(one["scores"].values()))["bertscore"] for one in result.examples]
    assert values[:3] == [0, 0, pytest.approx(1, abs=1e-6)]
    assert 0 < values[3] < 1
    assert values[4] == pytest.approx(1, abs=1e-6)
    said = {one["message"] for one in result.to_dict()["warnings"]}
    assert "2 empty predictions scored 0" in said
    assert "1 empty reference scored 0" in said
    assert "1 of 11 texts cut at 512 tokens, the most that the model reads (9.1%)" in said


def test_texts_whose_tokens_all_weigh_nothing() -> None:
    """One reference: its tokens are in every document, so idf is log(2/2)."""
    metric = made(idf=True)
    found = rows(metric, [Example("1", "a dog", ("a dog",))])
    assert found[0, :3].tolist() == [0, 0, 0]
    result = evalkit.score(["a dog"], [["a dog"]], [metric], interval="none")
    assert any("idf 0" in one["message"] for one in result.to_dict()["warnings"])


def test_everything_is_empty() -> None:
    found = rows(made(), [Example("1", " ", ("", " "))])
    assert found[0].tolist() == [0, 0, 0, 1, 1, 2, 0, 3, 512, 0]


def test_several_references_give_the_best_of_each(examples: Sequence[Example]) -> None:
    two = [one for one in examples if len(one.references) > 1][:20]
    singles = [
        np.array([rows(made(), [Example("1", one.prediction, (text,))])[0, :3]])
        for one in two[:3]
        for text in one.references
    ]
    at = 0
    for row, one in zip(rows(made(), two), two[:3], strict=False):
        group = np.concatenate(singles[at : at + len(one.references)])
        at += len(one.references)
        assert row[:3] == pytest.approx(group.max(axis=0), abs=TOLERANCE)


def test_half_precision_is_near_and_says_so(examples: Sequence[Example], alone: Floats) -> None:
    metric = made(dtype="bf16")
    gap = np.abs(rows(metric, examples)[:, :3] - alone[:, :3]).max()
    assert 1e-6 < gap < 0.02
    assert "|dtype:bf16|" in metric.signature(metric.fit([["a"]]))


def test_signature_holds_no_path() -> None:
    metric = made(idf=True)
    signature = metric.signature(metric.fit([["a dog", "a cat"], ["a horse"]]))
    assert signature.startswith("nrefs:var|model:model@sha256:")
    assert "|layers:2|idf:yes|rescale:no|dtype:fp32|transformers:" in signature
    assert "/" not in signature


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dtype=bf61", 'did you mean "bf16"'),
        ("num_layers=-1", "num_layers must be"),
        ("baseline=en", "rescale=true only"),
        ("model=", "must name"),
    ],
)
def test_parameters_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        catalogue.metric(f"bertscore:{text}")


def test_rescaling_without_a_baseline_is_refused() -> None:
    with pytest.raises(MetricError, match="baseline=FILE"):
        made(rescale=True).fit([["a"]])


def test_cuda_that_is_absent_makes_the_metric_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = evalkit.score(["a"], [["a"]], [made()], interval="none", device="cuda")
    first = result.scores[0]
    assert (first["status"], first["value"]) == ("unavailable", None)
    assert "sees no CUDA device" in first["reason"]
