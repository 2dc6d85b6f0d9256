"""Small made-up corpora: random, but the same in every run."""

from __future__ import annotations

import numpy as np

from evalkit.records.example import Example, System

WORDS = [
    *"the a cat dog house red small ran sat on under near quickly, and then . !".split(),
    *"it's über naïve 日本 12.5 (old) — blue green saw with".split(),
]


def text_system(count: int, seed: int, *, references: int | None = None) -> System:
    """Noisy copies of random sentences; 1 to 3 references each, or exactly `references`."""
    generator = np.random.default_rng(seed)
    examples = []
    for i in range(count):
        truth = list(generator.choice(WORDS, generator.integers(4, 16)))
        texts = [
            " ".join(_noisy(truth, generator, 0.15))
            for _ in range(references or generator.integers(1, 4))
        ]
        prediction = truth if i % 7 == 0 else _noisy(truth, generator, 0.3)
        if i % 7 == 0:
            texts[0] = " ".join(truth)
        examples.append(Example(f"id{i:04d}", " ".join(prediction), tuple(texts)))
    return System("made-up", examples)


def _noisy(words: list[str], generator: np.random.Generator, rate: float) -> list[str]:
    kept = [
        str(generator.choice(WORDS)) if generator.random() < rate else word
        for word in words
        if generator.random() > rate / 3
    ]
    return kept or words[:1]
