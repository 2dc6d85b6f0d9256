"""Small made-up corpora: random, but the same in every run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.records.boxes import Box
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


def labels_system(
    count: int, seed: int, *, annotators: int | None = None, probable: float = 1.0
) -> System:
    """Four labels by 1 to 3 annotators each, or exactly `annotators`, who differ now and then.

    probable: the share of predictions that are probabilities, of these labels and one that no
    reference has; the others are bare labels.
    """
    generator = np.random.default_rng(seed)
    labels = ["2", "10", "cat", "dog"]
    known = [*labels, "unseen"]
    examples = []
    for i in range(count):
        truth = i % 4 if i < 8 else int(generator.integers(4))
        drawn = [truth if generator.random() < 0.8 else int(generator.integers(4)) for _ in "abc"]
        references = [truth, *drawn[1:]][: annotators or int(generator.integers(1, 4))]
        strength = np.where(np.arange(5) == truth, 1.5, 0.5)
        shares = generator.dirichlet(strength)
        prediction: str | dict[str, float] = dict(zip(known, shares.tolist(), strict=True))
        if generator.random() >= probable:
            prediction = known[int(shares.argmax())]
        truths = tuple(labels[one] for one in references)
        examples.append(Example(f"id{i:04d}", prediction, truths))
    return System("made-up", examples, kind="labels")


def boxes_system(count: int, seed: int) -> System:
    """Objects of three labels, some in crowds, some images empty; near and stray detections.

    Scores tie between images, never inside one: there, repeating an image would interleave the
    ties of its copies.
    """
    generator = np.random.default_rng(seed)
    labels = ("cat", "dog", "7")
    examples = []
    for i in range(count):
        number = int(generator.integers(1, 6)) if i % 6 else 0
        corners, sides = (
            generator.uniform(0, 300, (number, 2)),
            generator.lognormal(4, 1, (number, 2)),
        )
        boxes = np.hstack([corners, sides]).round(1)
        named = [labels[one] for one in generator.integers(0, 3, number)]
        crowd = (generator.random(number) < 0.1).tolist()
        objects = tuple(map(Box, map(_four, boxes), named, [None] * number, crowd))
        stray = np.hstack([generator.uniform(0, 300, (2, 2)), generator.lognormal(4, 1, (2, 2))])
        near = boxes * generator.normal(1, 0.04, boxes.shape)
        found = np.concatenate([near, near[:1] + 1, stray]).round(1)
        guessed = [*named, *named[:1], "dog", "unseen"]
        scores = generator.permutation(20)[: len(found)] / 20
        predicted = tuple(map(Box, map(_four, found), guessed, scores.tolist()))
        examples.append(Example(f"id{i:04d}", predicted, (objects,)))
    return System("made-up", examples, kind="boxes")


def _four(box: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x, y, width, height = box.tolist()
    return x, y, width, height
