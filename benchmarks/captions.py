"""CIDEr on COCO captions: evalkit beside pycocoevalcap, from tokens and from raw files.

`python -m benchmarks.captions` times one side, or writes files; the tables run it, and the real
command, in fresh processes that take turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import ROOT, Timed, run
from evalkit import catalogue
from evalkit.records.example import Example
from tests.captions import as_library, system, val2014

IMAGES = 40504
LIBRARIES = ("pycocoevalcap",)
OWN = (sys.executable, "-m", "benchmarks.captions")
PAIRS = ((200_000, 5), (1_000_000, 1))  # examples, references of each


def section(runs: int) -> list[str]:
    """Lines of the page."""
    tokens, same_tokens = from_tokens(runs)
    files, same_files = from_files(max(1, runs // 2))
    return [
        f"Beside pycocoevalcap on COCO val2014, 40,504 images and five human captions each; the "
        f"predictions are other captions with words replaced. Medians of {runs} runs, "
        f"{max(1, runs // 2)} of the whole command, one of the largest sets.",
        "",
        "The scoring alone, both from the same tokens:",
        "",
        "| images | pycocoevalcap | evalkit | faster |",
        "|---:|---:|---:|---:|",
        *tokens,
        "",
        "Values, evalkit's first:",
        "",
        same_tokens,
        "",
        "From raw captions in files, evalkit's 2,000 resamples and its result included:",
        "",
        "| images | command | clock | faster | largest process |",
        "|---:|---|---:|---:|---:|",
        *files,
        "",
        same_files,
        "",
        "pycocoevalcap's tokens of a caption depend on the next caption, evalkit's do not: a few "
        "images differ, and with them the last digits.",
        "",
        "`evalkit score --metric cider` on a million pairs of a prediction and a reference:",
        "",
        "| examples × references | clock | largest process |",
        "|---:|---:|---:|",
        *memory(),
    ]


def from_tokens(runs: int, count: int = IMAGES) -> tuple[list[str], str]:
    """Rows of a table, and the values of both: the scoring alone, texts tokenised before."""
    found = [
        {side: json.loads(run((*OWN, "tokens", side, str(count)), ROOT)[1]) for side in SIDES}
        for _ in range(runs)
    ]
    seconds = {side: statistics.median(one[side]["seconds"] for one in found) for side in SIDES}
    ratio = statistics.median(
        one["pycocoevalcap"]["seconds"] / one["evalkit"]["seconds"] for one in found
    )
    row = (
        f"| {count:,} × 5 | {seconds['pycocoevalcap']:.1f} s | {seconds['evalkit']:.2f} s "
        f"| {ratio:.0f}× |"
    )
    values = [found[0][side]["value"] for side in ("evalkit", "pycocoevalcap")]
    return [row], f"- {count:,} images: {values[0]!r} and {values[1]!r}"


def from_files(runs: int, count: int = IMAGES) -> tuple[list[str], str]:
    """Rows of a table, and the values: raw captions in files, evalkit's intervals included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run((*OWN, "write", name, str(count)), ROOT)
        commands = {
            "pycocoevalcap, its Java tokeniser": (*OWN, "raw", name),
            "`evalkit score --metric cider:tokenize=ptb-java`": _score("cider:tokenize=ptb-java"),
            "`evalkit score --metric cider`": _score("cider"),
        }
        timed: dict[str, list[Timed]] = {label: [] for label in commands}
        values: dict[str, float] = {}
        for _ in range(runs):
            for label, command in commands.items():
                one, printed = run(command, folder)
                timed[label].append(one)
                values[label] = _value(json.loads(printed))
    base = next(iter(timed.values()))
    rows = []
    for label, found in timed.items():
        wall = statistics.median(one.wall for one in found)
        memory = statistics.median(one.memory for one in found)
        faster = statistics.median(
            peer.wall / one.wall for peer, one in zip(base, found, strict=True)
        )
        rows.append(
            f"| {count:,} × 5 | {label} | {wall:.1f} s | {faster:.1f}× | {memory:.0f} MiB |"
        )
    return rows, f"- {count:,} images, in this order: {', '.join(map(repr, values.values()))}"


def memory(pairs: Iterable[tuple[int, int]] = PAIRS) -> list[str]:
    """Rows of a table: the whole command on a million pairs of a prediction and a reference."""
    rows = []
    for count, references in pairs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run((*OWN, "write", name, str(count), str(references)), ROOT)
            one, _ = run(_score("cider"), folder)
        rows.append(f"| {count:,} × {references} | {one.wall:.0f} s | {one.memory:.0f} MiB |")
    return rows


def _score(metric: str) -> tuple[str, ...]:
    command = (sys.executable, "-m", "evalkit", "score", "preds.jsonl", "--refs", "refs.jsonl")
    return (*command, "--metric", metric, "--no-cache", "--quiet", "--replace", "--json")


def _value(printed: dict[str, Any]) -> float:
    return float(
        printed["results"][0]["scores"][0]["value"] if "results" in printed else printed["value"]
    )


def _write(folder: Path, examples: Iterable[Example]) -> None:
    with (
        (folder / "preds.jsonl").open("w", encoding="utf-8") as predictions,
        (folder / "refs.jsonl").open("w", encoding="utf-8") as references,
    ):
        for one in examples:
            predictions.write(json.dumps({"id": one.id, "prediction": one.prediction}) + "\n")
            references.write(json.dumps({"id": one.id, "references": one.references}) + "\n")


def _many(count: int, references: int) -> Iterable[Example]:
    """val2014's captions over and over, one word of each replaced, so that few are equal."""
    generator = np.random.default_rng(1)
    texts = [text for captions in val2014().values() for text in captions]
    words = sorted({word for text in texts for word in text.split()})
    source = cycle(texts)

    def changed() -> str:
        found = next(source).split()
        found[generator.integers(len(found))] = words[generator.integers(len(words))]
        return " ".join(found)

    for i in range(count):
        yield Example(f"{i:07d}", changed(), tuple(changed() for _ in range(references)))


def _by_evalkit(examples: Sequence[Example]) -> tuple[float, float]:
    """(seconds, value)."""
    metric = catalogue.metric("cider:tokenize=none")
    started = time.perf_counter()
    fitted = metric.fit([one.references for one in examples])
    rows = np.array(list(metric.rows(examples, fitted)))
    value = float(rows[:, 0].mean())
    return time.perf_counter() - started, value


def _by_pycocoevalcap(examples: Sequence[Example]) -> tuple[float, float]:
    from pycocoevalcap.cider.cider import Cider

    references, predictions = as_library(examples)
    started = time.perf_counter()
    value, _ = Cider().compute_score(references, predictions)
    return time.perf_counter() - started, float(value)


SIDES = {"evalkit": _by_evalkit, "pycocoevalcap": _by_pycocoevalcap}


def _raw(folder: Path) -> float:
    """What a user of pycocoevalcap writes."""
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    captions: dict[str, dict[str, list[dict[str, str]]]] = {}
    for name, field in (("preds", "prediction"), ("refs", "references")):
        with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        captions[name] = {
            one["id"]: [
                {"caption": text}
                for text in (one[field] if field == "references" else [one[field]])
            ]
            for one in records
        }
    tokenizer = PTBTokenizer()
    references, predictions = (tokenizer.tokenize(captions[name]) for name in ("refs", "preds"))
    return float(Cider().compute_score(references, predictions)[0])


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """tokens SIDE COUNT; raw FOLDER; write FOLDER COUNT, as val2014, or COUNT REFERENCES."""
    match arguments:
        case ["tokens", side, count]:
            examples = system(dict(islice(val2014().items(), int(count))), seed=1)
            seconds, value = SIDES[side](examples)
            return {"seconds": seconds, "value": value}
        case ["raw", folder]:
            return {"value": _raw(Path(folder))}
        case ["write", folder, count]:
            captions = dict(islice(val2014().items(), int(count)))
            _write(Path(folder), system(captions, seed=1, raw=True))
        case ["write", folder, count, references]:
            _write(Path(folder), _many(int(count), int(references)))
        case _:
            raise SystemExit(main.__doc__)
    return {}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
