"""What bert-score ships as data: which layer of which model, and the baselines of rescaling.

It is read from bert-score's files: to import that package loads pandas and matplotlib.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from evalkit.errors import MetricError, MissingDependencyError, counted

MOVED = ("FacebookAI", "albert", "distilbert", "google-bert", "google-t5", "xlnet")


@dataclass(frozen=True)
class Baseline:
    """`values`: precision, recall and F1 of unrelated pairs; `label`: which, for a signature."""

    values: tuple[float, float, float]
    label: str


def _package() -> Path | None:
    spec = find_spec("bert_score")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _needed(package: Path | None, what: str, instead: str) -> Path:
    if package is None:
        raise MissingDependencyError(
            f"bertscore: bert-score, which knows {what}, is not installed; {instead}, or run: "
            'pip install "bert-score==0.3.13" (it belongs to the extra neural)'
        )
    return package


def first_name(model: str) -> str:
    """The name bert-score knows: `roberta-large` is called `FacebookAI/roberta-large` today."""
    owner, _, rest = model.rpartition("/")
    return rest if owner in MOVED else model


def default_layer(model: str) -> int:
    """The layer that bert-score chose for a hub name on WMT16; MetricError where it chose none."""
    package = _needed(_package(), "the layer of a model", "add num_layers=N")
    layers = layer_table(package)
    if first_name(model) not in layers:
        raise MetricError(
            f'bertscore: bert-score names no layer for the model "{model}"; add num_layers=N, '
            "one of the later layers of its encoder (bert-score takes 5 of MiniLM-L6, 17 of "
            "roberta-large)"
        )
    return layers[first_name(model)]


@cache
def layer_table(package: Path) -> dict[str, int]:
    """`model2layers` of bert_score/utils.py."""
    tree = ast.parse((package / "utils.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "model2layers":
            table: dict[str, int] = ast.literal_eval(node.value)
            return table
    raise MetricError("bertscore: no table of layers in this bert-score; add num_layers=N")


def baseline(model: str, layer: int, chosen: str | None) -> Baseline:
    """chosen: a TSV file (LAYER,P,R,F), a language of bert-score's own, or None: the only one.

    MetricError where there is none or the choice is open.
    """
    if chosen is not None and Path(chosen).is_file():
        return _read(Path(chosen), layer, Path(chosen).name)
    package = _needed(_package(), "the baselines", "give a file with baseline=FILE")
    folder = package / "rescale_baseline"
    name = f"{first_name(model)}.tsv"
    languages = sorted(path.name for path in folder.iterdir() if (path / name).is_file())
    if not languages:
        raise MetricError(
            f'bertscore: bert-score has no baseline for the model "{model}"; '
            "give a file with baseline=FILE, or leave rescale out"
        )
    if chosen is None and len(languages) > 1:
        raise MetricError(
            f"bertscore: {counted(len(languages), 'baseline')} for {model}: say which language "
            f"the texts are in, baseline={'|'.join(languages)}"
        )
    if chosen is not None and chosen not in languages:
        raise MetricError(
            f'bertscore: baseline="{chosen}" is neither a file nor a language that bert-score '
            f"has for {model} ({', '.join(languages)})"
        )
    language = chosen or languages[0]
    return _read(folder / language / name, layer, language)


def _read(path: Path, layer: int, label: str) -> Baseline:
    """The row of a layer. bert-score takes the n-th row whatever its LAYER column says."""
    content = path.read_bytes()
    label = f"{label}#{hashlib.sha256(content).hexdigest()[:8]}"
    try:
        rows = list(csv.DictReader(content.decode("utf-8").splitlines()))
        row = next(row for row in rows if int(row["LAYER"]) == layer)
        precision, recall, f1 = (float(row[key]) for key in "PRF")
    except StopIteration:
        raise MetricError(f"bertscore: the baseline has no layer {layer}", str(path)) from None
    except (KeyError, TypeError, ValueError, UnicodeDecodeError):
        raise MetricError(
            "bertscore: not a baseline; wanted are lines of LAYER,P,R,F", str(path)
        ) from None
    if not all(math.isfinite(value) and value < 1 for value in (precision, recall, f1)):
        raise MetricError("bertscore: a baseline must be below 1", str(path))
    return Baseline((precision, recall, f1), label)
