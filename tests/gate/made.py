"""Systems of known quality on labelled examples, scored in process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import evalkit
from evalkit.results import Result

ACCURACY = 'metric = "accuracy"\n'


def labels(n: int, right: float, seed: int) -> list[str]:
    """Of n examples whose label is "a"; right: the chance of each."""
    drawn = random.Random(seed)
    return ["a" if drawn.random() < right else "b" for _ in range(n)]


def worse(given: Sequence[str], by: int) -> list[str]:
    """The same predictions, `by` of the right ones turned wrong."""
    found = list(given)
    for i in [i for i, one in enumerate(given) if one == "a"][:by]:
        found[i] = "b"
    return found


def scored(predictions: Sequence[Any], system: str = "system", **more: Any) -> Result:
    n = len(predictions)
    settings: dict[str, Any] = {"metrics": ["accuracy"], "set": "s", "system": system, **more}
    references = settings.pop("references", ["a"] * n)
    return evalkit.score(list(predictions), references, **settings)


def rules(*tables: str) -> str:
    """TOML of `[[gate]]` tables."""
    return "\n".join(f"[[gate]]\n{one}" for one in tables)


def gate_file(folder: Path, *tables: str) -> Path:
    path = folder / "gate.toml"
    path.write_text(rules(*tables))
    return path
