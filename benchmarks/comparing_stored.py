"""Two stored results with made-up counts and texts, for the whole of `evalkit compare`.

`python -m benchmarks.comparing_stored FOLDER SEGMENTS` writes FOLDER/set/a and FOLDER/set/b.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparing import counts
from evalkit import catalogue
from evalkit.results import Result, write
from evalkit.table import Header, Table
from evalkit.verbs.plan import ScoreOptions

WORDS = [f"word{i}" for i in range(5000)]


def store(folder: Path, segments: int) -> None:
    rows = counts(segments)
    ids = tuple(f"{i:07d}".encode() for i in range(segments))
    generator = np.random.default_rng(1)
    texts = [_texts(generator, segments) for _ in range(3)]
    results = []
    for number, system in enumerate("ab"):
        tables, scores = {}, []
        for name, both in rows.items():
            metric = catalogue.metric(name)
            header = Header(metric.name, metric.parameters, "", (name,), "", "benchmark")
            tables[name] = Table(header, ids, np.arange(segments), both[number].astype(np.uint16))
            scores.append(_score(name, segments))
        examples = [
            {
                "id": id.decode(),
                "cluster": None,
                "prediction": texts[number][i],
                "references": [texts[2][i]],
                "fields": {},
                "scores": {name: {name: 0.5} for name in rows},
            }
            for i, id in enumerate(ids)
        ]
        results.append(Result(_document(system, scores, segments), tables, examples))
    write(folder, results, replace=True)


def _texts(generator: np.random.Generator, segments: int) -> list[str]:
    numbers = generator.integers(0, len(WORDS), (segments, 22)).tolist()
    return [" ".join(WORDS[number] for number in row) for row in numbers]


def _score(name: str, segments: int) -> dict[str, Any]:
    return {
        "metric": name,
        "label": name,
        "output": name,
        "slice": None,
        "n": segments,
        "value": 50.0,
        "status": "ok",
        "scale": [0, None if name == "ter" else 100],
        "higher_is_better": name != "ter",
        "detail": False,
        "signature": "",
        "interval": None,
        "interval_reason": "not asked for",
    }


def _document(system: str, scores: list[dict[str, Any]], segments: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "kind": "score",
        "system": system,
        "set": "set",
        "protocol": "translation",
        "options": asdict(ScoreOptions()) | {"slices": []},
        "inputs": {
            "predictions": system,
            "references": "benchmark",
            "examples": segments,
            "clusters": None,
        },
        "scores": scores,
        "warnings": [],
    }


if __name__ == "__main__":
    store(Path(sys.argv[1]), int(sys.argv[2]))
