"""bertscore against bert-score 0.3.13: precision, recall and F1 of every pair within 1e-5."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.neural.bertscore_data import baseline, default_layer
from evalkit.neural.device import use_device
from evalkit.records.example import Example
from evalkit.table import Floats
from tests.neural.stored import SIZES, TEXTS, captions, minilm, tiny_model

pytest.importorskip("torch", reason="the extra `neural` is not installed")
bert_score = pytest.importorskip("bert_score", reason="the extra `neural` is not installed")
transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5
Pairs = tuple[list[str], list[list[str]]]


@pytest.fixture(autouse=True)
def _on_the_processor() -> Iterator[None]:
    with use_device("cpu"):
        yield


@pytest.fixture(scope="module")
def fakecap(data: Path) -> Pairs:
    """1,000 system captions with five human ones each."""
    with gzip.open(data / "coco-fakecap" / "captions_val2014_fakecap_results.json.gz") as stream:
        found = {one["image_id"]: one["caption"] for one in json.load(stream)}
    human = captions(50_000)
    return list(found.values()), [human[image][:5] for image in found]


def ours(predictions: Sequence[str], references: Sequence[Sequence[str]], **more: Any) -> Floats:
    """[examples, columns]: F1, precision, recall, …"""
    metric = catalogue.metric_class("bertscore")(**more)
    fitted = metric.fit(references)
    examples = [
        Example(str(i), prediction, tuple(texts))
        for i, (prediction, texts) in enumerate(zip(predictions, references, strict=True))
    ]
    return np.array(list(metric.rows(examples, fitted)))


def theirs(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    batch_size: int = 64,
    **more: Any,
) -> Floats:
    """[examples, 3]: F1, precision, recall."""
    if more.get("idf"):
        more["idf_sents"] = [text for texts in references for text in texts]
    scorer = bert_score.BERTScorer(device="cpu", nthreads=0, **more)
    texts = [list(one) for one in references]
    precision, recall, f1 = scorer.score(list(predictions), texts, batch_size=batch_size)
    return np.stack([f1.numpy(), precision.numpy(), recall.numpy()], axis=1)


def difference(found: Floats, expected: Floats) -> float:
    assert len(found) == len(expected)
    return float(np.abs(found[:, :3] - expected).max())


@pytest.mark.parametrize("idf", [False, True], ids=["even", "idf"])
@pytest.mark.parametrize(("examples", "references"), [(1000, 1), (200, 5)])
def test_captions(fakecap: Pairs, examples: int, references: int, idf: bool) -> None:
    predictions = fakecap[0][:examples]
    texts = [own[:references] for own in fakecap[1][:examples]]
    found = ours(predictions, texts, model=minilm(), num_layers=5, idf=idf)
    expected = theirs(predictions, texts, model_type=minilm(), num_layers=5, idf=idf)
    assert difference(found, expected) < TOLERANCE
    assert expected[:, 0].std() > 0.03


@pytest.mark.parametrize("layers", [0, 6])
def test_other_layers(fakecap: Pairs, layers: int) -> None:
    predictions, references = fakecap[0][:12], fakecap[1][:12]
    found = ours(predictions, references, model=minilm(), num_layers=layers)
    expected = theirs(predictions, references, model_type=minilm(), num_layers=layers)
    assert difference(found, expected) < TOLERANCE


def test_rescaled_by_a_file(fakecap: Pairs, tmp_path: Path) -> None:
    table = tmp_path / "own.tsv"
    lines = [f"{layer},0.{layer}1,0.{layer}2,0.{layer}3" for layer in range(7)]
    table.write_text("\n".join(["LAYER,P,R,F", *lines]), encoding="utf-8")
    predictions, references = fakecap[0][:12], fakecap[1][:12]
    own = {"model": minilm(), "num_layers": 5, "rescale": True, "baseline": str(table)}
    peer: dict[str, Any] = {
        "rescale_with_baseline": True,
        "baseline_path": str(table),
        "lang": "en",
    }
    expected = theirs(predictions, references, model_type=minilm(), num_layers=5, **peer)
    assert difference(ours(predictions, references, **own), expected) < TOLERANCE


def test_a_text_longer_than_the_model_reads() -> None:
    """One pair at a time: among longer ones, bert-score matches far tokens to padding."""
    long = " ".join(["a man rides a horse near the river", "and two dogs run"] * 60)
    predictions, references = [long, "a man"], [["a man rides"], [long]]
    found = ours(predictions, references, model=minilm(), num_layers=5)
    peer: dict[str, Any] = {"model_type": minilm(), "num_layers": 5}
    expected = theirs(predictions, references, **peer, batch_size=1)
    assert difference(found, expected) < TOLERANCE
    assert difference(found, theirs(predictions, references, **peer)) > 1e-4
    assert found[:, 6].tolist() == [1, 1]


def test_emoji_and_scripts() -> None:
    predictions = ["🙂🙂 ok", "🙂", "日本語 の 文", " Größe  naïve\t", "[SEP] a [MASK]"]
    references = [["ok 🙂"], ["😀"], ["日本 語"], ["groesse naive"], ["a mask"]]
    found = ours(predictions, references, model=minilm(), num_layers=5)
    expected = theirs(predictions, references, model_type=minilm(), num_layers=5)
    assert difference(found, expected) < TOLERANCE


def spaced_tokenizer(model_type: str, use_fast: bool = False) -> Any:
    """With the space before the first word that bert-score asks for and transformers 5 ignores."""
    return transformers.AutoTokenizer.from_pretrained(model_type, add_prefix_space=True)


@pytest.mark.parametrize("idf", [False, True], ids=["even", "idf"])
@pytest.mark.parametrize("family", sorted(SIZES))
def test_families(
    family: str, idf: bool, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
) -> None:
    """Random weights give negative cosines, which bert-score's padding hides: pairs one by one."""
    model = tiny_model(family, tmp_path_factory.mktemp(family))
    assert family == "t5" or "t5" not in model  # bert-score chooses T5 by the path's name
    predictions, references = TEXTS, [[one] for one in TEXTS[1:] + TEXTS[:1]]
    if family in ("roberta", "bart"):
        monkeypatch.setattr("bert_score.scorer.get_tokenizer", spaced_tokenizer)
    found = ours(predictions, references, model=model, num_layers=2, idf=idf)
    expected = theirs(
        predictions, references, model_type=model, num_layers=2, idf=idf, batch_size=1
    )
    positive = (expected > 0).all(axis=1)  # F1 means nothing where one of them is negative
    assert positive.sum() >= len(TEXTS) - 2
    assert difference(found[positive], expected[positive]) < TOLERANCE
    other = ours(predictions, references, model=model, num_layers=3, idf=idf)
    assert difference(other[:, :3], found[:, :3]) > 1e-3


def test_the_space_that_bert_score_loses_under_transformers_5(tmp_path: Path) -> None:
    """If this fails, bert-score's tokens are those of its published values again."""
    assert int(metadata.version("transformers").split(".")[0]) == 5
    model = tiny_model("roberta", tmp_path / "roberta")
    predictions, references = ["man rides"], [["a man rides"]]
    found = ours(predictions, references, model=model, num_layers=2)
    expected = theirs(predictions, references, model_type=model, num_layers=2)
    assert difference(found, expected) > 1e-3


def test_one_word_under_t5_is_not_empty(tmp_path: Path) -> None:
    """bert-score takes two tokens for [CLS] [SEP]; T5 adds one, so that a word counts as empty."""
    model = tiny_model("t5", tmp_path / "t5")
    found = ours(["dog"], [["dog"]], model=model, num_layers=2)
    expected = theirs(["dog"], [["dog"]], model_type=model, num_layers=2)
    assert expected.tolist() == [[pytest.approx(1, abs=1e-6), 0, 0]]
    assert found[0, :3] == pytest.approx([1, 1, 1], abs=1e-6)


def test_layers_and_baselines_are_bert_scores() -> None:
    from bert_score.utils import model2layers

    for model, layer in model2layers.items():
        assert default_layer(model) == layer
    assert default_layer("FacebookAI/roberta-large") == 17
    scorer = object.__new__(bert_score.BERTScorer)
    folder = Path(bert_score.__file__).parent / "rescale_baseline"
    scorer.__dict__.update(_baseline_vals=None, all_layers=False)
    for path in sorted(folder.rglob("*.tsv")):
        language, _, name = str(path.relative_to(folder).with_suffix("")).partition("/")
        layer = default_layer(name)
        scorer.__dict__.update(_baseline_vals=None, baseline_path=path, _num_layers=layer)
        values = baseline(name, layer, language).values
        assert values == pytest.approx(scorer.baseline_vals.tolist(), abs=1e-6)


def test_bert_score_is_the_version_that_is_followed() -> None:
    assert metadata.version("bert-score") == "0.3.13"
