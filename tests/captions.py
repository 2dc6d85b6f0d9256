"""COCO captions of the pycocoevalcap wheel (val2014, CC BY 4.0), and made-up systems on them."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from evalkit.records.example import Example

JAR = "spice/spice-1.0.jar"
ENTRY = "coco/annotations/captions_val2014.json"


@cache
def val2014() -> dict[int, list[str]]:
    """Every image's raw captions, five or more, in order of image; skips without the wheel."""
    found = util.find_spec("pycocoevalcap")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("pycocoevalcap is not installed: extra `caption`")
    with zipfile.ZipFile(Path(found.submodule_search_locations[0]) / JAR) as jar:
        annotations = json.loads(jar.read(ENTRY))["annotations"]
    captions: dict[int, list[str]] = {}
    for one in sorted(annotations, key=lambda one: (one["image_id"], one["id"])):
        captions.setdefault(one["image_id"], []).append(one["caption"])
    return captions


def system(
    captions: Mapping[int, Sequence[str]],
    seed: int,
    *,
    references: int | None = 5,
    raw: bool = False,
) -> list[Example]:
    """Predicts each image's last caption with words replaced, dropped, doubled; some are empty.

    Texts are lower-case words between single spaces, tokenised for whoever splits at white space,
    unless `raw`.
    references: of each example, those before the last at first; None: 1 to 4 of them.
    """
    generator = np.random.default_rng(seed)
    change = str if raw else _plain
    plain = {image: [change(text) for text in texts] for image, texts in captions.items()}
    words = sorted({word for texts in plain.values() for text in texts for word in text.split()})
    examples = []
    for image, texts in plain.items():
        rate = generator.choice([0, 0.1, 0.3, 1])
        noise = generator.random((2, len(texts[-1].split())))
        prediction = [
            str(words[generator.integers(len(words))]) if one < rate else word
            for word, one, other in zip(texts[-1].split(), *noise, strict=True)
            for _ in range(0 if other < rate / 8 else 2 if other > 1 - rate / 8 else 1)
        ]
        if generator.random() < 0.002:
            prediction = []
        count = references or int(generator.integers(1, 5))
        examples.append(Example(f"{image:012d}", " ".join(prediction), tuple(texts[:count])))
    return examples


def _plain(text: str) -> str:
    return " ".join(text.lower().replace(".", " ").replace(",", " ").split())


def odd_system(count: int, seed: int) -> list[Example]:
    """Few words in many orders: repeated words, empty texts, other scripts, 1 to 4 references."""
    generator = np.random.default_rng(seed)
    words = ["a", "a", "b", "c", "über", "日本", "🙂", "'s", "x-y", "12.5"]

    def text() -> str:
        return " ".join(generator.choice(words, generator.integers(0, 9)))

    return [
        Example(str(i), text(), tuple(text() for _ in range(generator.integers(1, 5))))
        for i in range(count)
    ]


def as_library(examples: Sequence[Example]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """(references, predictions) as pycocoevalcap's scorers take them."""
    references = {one.id: list(one.references) for one in examples}
    return references, {one.id: [one.prediction] for one in examples}


def fakecap(data: Path) -> list[Example]:
    """coco-caption's 1,000 demonstration captions with their references, both raw."""
    path = data / "coco-fakecap" / "captions_val2014_fakecap_results.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        predictions = {one["image_id"]: one["caption"] for one in json.load(stream)}
    references = val2014()
    return [
        Example(str(image), caption, tuple(references[image]))
        for image, caption in sorted(predictions.items())
    ]
