"""meteor and ptb-java against pycocoevalcap 1.2, on COCO's own demo captions.

The references lie in the pycocoevalcap wheel. Published for these 1,000 captions by the notebook
of coco-caption: METEOR 0.195.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.errors import UnavailableError
from evalkit.java.runtime import java, packaged_file
from evalkit.metric import Fitted, SumMetric
from evalkit.records.example import Example
from evalkit.text import ptb_java
from evalkit.text.tokenizers import tokenize
from tests.corpora import WORDS

pytest.importorskip("pycocoevalcap", reason="pycocoevalcap is not installed (extra `caption`)")


@pytest.fixture(scope="module", autouse=True)
def _same_java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """pycocoevalcap calls the `java` of PATH."""
    try:
        found = java()
    except UnavailableError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(found.parent), prepend=":")
        yield


@pytest.fixture(scope="module")
def references() -> dict[int, list[str]]:
    """40,504 images of val2014 and their captions."""
    with zipfile.ZipFile(packaged_file("spice/spice-1.0.jar")) as jar:
        document = json.loads(jar.read("coco/annotations/captions_val2014.json"))
    found: dict[int, list[str]] = {}
    for one in document["annotations"]:
        found.setdefault(one["image_id"], []).append(one["caption"])
    return found


@pytest.fixture(scope="module")
def tokenised(data: Path, references: dict[int, list[str]]) -> list[Example]:
    """The 1,000 demo captions and their references, as the tokens that coco-caption scores."""
    packed = data / "coco-fakecap" / "captions_val2014_fakecap_results.json.gz"
    captions = json.loads(gzip.decompress(packed.read_bytes()))
    texts = [text for one in captions for text in (one["caption"], *references[one["image_id"]])]
    lines = (" ".join(tokens) for tokens in tokenize("ptb-java", texts))
    return [
        Example(
            str(one["image_id"]),
            next(lines),
            tuple(next(lines) for _ in references[one["image_id"]]),
        )
        for one in captions
    ]


@pytest.fixture(scope="module")
def meteor() -> SumMetric:
    metric = catalogue.metric("meteor:tokenize=none")
    assert isinstance(metric, SumMetric)
    return metric


@pytest.fixture(scope="module")
def peer() -> Iterator[Any]:
    from pycocoevalcap.meteor.meteor import Meteor

    made = Meteor()
    yield made
    for pipe in (made.meteor_p.stdout, made.meteor_p.stderr):
        pipe.close()


def theirs(peer: Any, examples: list[Example]) -> tuple[float, list[float]]:
    found: tuple[float, list[float]] = peer.compute_score(
        {one.id: list(one.references) for one in examples},
        {one.id: [one.prediction] for one in examples},
    )
    return found


def compare(meteor: SumMetric, peer: Any, examples: list[Example]) -> float:
    """The corpus value, after a check of every example and of the sum."""
    value, each = theirs(peer, examples)
    rows = np.array([*meteor.rows(examples, Fitted())], np.float64)
    assert meteor.from_sums(rows, {})[:, 0] == pytest.approx(each, abs=1e-12)
    assert meteor.from_sums(rows.sum(axis=0)[None], {}) == pytest.approx(value, abs=1e-12)
    return value


def test_the_published_value(meteor: SumMetric, peer: Any, tokenised: list[Example]) -> None:
    value = compare(meteor, peer, tokenised)
    assert len(tokenised) == 1000
    assert value == pytest.approx(0.19525467177780284, abs=1e-12)
    assert round(value, 3) == 0.195


@pytest.mark.parametrize("seed", range(3))
def test_perfect_empty_and_odd_texts(meteor: SumMetric, peer: Any, seed: int) -> None:
    """Perfect matches, whose chunks METEOR leaves out of its sums; empty texts; odd characters."""
    generator = np.random.default_rng(seed)
    words = [*WORDS, "1\xa01/2", "''", "-lrb-", "Über", "İstanbul", "cats", "running", "a lot of"]
    examples = []
    for i in range(60):
        texts = [
            " ".join(generator.choice(words, generator.integers(0, 9))) for _ in range(1 + i % 4)
        ]
        prediction = texts[-1] if i % 3 == 0 else " ".join(generator.choice(words, i % 11))
        examples.append(Example(f"{i:02}", prediction, tuple(texts)))
    compare(meteor, peer, examples)
    compare(meteor, peer, [one for one in examples if one.prediction in one.references])


def test_weighted_sums_are_what_the_jar_makes_of_repeated_lines(
    meteor: SumMetric, peer: Any, tokenised: list[Example]
) -> None:
    examples = tokenised[:50]
    weights = np.random.default_rng(0).poisson(1.0, 50)
    rows = np.array([*meteor.rows(examples, Fitted())], np.float64)
    repeated = [
        Example(f"{one.id}-{copy}", one.prediction, one.references)
        for one, weight in zip(examples, weights, strict=True)
        for copy in range(weight)
    ]
    value, _ = theirs(peer, repeated)
    assert meteor.from_sums((weights @ rows)[None], {}) == pytest.approx(value, abs=1e-12)


def test_tokens_are_pycocoevalcaps(references: dict[int, list[str]]) -> None:
    """10,000 captions, and texts that are odd but hold no line separator; one between any two."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    captions = [text for texts in list(references.values())[:2000] for text in texts]
    captions += [
        "",
        " ",
        "(a) [b] {c}",
        "1 1/2 cups",
        "don't — “stop” …",
        "\U0001f600",
        "&amp; <b>",
    ]
    captions += ["a\x85b", "a\x1cb", "*NL* *CR*", "\0", "İ I ß", "a. b. c", "x" * 3000, "a\nb"]
    spaced = [line for one in captions for line in (one, "x")]
    peer = PTBTokenizer().tokenize({i: [{"caption": one}] for i, one in enumerate(spaced)})
    found = tokenize("ptb-java", captions)
    assert len(found) >= 10_000
    assert [" ".join(tokens) for tokens in found] == [peer[2 * i][0] for i in range(len(captions))]


def test_tokens_are_those_of_the_text_alone() -> None:
    """Java gives "b" or "b." depending on how the next line begins."""
    alone = ptb_java.tokens_of(["This is plan B."])
    assert ptb_java.tokens_of(["This is plan B.", "The cat"])[:1] == alone


@pytest.mark.parametrize(
    "separator", ["\r", "\n", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"]
)
def test_a_line_separator_shifts_no_text(separator: str) -> None:
    texts = ["one", f"A cat{separator}sat", separator, "two"]
    assert ptb_java.tokens_of(texts) == [["one"], ["a", "cat", "sat"], [], ["two"]]


def test_nothing_is_written_where_the_package_lies(
    meteor: SumMetric, tokenised: list[Example]
) -> None:
    spec = find_spec("pycocoevalcap")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (folder,) = spec.submodule_search_locations

    def listing() -> list[tuple[Path, float]]:
        found = (path for path in Path(folder).rglob("*") if "__pycache__" not in path.parts)
        return sorted((path, path.stat().st_mtime) for path in found)

    before = listing()
    assert [*meteor.rows(tokenised[:1], Fitted())]
    assert tokenize("ptb-java", ["a"]) == [["a"]]
    assert listing() == before


def test_a_folder_whose_name_holds_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenised: list[Example], meteor: SumMetric
) -> None:
    """The jar alone does not find its paraphrases there."""
    home = tmp_path / "my envirönment"
    for name in ("meteor/meteor-1.5.jar", "meteor/data/paraphrase-en.gz"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(packaged_file(name), home / name)
    module = sys.modules[type(meteor).__module__]
    monkeypatch.setattr(module, "packaged_file", lambda name: home / name)
    elsewhere = catalogue.metric("meteor:tokenize=none")
    found = np.array([*elsewhere.rows(tokenised[:20], Fitted())])
    assert np.array_equal(found, np.array([*meteor.rows(tokenised[:20], Fitted())]))
