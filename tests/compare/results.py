"""Small results to compare: two systems of plain texts, with slices and clusters."""

from __future__ import annotations

import numpy as np

import evalkit
from evalkit.results import Result

WORDS = "a man rides the small red horse near an old house while two dogs watch him".split()


def references(count: int, seed: int = 0) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    return [[" ".join(generator.choice(WORDS, 8))] for _ in range(count)]


def predictions(truths: list[list[str]], wrong: float, seed: int) -> list[str]:
    """Every word is replaced with the probability `wrong`."""
    generator = np.random.default_rng(seed)
    return [
        " ".join(
            str(generator.choice(WORDS)) if generator.random() < wrong else word
            for word in one[0].split()
        )
        for one in truths
    ]


def result(
    system: str,
    wrong: float,
    seed: int,
    *,
    count: int = 60,
    metrics: tuple[str, ...] = ("bleu", "chrf"),
    ids: list[str] | None = None,
    clustered: bool = False,
    sliced: bool = False,
) -> Result:
    truths = references(count)
    return evalkit.score(
        predictions(truths, wrong, seed),
        truths,
        list(metrics),
        ids=ids or [f"{i:03d}" for i in range(count)],
        cluster=[str(i // 3) for i in range(count)] if clustered else None,
        slices={"domain": ["news" if i % 2 else "talk" for i in range(count)]} if sliced else None,
        system=system,
        interval="none",
    )
