"""SPICE: F-score of the objects, attributes and relations that captions name."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

import evalkit
from evalkit.errors import MetricError, UnavailableError
from evalkit.java import process
from evalkit.java.runtime import java, major_version, packaged_file
from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example
from evalkit.tables.cache import default_folder
from evalkit.text import tokenizers

JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
MAIN = "edu.anu.spice.SpiceScorer"
NEWEST_JAVA = 14  # the jar writes its result with the JavaScript engine that Java 15 dropped
START_SECONDS, SECONDS_PER_TEXT = 900.0, 1.0  # until given up; many times what parsing takes
# SPICE's cache looks into Java's own classes, which Java 16 and later allow only if told to.
OPENED = (
    *(f"java.base/java.{name}" for name in "lang util math net text io util.concurrent".split()),
    "java.sql/java.sql",
)


class _Share(msgspec.Struct):
    f: float
    pr: float
    re: float


class _Scores(msgspec.Struct):
    overall: _Share = msgspec.field(name="All")


class _Image(msgspec.Struct):
    image_id: int
    scores: _Scores


@dataclass(frozen=True)
class Spice(MeanMetric):
    """tokenize: before SPICE's own parser, as for COCO captions: ptb, ptb-java or none."""

    tokenize: str = "ptb"

    outputs: ClassVar = (Output("spice"), Output("precision"), Output("recall"))
    reads: ClassVar = "text"
    whole: ClassVar = True
    reference: ClassVar = "Anderson et al. 2016; SPICE 1.0 as in pycocoevalcap 1.2"

    def __post_init__(self) -> None:
        tokenizers.check(self.tokenize)

    def signature(self, fitted: Fitted) -> str:
        tokenizer = tokenizers.SIGNATURES[self.tokenize]
        return f"tok:{tokenizer}|spice:1.0|corenlp:3.6.0|evalkit:{evalkit.__version__}"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[float, ...]]:
        """(F, precision, recall, 1) per example, of one run of Java for all of them.

        An image whose references or prediction name nothing has 0, as in SPICE.
        """
        command = _command()
        with tempfile.TemporaryDirectory(prefix="evalkit-") as name:
            folder = Path(name)
            texts = self._write(examples, folder / "input.json")
            process.run(
                "spice",
                [*command, "input.json", *_cache(), "-out", "output.json", "-silent"],
                folder,
                seconds=START_SECONDS + SECONDS_PER_TEXT * texts,
                variables=_variables(),
            )
            found = _read(folder, len(examples))
        for share in found:
            yield share.f, share.pr, share.re, 1

    def _write(self, examples: Sequence[Example], path: Path) -> int:
        """How many texts; images are numbered, so that no id can be mistaken for another."""
        texts = [text for one in examples for text in (one.prediction, *one.references)]
        lines = (" ".join(tokens) for tokens in tokenizers.tokenize(self.tokenize, texts))
        images = [
            {
                "image_id": number,
                "test": next(lines),
                "refs": [next(lines) for _ in one.references],
            }
            for number, one in enumerate(examples)
        ]
        path.write_text(json.dumps(images), encoding="ascii")
        return len(texts)


def _command() -> list[str | Path]:
    """Up to the input; UnavailableError where CoreNLP or a fitting Java is not there."""
    jar = packaged_file("spice/spice-1.0.jar")  # finds the jars in its lib folder by itself
    own = os.environ.get("EVALKIT_SPICE_HOME")
    places = [Path(own).absolute()] if own else []
    home = next((one for one in (*places, jar.parent / "lib") if _complete(one)), None)
    if home is None:
        absent = "" if own is None else f" (EVALKIT_SPICE_HOME is {own}, which lacks them)"
        raise UnavailableError(
            f"{JARS[0]} and {JARS[1]} are needed{absent}, and a Java from 8 to {NEWEST_JAVA}; "
            "evalkit downloads nothing by itself: take stanford-corenlp-full-2015-12-09.zip from "
            "the release history on the download page of Stanford CoreNLP, put the two into a "
            "folder named by EVALKIT_SPICE_HOME, and name the Java by EVALKIT_JAVA"
        )
    program = java()
    version = major_version(program)
    engine = [*home.glob("nashorn-core*.jar"), *home.glob("asm*.jar")]
    if version is not None and version > NEWEST_JAVA and not engine:
        raise UnavailableError(
            f"{program} is Java {version}, and the jar of SPICE needs the JavaScript engine "
            f"of Java 8 to {NEWEST_JAVA}: set EVALKIT_JAVA to the java of one of them, e.g. 11"
        )
    classes = os.pathsep.join(map(str, [*(home / one for one in JARS), jar, *engine]))
    return [program, "-Xmx8G", "-Dfile.encoding=UTF-8", "-cp", classes, MAIN]


def _complete(folder: Path) -> bool:
    return all((folder / one).is_file() for one in JARS)


def _cache() -> list[str]:
    """Where SPICE keeps the captions that it parsed; none where it cannot be written."""
    folder = default_folder() / "evalkit-spice"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return ["-cache", str(folder.absolute())]
    return []


def _variables() -> dict[str, str]:
    """By a variable, because Java 8 does not know the option and does not read the variable."""
    opened = [f"--add-opens {one}=ALL-UNNAMED" for one in OPENED]
    return {"JDK_JAVA_OPTIONS": " ".join([*opened, os.environ.get("JDK_JAVA_OPTIONS", "")])}


def _read(folder: Path, images: int) -> list[_Share]:
    """In order of image; MetricError where the result is not of these images."""
    try:
        content = (folder / "output.json").read_bytes()
        found = msgspec.json.decode(content, type=list[_Image])
    except (OSError, msgspec.DecodeError) as error:
        reason = process.one_line(str(error))
        raise MetricError(
            f"spice: the jar gave no result ({reason}){process.last_words(folder)}"
        ) from None
    shares = {one.image_id: one.scores.overall for one in found}
    if sorted(shares) != list(range(images)) or len(found) != images:
        raise MetricError(f"spice: the jar gave {len(found)} results for {images} images")
    return [shares[number] for number in range(images)]
