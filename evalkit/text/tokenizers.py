"""The tokenisers that a caption metric may be told to use, by name."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.errors import MetricError, did_you_mean

# As they stand in a signature: what else a paper must say for its number to be found again.
SIGNATURES = {
    "ptb": "ptb-python",
    "ptb-java": "ptb-corenlp-3.4.1",
    "none": "none",
}


def check(name: str) -> None:
    """MetricError where there is no such tokeniser."""
    if name not in SIGNATURES:
        hint = did_you_mean(name, SIGNATURES)
        raise MetricError(f'no tokenizer is called "{name}"{hint}')


def tokenize(name: str, texts: Sequence[str]) -> list[list[str]]:
    """Tokens of each text, in order; equal texts are tokenised once.

    ptb: in Python; ptb-java: by pycocoevalcap's Java program; none: split at white space.
    """
    check(name)
    distinct = list(dict.fromkeys(texts))
    known = dict(zip(distinct, _tokens(name, distinct), strict=True))
    return [known[text] for text in texts]


def _tokens(name: str, texts: Sequence[str]) -> list[list[str]]:
    if name == "none":
        return [text.split() for text in texts]
    if name == "ptb-java":
        from evalkit.text import ptb_java

        return ptb_java.tokens_of(texts)
    from evalkit.text import ptb

    return [ptb.tokens(text) for text in texts]
