"""rouge against rouge-score 0.1.2, rouge_l against pycocoevalcap 1.2, per example."""

from __future__ import annotations

import gzip
import importlib
import json
import random
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalkit
from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.records.example import Example
from evalkit.text import tokenizers

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
Pair = tuple[str, list[str]]


def ours(name: str, pairs: Sequence[Pair], **parameters: Any) -> Any:
    """Rows without the count and the flags [n, outputs]."""
    metric = catalogue.metric_class(name)(**parameters)
    examples = [Example(str(i), text, tuple(refs)) for i, (text, refs) in enumerate(pairs)]
    fitted = metric.fit([example.references for example in examples])
    rows = np.array([*metric.rows(examples, fitted)], float)
    return rows[:, : len(metric.outputs)]


def rouge_score(pairs: Sequence[Pair], stemmer: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(TYPES, use_stemmer=stemmer)
    scores = [scorer.score_multi(references, text) for text, references in pairs]
    return np.array([[one[kind].fmeasure for kind in TYPES] for one in scores])


def sentences_on_lines(text: str) -> str:
    return text.replace(". ", ".\n")


@pytest.fixture(scope="module")
def summaries(data: Path) -> list[Pair]:
    """Every tenth of the 18 x 100 summaries, with 10 references each."""
    folder = data / "summeval-cnndm"
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no {folder}")
    references = {one["id"]: one["references"] for one in lines(folder / "refs.jsonl.gz")}
    every = [
        (one["prediction"], references[one["id"]])
        for path in sorted((folder / "preds").glob("*.jsonl.gz"))
        for one in lines(path)
    ]
    assert len(every) == 1800
    return every[::10]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


@pytest.mark.parametrize("stemmer", [False, True])
def test_summaries(summaries: list[Pair], stemmer: bool) -> None:
    """As published (one line each), and with a line per sentence."""
    assert metadata.version("rouge_score") == "0.1.2"
    split = [
        (sentences_on_lines(text), [sentences_on_lines(one) for one in references])
        for text, references in summaries
    ]
    for pairs in (summaries[::2], split[1::2]):
        expected = rouge_score(pairs, stemmer)
        assert np.abs(ours("rouge", pairs, stemmer=stemmer) - expected).max() <= 1e-12
    assert (expected[:, 2] != expected[:, 3]).any()


WORD = st.sampled_from(
    "his hi cats running ponies Ünïcode İstanbul naïve 日本 \u212aelvin 3,5 it's _x_".split()
)
BREAK = st.sampled_from([" ", "\n", "\r\n", ".\n\n", "-", "\u2028", "\t", ""])
TEXT = st.one_of(
    st.text(max_size=30),
    st.lists(st.tuples(WORD, BREAK), max_size=25).map(lambda parts: "".join(sum(parts, ()))),
    st.text("ab \n", max_size=40),
)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_text(prediction: str, references: list[str], stemmer: bool) -> None:
    pairs = [(prediction, references)]
    difference = ours("rouge", pairs, stemmer=stemmer) - rouge_score(pairs, stemmer)
    assert np.abs(difference).max() <= 1e-12


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r", "\u2028", "\x0b"])
def test_only_a_newline_ends_a_sentence(separator: str) -> None:
    pairs: list[Pair] = [(f"w1 w3{separator}w1 w2", ["w1 w2 w3"])]
    expected = rouge_score(pairs, False)
    assert np.abs(ours("rouge", pairs) - expected).max() <= 1e-12
    assert (expected[0, 3] > expected[0, 2]) == ("\n" in separator)


def test_many_random_lines() -> None:
    """Several sentences with many repeated tokens, where the choice of subsequence matters."""
    draw = random.Random(11)

    def text() -> str:
        rows = (draw.choices("abcd", k=draw.randrange(12)) for _ in range(draw.randrange(5)))
        return "\n".join(" ".join(row) for row in rows)

    pairs = [(text(), [text() for _ in range(draw.randint(1, 3))]) for _ in range(1500)]
    assert np.abs(ours("rouge", pairs) - rouge_score(pairs, False)).max() <= 1e-12


def test_the_corpus_value_is_the_mean_and_the_texts_are_remarked_on() -> None:
    pairs: list[Pair] = [("a cat", ["a dog"]), ("", ["a dog"]), ("日本", ["日本"])]
    result = evalkit.score(
        [text for text, _ in pairs], [refs for _, refs in pairs], ["rouge"], interval="none"
    )
    assert result.value("rouge", "rouge1") == pytest.approx(0.5 / 3)
    messages = {one["code"]: one["message"] for one in result.warnings}
    assert messages["no-tokens"].startswith("2 predictions")
    assert messages["no-reference-tokens"].startswith("1 example ")
    assert "single-lines" in messages


def test_lines_are_not_remarked_on() -> None:
    result = evalkit.score(["a\nb"], ["a b"], ["rouge"], interval="none")
    assert not {"single-lines", "no-tokens"} & {one["code"] for one in result.warnings}


def test_without_nltk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the stemmer needs it, and says so."""
    monkeypatch.setitem(sys.modules, "nltk", None)
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    score = evalkit.score(["a"], ["a"], ["rouge"], interval="none").value("rouge", "rougeL")
    assert score == 1
    with pytest.raises(evalkit.EvalkitError, match="pip install nltk"):
        ours("rouge", [("a", ["a"])], stemmer=True)


@pytest.fixture(scope="module")
def captions() -> dict[int, list[str]]:
    """All captions of COCO val2014, which pycocoevalcap carries for SPICE."""
    folder = Path(*importlib.import_module("pycocoevalcap").__path__)
    with ZipFile(folder / "spice" / "spice-1.0.jar") as jar:
        stored = json.loads(jar.read("coco/annotations/captions_val2014.json"))
    found: dict[int, list[str]] = {}
    for one in stored["annotations"]:
        found.setdefault(one["image_id"], []).append(one["caption"])
    assert len(found) == 40_504
    return found


def pycocoevalcap(pairs: Sequence[Pair], tokenize: str) -> Any:
    """Given the same tokens, joined by a space as its own tokenizer joins them."""
    from pycocoevalcap.rouge.rouge import Rouge

    peer = Rouge()
    joined = [
        [" ".join(tokens) for tokens in tokenizers.tokenize(tokenize, [text, *references])]
        for text, references in pairs
    ]
    return np.array([[peer.calc_score([text], references)] for text, *references in joined])


@pytest.mark.parametrize("count", [5000, pytest.param(40_504, marks=pytest.mark.slow)])
def test_captions(captions: dict[int, list[str]], count: int) -> None:
    """Of each image a person's caption against the other four or more."""
    assert metadata.version("pycocoevalcap") == "1.2"
    pairs = [(one[0], one[1:]) for _, one in sorted(captions.items())[:count]]
    expected = pycocoevalcap(pairs, "ptb")
    assert np.abs(ours("rouge_l", pairs) - expected).max() <= 1e-12
    assert 0.2 < expected.mean() < 0.6


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_tokens_of_a_caption(prediction: str, references: list[str]) -> None:
    pairs = [(prediction, references)]
    difference = ours("rouge_l", pairs, tokenize="none") - pycocoevalcap(pairs, "none")
    assert abs(difference.item()) <= 1e-12


def test_captions_without_tokens() -> None:
    """pycocoevalcap splits "" into one empty token, which matches that of another ""."""
    pairs: list[Pair] = [("", ["a"]), ("a", [""]), ("", ["a b", ""])]
    assert ours("rouge_l", pairs, tokenize="none").ravel().tolist() == [0, 0, 1]
    assert pycocoevalcap(pairs, "none").ravel().tolist() == [0, 0, 1]
    metric = catalogue.metric("rouge_l:tokenize=none")
    result = evalkit.score(
        [text for text, _ in pairs], [refs for _, refs in pairs], [metric], interval="none"
    )
    (remark,) = [one for one in result.warnings if one["code"] == "no-tokens"]
    assert remark["message"].startswith("2 predictions ")


def test_an_unknown_tokenizer() -> None:
    with pytest.raises(MetricError, match='did you mean "ptb"'):
        catalogue.metric("rouge_l:tokenize=ptbb")
