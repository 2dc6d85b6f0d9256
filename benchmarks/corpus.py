"""Segments to time on: WMT23 system outputs where they are, made-up sentences elsewhere."""

from __future__ import annotations

import gzip
import json
import os
from itertools import islice
from pathlib import Path

from tests.corpora import text_system

ROOT = Path(__file__).parent.parent


def segments(count: int) -> tuple[str, list[str], list[str]]:
    """(what they are, predictions [count], references [count])."""
    data = Path(os.environ.get("EVALKIT_TEST_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "wmt23-general-dasqm" / "en-cs"
    if not folder.is_dir():
        examples = text_system(count, 1, references=1).examples
        predictions = [example.prediction for example in examples]
        return "made-up sentences", predictions, [one.references[0] for one in examples]
    references = {one["id"]: one["references"][0] for one in _read(folder / "refs/refA.jsonl.gz")}
    pairs = [
        (one["prediction"], references[one["id"]])
        for path in sorted((folder / "preds").glob("*.jsonl.gz"))
        for one in _read(path)
    ]
    assert len(pairs) >= count
    chosen = list(islice(pairs, count))
    predictions, texts = ([" ".join(pair[part].split()) for pair in chosen] for part in (0, 1))
    return "WMT23 en-cs system outputs, one system after the other", predictions, texts


def write(folder: Path, count: int) -> str:
    """`hyp.txt` and `ref.txt`, one segment a line."""
    what, predictions, references = segments(count)
    for name, texts in (("hyp.txt", predictions), ("ref.txt", references)):
        (folder / name).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return what


def _read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
