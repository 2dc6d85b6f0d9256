"""Penn Treebank tokens as COCO captions are scored: CoreNLP 3.4.1, run as pycocoevalcap does."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evalkit.errors import MetricError, counted
from evalkit.java import process
from evalkit.java.runtime import java, packaged_file

JAR = "tokenizer/stanford-corenlp-3.4.1.jar"
# The brackets never match, because tokens are lower case: pycocoevalcap's quirk, kept for parity.
PUNCTUATION = frozenset("'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split())
BREAKS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")  # what Java or Python takes for a line's end
NEUTRAL = "x"  # a line between texts
START_SECONDS, TEXTS_PER_SECOND = 120, 1000  # until given up; a tenth of the speed measured


def tokens_of(texts: Sequence[str]) -> list[list[str]]:
    """Lower-case tokens of each text without punctuation, by one run of Java for all of them.

    As PTBTokenizer of pycocoevalcap 1.2, which breaks a text at a line separator and so shifts
    all later ones. Java also looks past the end of a text, so that pycocoevalcap gives "plan B."
    another token before "The cat" (6 of 202,654 COCO captions); here a neutral line follows each,
    and the tokens are those of the text alone. UnavailableError where Java or the package is not
    there.
    """
    if not texts:
        return []
    program = (java(), "-cp", packaged_file(JAR), "edu.stanford.nlp.process.PTBTokenizer")
    with tempfile.TemporaryDirectory(prefix="evalkit-") as name:
        folder = Path(name)
        with (folder / "texts").open("w", encoding="utf-8", newline="\n") as source:
            source.writelines(f"{BREAKS.sub(' ', text)}\n{NEUTRAL}\n" for text in texts)
        with (folder / "tokens").open("wb") as tokens:
            process.run(
                "ptb-java",
                [*program, "-preserveLines", "-lowerCase", "texts"],
                folder,
                seconds=START_SECONDS + len(texts) / TEXTS_PER_SECOND,
                stdout=tokens,
            )
        found = (folder / "tokens").read_bytes().decode("utf-8").split("\n")[:-1]
    if len(found) != 2 * len(texts) or any(line != NEUTRAL for line in found[1::2]):
        raise MetricError(
            f"ptb-java: {counted(len(found), 'line')} of tokens for {counted(len(texts), 'text')}, "
            "or other ones than were asked for"
        )
    return [_words(line) for line in found[::2]]


def _words(line: str) -> list[str]:
    """Split at spaces alone: a no-break space holds "1 1/2" together as one token."""
    return [token for token in line.rstrip().split(" ") if token and token not in PUNCTUATION]
