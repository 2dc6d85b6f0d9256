"""cider against pycocoevalcap 1.2's Cider, on the captions of its own wheel and on odd ones."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.metric import Fitted, Metric
from evalkit.records.example import Example
from evalkit.text import document_frequencies
from evalkit.text.document_frequencies import DocumentFrequencies, write
from tests import captions
from tests.captions import as_library, odd_system, system, val2014

peers = pytest.importorskip(
    "pycocoevalcap.cider.cider_scorer", reason="pycocoevalcap is not installed: extra `caption`"
)


def cider(**parameters: Any) -> Metric:
    return catalogue.metric_class("cider")(**parameters)


def theirs(examples: Sequence[Example]) -> tuple[float, Any]:
    from pycocoevalcap.cider.cider import Cider

    value, each = Cider().compute_score(*as_library(examples))
    return float(value), each


def ours(
    examples: Sequence[Example], metric: Metric | None = None, fitted: Fitted | None = None
) -> Any:
    """The value of every example."""
    metric = metric or catalogue.metric("cider:tokenize=none")
    fitted = fitted or metric.fit([one.references for one in examples])
    rows = np.array(list(metric.rows(examples, fitted)))
    assert (rows[:, 1] == 1).all()
    return rows[:, 0]


def assert_equal(examples: Sequence[Example]) -> None:
    value, each = theirs(examples)
    found = ours(examples)
    assert np.abs(found - each).max() < 1e-9
    assert found.mean() == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("references", [5, None], ids=["five", "varying"])
def test_five_thousand_images(references: int | None) -> None:
    images = dict(list(val2014().items())[:5000])
    assert_equal(system(images, seed=1, references=references))


@pytest.mark.slow
def test_all_images() -> None:
    examples = system(val2014(), seed=2)
    assert len(examples) == 40504
    assert_equal(examples)


@pytest.mark.parametrize("seed", range(40))
def test_odd_captions(seed: int) -> None:
    assert_equal(odd_system(1 + 2 * seed, seed))


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = odd_system(50, seed=3)
    whole = ours(examples)
    fitted = cider(tokenize="none").fit([one.references for one in examples])
    monkeypatch.setattr(document_frequencies, "BLOCK", 11)
    in_blocks = cider(tokenize="none").fit([one.references for one in examples])
    assert in_blocks.digest() == fitted.digest()
    import evalkit.metrics.cider as module  # type: ignore[import-not-found, unused-ignore]

    monkeypatch.setattr(module, "BATCH", 7)
    assert ours(examples).tolist() == whole.tolist()


def test_published_fakecap(data: Path) -> None:
    """coco-caption's notebook prints .600; pycocoevalcap 1.2 gives .5997905185184199."""
    pytest.importorskip("evalkit.text.ptb", reason="no tokeniser in Python yet")
    examples = captions.fakecap(data)
    assert len(examples) == 1000
    result = evalkit.score(
        [one.prediction for one in examples],
        [one.references for one in examples],
        ["cider"],
        interval="none",
    )
    assert result.value("cider") == pytest.approx(0.5997905185184199, abs=1e-12)


def test_a_token_with_a_space_inside_is_two_words() -> None:
    """pycocoevalcap joins its tokens and splits them again, at the no-break space as well."""
    pytest.importorskip("evalkit.text.ptb", reason="no tokeniser in Python yet")
    raw = [Example("1", "1 1/2 cups", ("1 3/4 cups",)), Example("2", "tea", ("a tea",))]
    tokens = [("1\xa01/2 cups", "1\xa03/4 cups"), ("tea", "a tea")]
    tokenised = [Example(str(i), one, (other,)) for i, (one, other) in enumerate(tokens)]
    expected = theirs(tokenised)[1]
    assert expected[0] > 1
    assert ours(raw, cider()) == pytest.approx(expected, abs=1e-9)


def test_a_slice_keeps_the_frequencies_of_the_full_set() -> None:
    examples = odd_system(40, seed=4)
    each = theirs(examples)[1]
    result = evalkit.score(
        [one.prediction for one in examples],
        [one.references for one in examples],
        ["cider:tokenize=none"],
        ids=[one.id for one in examples],
        slices={"half": ["first"] * 20 + ["second"] * 20},
        interval="none",
    )
    by_half = {one["slice"]["value"]: one["value"] for one in result.scores if one["slice"]}
    assert by_half["first"] == pytest.approx(each[:20].mean(), abs=1e-12)
    assert by_half["second"] == pytest.approx(each[20:].mean(), abs=1e-12)
    assert "|documents:40|" in result.scores[0]["signature"]


def test_scoring_again_counts_no_document_twice() -> None:
    """CiderScorer adds the same documents again at every call; here the fit stays what it was."""
    examples = odd_system(30, seed=5)
    scorer = peers.CiderScorer()
    for one in examples:
        scorer += (one.prediction, list(one.references))
    first = scorer.compute_score()[0]
    with pytest.raises(AssertionError):
        scorer.compute_score()
    metric = catalogue.metric("cider:tokenize=none")
    fits = [metric.fit([one.references for one in examples]) for _ in range(2)]
    assert fits[0].digest() == fits[1].digest()
    for fitted in fits:
        assert ours(examples, metric, fitted).mean() == pytest.approx(first, abs=1e-12)


def test_a_fit_does_not_depend_on_the_order_of_the_examples() -> None:
    examples = odd_system(30, seed=6)
    one, other = (
        catalogue.metric("cider:tokenize=none").fit([example.references for example in order])
        for order in (examples, examples[::-1])
    )
    assert one.digest() == other.digest()


def test_one_metric_on_two_sets_keeps_them_apart() -> None:
    metric = catalogue.metric("cider:tokenize=none")
    sets = [odd_system(20, seed) for seed in (7, 8)]
    fits = [metric.fit([one.references for one in examples]) for examples in sets]
    for examples, fitted in zip(sets, fits, strict=True):
        assert ours(examples, metric, fitted).tolist() == ours(examples).tolist()


def test_frequencies_of_other_documents(tmp_path: Path) -> None:
    """As many documents as examples, so that the library's own logarithm is right."""
    examples, others = odd_system(30, seed=9), odd_system(30, seed=10)
    others = [Example(one.id, one.prediction, one.references[:1]) for one in others]
    scorer = peers.CiderScorer()
    for one in examples:
        scorer += (one.prediction, list(one.references))
    frequencies: Counter[tuple[str, ...]] = Counter()
    for one in others:
        frequencies.update(set(peers.precook(one.references[0])))
    scorer.document_frequency.update(frequencies)
    expected = scorer.compute_cider()

    for name in ("df.json", "df.json.gz"):
        write(tmp_path / name, [one.references for one in others], tokenize="none")
        metric = cider(tokenize="none", df=str(tmp_path / name))
        assert np.abs(ours(examples, metric) - expected).max() < 1e-9
    stored = json.loads(gzip.decompress((tmp_path / "df.json.gz").read_bytes()))
    assert stored == json.loads((tmp_path / "df.json").read_bytes())
    assert stored["documents"] == 30
    assert {tuple(gram.split()): count for gram, count in stored["df"].items()} == frequencies


def test_a_file_may_list_an_ngram_without_its_first_words(tmp_path: Path) -> None:
    path = tmp_path / "df.json"
    path.write_text('{"documents": 100, "df": {"b c": 10, "c": 50}}', encoding="utf-8")
    metric = cider(tokenize="none", df=str(path))
    fitted = metric.fit([("b c",)])
    frequencies = DocumentFrequencies.of(fitted.state)
    assert [one.tolist() for one in frequencies.frequencies] == [[0, 50], [10], [], []]
    assert ours([Example("1", "b c", ("b c",))], metric, fitted) == pytest.approx(5)
    assert "|documents:100|" in metric.signature(fitted)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "truncated"),
        ('{"documents": 0, "df": {}}', "must be 1 to"),
        ('{"documents": 3, "df": {"a": 4}}', "4 of 3"),
        ('{"documents": 3, "df": {"a": 0}}', "0 of 3"),
        ('{"documents": 3, "df": {"a  b": 1}}', "one space"),
        ('{"documents": 3, "df": {"a b c d e": 1}}', "1 to 4 words"),
        ('{"documents": 3, "df": {"a": 1.5}}', "int"),
        ('{"documents": 3, "frequencies": {}}', "frequencies"),
    ],
)
def test_a_bad_file_of_frequencies(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "df.json"
    path.write_text(content, encoding="utf-8")
    metric = cider(tokenize="none", df=str(path))
    with pytest.raises(MetricError, match=message) as caught:
        metric.fit([("a",)])
    assert caught.value.where == str(path)


def test_no_file_of_frequencies(tmp_path: Path) -> None:
    metric = cider(df=str(tmp_path / "no.json.gz"), tokenize="none")
    with pytest.raises(MetricError, match="No such file"):
        metric.fit([("a",)])


def test_one_example_is_zero_and_says_why() -> None:
    assert_equal([Example("1", "a b c", ("a b c", "a b"))])
    result = evalkit.score(["a b c"], [["a b c"]], ["cider:tokenize=none"], interval="none")
    assert result.value("cider") == 0
    assert [one["code"] for one in result.warnings] == ["one-document"]


def test_an_unknown_tokeniser() -> None:
    with pytest.raises(MetricError, match='did you mean "ptb"'):
        catalogue.metric("cider:tokenize=pbt")
