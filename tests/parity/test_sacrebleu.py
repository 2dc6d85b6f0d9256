"""bleu, chrf and ter against sacrebleu: values, signatures, intervals, and the contract we use."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import pytest
import sacrebleu
from sacrebleu.metrics.base import Metric as Counter
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

import evalkit
from evalkit.records.example import Example
from tests.corpora import text_system

BLEU_PARAMETERS: list[dict[str, Any]] = [
    {},
    {"tokenize": "none"},
    {"tokenize": "intl"},
    {"tokenize": "char"},
    {"tokenize": "zh"},
    {"lowercase": True},
    {"smooth_method": "none"},
    {"smooth_method": "floor"},
    {"smooth_method": "floor", "smooth_value": 0.3},
    {"smooth_method": "add-k"},
    {"smooth_method": "add-k", "smooth_value": 2.5},
    {"max_ngram_order": 2},
    {"max_ngram_order": 6},
    {"effective_order": True},
]
CHRF_PARAMETERS: list[dict[str, Any]] = [
    {},
    {"word_order": 2},
    {"char_order": 4, "word_order": 1},
    {"beta": 1},
    {"beta": 3},
    {"lowercase": True},
    {"whitespace": True},
    {"eps_smoothing": True},
    {"eps_smoothing": True, "word_order": 2},
]
TER_PARAMETERS: list[dict[str, Any]] = [
    {},
    {"case_sensitive": True},
    {"no_punct": True},
    {"normalized": True},
    {"normalized": True, "asian_support": True},
]
CASES = [
    *(("bleu", BLEU, parameters) for parameters in BLEU_PARAMETERS),
    *(("chrf", CHRF, parameters) for parameters in CHRF_PARAMETERS),
    *(("ter", TER, parameters) for parameters in TER_PARAMETERS),
]


def streams(examples: Sequence[Example]) -> list[list[str | None]]:
    most = max(len(example.references) for example in examples)
    return [
        [example.references[i] if i < len(example.references) else None for example in examples]
        for i in range(most)
    ]


def theirs(peer: Counter, examples: Sequence[Example]) -> tuple[float, str]:
    value = peer.corpus_score([one.prediction for one in examples], streams(examples))  # type: ignore[arg-type]
    return value.score, str(peer.get_signature())


def ours(name: str, parameters: dict[str, Any], examples: Sequence[Example]) -> dict[str, Any]:
    from evalkit import catalogue

    result = evalkit.score(
        [one.prediction for one in examples],
        [one.references for one in examples],
        [catalogue.metric_class(name)(**parameters)],
        ids=[one.id for one in examples],
        interval="none",
    )
    return result.scores[0]


@pytest.mark.parametrize(("name", "peer", "parameters"), CASES)
@pytest.mark.parametrize("references", [1, 3, None], ids=["one", "three", "varying"])
def test_value_and_signature(
    name: str, peer: type[Counter], parameters: dict[str, Any], references: int | None
) -> None:
    """Every parameter, on 30 random corpora of 1 to 30 segments, with empty strings among them."""
    for seed in range(30):
        examples = list(text_system(1 + seed, seed, references=references).examples)
        if seed % 3 == 1:
            examples[0] = Example(examples[0].id, "", examples[0].references)
        if seed % 5 == 1:
            examples[-1] = Example(examples[-1].id, "a", ("", *examples[-1].references[1:]))
        if seed % 7 == 3:
            examples = [Example(one.id, "zzz", one.references) for one in examples]
        value, signature = theirs(peer(**parameters), examples)
        score = ours(name, parameters, examples)
        assert score["value"] == pytest.approx(value, rel=1e-12, abs=1e-12)
        assert score["signature"] == signature


def test_each_example_alone_is_sentence_level() -> None:
    examples = text_system(40, 9, references=2).examples
    result = evalkit.score(
        [one.prediction for one in examples],
        [one.references for one in examples],
        ["bleu:effective_order=true", "chrf", "ter"],
        ids=[one.id for one in examples],
        interval="none",
    )
    peers = {"bleu:effective_order=True": BLEU(effective_order=True), "chrf": CHRF(), "ter": TER()}
    for example, record in zip(examples, result.examples, strict=True):
        for label, peer in peers.items():
            expected = peer.sentence_score(example.prediction, list(example.references)).score
            (value,) = record["scores"][label].values()
            assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("name", "peer"), [("bleu", BLEU), ("chrf", CHRF), ("ter", TER)])
def test_percentile_interval_under_sacrebleus_own_draws(name: str, peer: type[Counter]) -> None:
    """`--bootstrap multinomial` draws sacrebleu's indices; its statistics are float32: 1e-4."""
    examples = text_system(200, 11, references=1).examples
    score = peer().corpus_score(
        [one.prediction for one in examples],
        [[one.references[0] for one in examples]],
        n_bootstrap=1000,
    )
    result = evalkit.score(
        [one.prediction for one in examples],
        [one.references for one in examples],
        [name],
        ids=[one.id for one in examples],
        interval="percentile",
        bootstrap="multinomial",
        resamples=1000,
        seed=12345,
    )
    found = result.scores[0]["interval"]
    mean = found["bias"] + result.scores[0]["value"]
    assert mean == pytest.approx(score._mean, abs=1e-4)
    # sacrebleu takes order statistics 25 and 974 of 1,000, numpy's quantile lies between two.
    half = (found["high"] - found["low"]) / 2
    assert half == pytest.approx(score._ci, rel=0.03)


def test_an_empty_line_is_no_reference_here_and_an_empty_reference_there() -> None:
    """sacrebleu's command line keeps '' as a reference, which shortens BLEU's closest length."""
    examples = [Example("1", "a b c d", ("a b c d e f g h i", ""))]
    kept, _ = theirs(BLEU(), examples)
    without = ours("bleu", {}, [Example("1", "a b c d", ("a b c d e f g h i",))])
    assert kept > without["value"] + 1


def test_contract_of_the_underscore_methods() -> None:
    """What evalkit/text/sacrebleu_counts.py relies on, so that a new sacrebleu fails here first."""
    assert int(metadata.version("sacrebleu").split(".")[0]) == 2
    hypotheses = ["a b c", "d"]
    references: list[Any] = [["a b d", "d"], ["a", None]]
    bleu = BLEU()._extract_corpus_statistics(hypotheses, references)
    assert bleu == [[3, 3, 2, 1, 0, 0, 3, 2, 1, 0], [1, 1, 1, 0, 0, 0, 1, 0, 0, 0]]
    chrf = CHRF(char_order=2)._extract_corpus_statistics(hypotheses, references)
    assert chrf == [[3, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]]  # 'a' wins by its recall
    ter = TER()._extract_corpus_statistics(hypotheses, references)
    assert ter == [[1, 2.0], [0, 1.0]]
    # The trap: unequal lengths are cut in silence.
    assert len(BLEU()._extract_corpus_statistics(["a", "b"], [["a"]])) == 1


def test_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """sacrebleu warns of text that looks tokenised after 100 lines; here it says nothing."""
    texts = ["a tokenised line ."] * 150
    sacrebleu.corpus_bleu(texts, [texts])
    assert "tokenized period" in caplog.text
    caplog.clear()
    result = evalkit.score(texts, texts, ["bleu"], interval="none")
    assert result.value("bleu") == pytest.approx(100)
    assert caplog.text == ""
