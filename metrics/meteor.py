"""METEOR: unigram matches by form, stem, synonym and paraphrase, less a penalty for scattering."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

import evalkit
from evalkit.errors import MetricError
from evalkit.java.lines import LineServer
from evalkit.java.process import one_line
from evalkit.java.runtime import java, packaged_file
from evalkit.metric import Fitted, Output, SumMetric
from evalkit.records.example import Example
from evalkit.table import Floats
from evalkit.text import tokenizers

# METEOR 1.5, language en, task rank: the jar prints them as its "Parameters" and "Weights".
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
MODULES = (1.0, 0.6, 0.8, 0.6)  # exact, stem, synonym, paraphrase
# A row: words, words, function words, function words (of the prediction, then of the reference),
# for each module matched content words and matched function words of both, chunks, matched words
# of the prediction and of the reference.
STATISTICS, CHUNKS = 23, 20

HELLO = (
    "SCORE ||| a big dog quickly chased the small cats ||| two children run behind the house "
    "||| the large dog chases a small cat today",
    "8.0 8.0 2.0 2.0 2.0 2.0 2.0 2.0 1.0 1.0 0.0 0.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0 0.0 4.0 6.0 6.0",
)
ANSWER_SECONDS = 300.0  # two texts of 3,000 words take 20
SPACES = re.compile(r"[^\S\xa0]+")  # a no-break space holds "1 1/2" together as one token


@dataclass(frozen=True)
class Meteor(SumMetric):
    """tokenize: before METEOR's own normalisation, as for COCO captions: ptb, ptb-java or none."""

    tokenize: str = "ptb"

    outputs: ClassVar = (Output("meteor"),)
    reads: ClassVar = "text"
    whole: ClassVar = True
    reference: ClassVar = "Denkowski and Lavie 2014; METEOR 1.5 as in pycocoevalcap 1.2"

    def __post_init__(self) -> None:
        tokenizers.check(self.tokenize)

    def signature(self, fitted: Fitted) -> str:
        tokenizer = tokenizers.SIGNATURES[self.tokenize]
        return f"tok:{tokenizer}|lang:en|norm:yes|meteor:1.5|evalkit:{evalkit.__version__}"

    @cached_property
    def _server(self) -> LineServer:
        """One Java for all systems; it ends with this metric."""
        jar, paraphrases = packaged_file("meteor/meteor-1.5.jar"), "meteor/data/paraphrase-en.gz"
        # The paraphrases are named because METEOR does not find them by itself in a folder whose
        # name holds a space.
        options = ("-stdio", "-l", "en", "-norm", "-a", packaged_file(paraphrases))
        command = (java(), "-Xmx2G", "-jar", jar, "-", "-", *options)
        return LineServer("meteor", command, HELLO, answer_seconds=ANSWER_SECONDS)

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Floats]:
        """The statistics of the reference that METEOR likes best, [23] per example."""
        server = self._server
        questions = self._questions(examples)
        distinct = list(dict.fromkeys(questions))
        known: dict[str, Floats] = {}
        done = 0
        for question, answer in zip(distinct, server.ask(distinct), strict=True):
            known[question] = _statistics(answer)
            while done < len(questions) and questions[done] in known:
                yield known[questions[done]]
                done += 1

    def _questions(self, examples: Sequence[Example]) -> list[str]:
        """One line each: the references, then the prediction."""
        texts = [text for one in examples for text in (*one.references, one.prediction)]
        lines = map(_line, tokenizers.tokenize(self.tokenize, texts))
        return [
            " ||| ".join(["SCORE", *(next(lines) for _ in one.references), next(lines)])
            for one in examples
        ]

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """METEOR's score, 0..1; 0 where nothing matches."""
        precision, recall, _ = _shares(sums)
        return (_f_mean(precision, recall) * (1 - _penalty(sums)))[:, None]

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """Chain rule; 0 in the chunks where there are none, and everywhere without a match."""
        precision, recall, lengths = _shares(sums)
        penalty = _penalty(sums)
        mean = _f_mean(precision, recall)
        below = (1 - ALPHA) * recall + ALPHA * precision
        scale = _divide(1 - penalty, below**2)
        by_precision = _divide(scale * (1 - ALPHA) * recall**2, lengths[0])
        by_recall = _divide(scale * ALPHA * precision**2, lengths[1])
        scattered = mean * BETA * penalty
        by_chunks = -_divide(scattered, _linear(sums, CHUNK))
        by_words = _divide(scattered, _linear(sums, MATCHED_WORDS))
        slope = (
            by_precision[:, None] * MATCHED[0]
            - (by_precision * precision)[:, None] * LENGTH[0]
            + by_recall[:, None] * MATCHED[1]
            - (by_recall * recall)[:, None] * LENGTH[1]
            + by_chunks[:, None] * CHUNK
            + by_words[:, None] * MATCHED_WORDS
        )
        return np.asarray(slope[:, None, :])


def _line(tokens: Sequence[str]) -> str:
    """What METEOR cannot take for a separator or the end of a line."""
    return SPACES.sub(" ", " ".join(tokens)).replace("|||", "").strip()


def _statistics(answer: str) -> Floats:
    """[23]; a perfect match has no chunks, which is how METEOR adds examples up."""
    try:
        row = np.array(answer.split(), np.float64)
    except ValueError:
        row = np.empty(0)
    if len(row) != STATISTICS:
        raise MetricError(f'meteor: the jar answers "{one_line(answer)}"')
    words, matches = row[:2], (row[4:20:4] + row[6:20:4], row[5:20:4] + row[7:20:4])
    if row[CHUNKS] == 1 and all(one.sum() == n for one, n in zip(matches, words, strict=True)):
        row[CHUNKS] = 0
    return row


def _coefficients(values: Mapping[int, float]) -> Floats:
    found = np.zeros(STATISTICS)
    for position, value in values.items():
        found[position] = value
    return found


# What the score is made of, each a weighted sum of the statistics; pairs are of the prediction
# and of the reference. A content word weighs DELTA, a function word 1 - DELTA.
MATCHED = tuple(
    _coefficients(
        {4 + 4 * i + side: weight * DELTA for i, weight in enumerate(MODULES)}
        | {6 + 4 * i + side: weight * (1 - DELTA) for i, weight in enumerate(MODULES)}
    )
    for side in (0, 1)
)
LENGTH = tuple(_coefficients({side: DELTA, 2 + side: 1 - 2 * DELTA}) for side in (0, 1))
CHUNK = _coefficients({CHUNKS: 1})
MATCHED_WORDS = _coefficients({21: 0.5, 22: 0.5})


def _linear(sums: Floats, coefficients: Floats) -> Floats:
    """[b], added column by column: a matrix product would depend on b in its last bit."""
    total = np.zeros(len(sums))
    for position in np.flatnonzero(coefficients):
        total += coefficients[position] * sums[:, position]
    return total


def _shares(sums: Floats) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    """Precision [b], recall [b], and the weighted lengths below them."""
    lengths = (_linear(sums, LENGTH[0]), _linear(sums, LENGTH[1]))
    precision, recall = (
        _divide(_linear(sums, matched), length)
        for matched, length in zip(MATCHED, lengths, strict=True)
    )
    return precision, recall, lengths


def _f_mean(precision: Floats, recall: Floats) -> Floats:
    return _divide(precision * recall, (1 - ALPHA) * recall + ALPHA * precision)


def _penalty(sums: Floats) -> Floats:
    """0 where the matched words are in one piece, GAMMA where each is alone."""
    return np.asarray(GAMMA * _divide(_linear(sums, CHUNK), _linear(sums, MATCHED_WORDS)) ** BETA)


def _divide(above: Floats, below: Floats) -> Floats:
    """0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
