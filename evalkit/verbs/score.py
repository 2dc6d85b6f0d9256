"""`score` from Python: how good is it, on lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from itertools import pairwise
from typing import Any

from evalkit.errors import DataError, counted
from evalkit.neural.device import use_device
from evalkit.records.example import Example, System
from evalkit.records.fields import text_id
from evalkit.records.kinds import Kind, kind_of_value, with_box_format
from evalkit.records.kinds import kind as find_kind
from evalkit.results import Result
from evalkit.tables.build import Builder, silent
from evalkit.tables.cache import Cache, default_folder
from evalkit.tables.pool import Pool, processors
from evalkit.verbs.plan import (
    choose_metrics,
    choose_options,
    choose_protocol,
    known_kind,
    made_metrics,
    plan,
)
from evalkit.verbs.scoring import score_plans


def score(
    predictions: Sequence[Any],
    references: Sequence[Any],
    metrics: Any = (),
    *,
    protocol: str | None = None,
    ids: Sequence[str | int] | None = None,
    cluster: Sequence[str | int] | None = None,
    slices: Mapping[str, Sequence[Any]] | None = None,
    box_format: str | None = None,
    system: str = "system",
    set: str | None = None,
    resamples: int | None = None,
    level: float | None = None,
    interval: str | None = None,
    seed: int = 12345,
    bootstrap: str = "poisson",
    device: str = "auto",
    workers: int = 1,
    cache: bool = False,
    progress: Callable[[str, int, int], None] = silent,
) -> Result:
    """Score one system; the same code path as `evalkit score`, and no file is written.

    Parameters
    ----------
    predictions : [n] texts, labels, probabilities (label -> probability, or a list), or numbers;
        of boxes one dict per image: boxes [k, 4], labels [k], scores [k], masks [k, height, width].
    references : [n], each a reference or a list of several; of boxes one dict per image, or a
        list with one per annotator: boxes, labels, and where known crowd (or difficult), area,
        masks.
    metrics : names with parameters (`"chrf:word_order=2"`), metrics, or torchmetrics objects;
        default: the protocol's.
    protocol : name or path; default: the one for the kind of record.
    ids : [n], default "1", "2", …; they key the resampling, so keep them when you compare.
    cluster : [n], what is resampled where examples belong together (documents, speakers).
    slices : field -> [n] values.
    box_format : "xywh" (x, y, width, height) or "xyxy" (two corners); boxes need one of them.
    resamples, level, interval : default: the protocol's (2000, 0.95, "auto").
    device : for neural metrics: "auto", "cpu" or "cuda".
    workers : processes; more than one needs `if __name__ == "__main__":` around the call.

    Raises DataError, MetricError, ProtocolError, UsageError.
    """
    asked = made_metrics(metrics if isinstance(metrics, list | tuple) else [metrics])
    values = _column("predictions", predictions, None)
    if not values:
        raise DataError("there are no predictions")
    known = known_kind(protocol, asked)
    kind = kind_of_value(values[0]) if known is None else find_kind(known)
    kind = with_box_format(kind, box_format)
    examples = _examples(values, references, ids, cluster, slices or {}, kind)
    chosen = choose_protocol(protocol, kind.name, bare=bool(asked))
    options = choose_options(
        chosen,
        resamples=resamples,
        level=level,
        interval=interval,
        seed=seed,
        bootstrap=bootstrap,
        slices=tuple(slices or ()),
    )
    made = choose_metrics(asked, chosen)
    with Pool(workers) as pool, use_device(device):
        builder = Builder(
            Cache(default_folder()) if cache else None, pool if workers > 1 else None, progress
        )
        said = () if kind.remarks is None else kind.remarks(examples, None)
        read = System(system, examples, kind=kind.name, remarks=said)
        planned = [plan(read, chosen, options, set)]
        return score_plans(planned, made, options, builder, threads=processors())[0]


def _examples(
    values: Sequence[Any],
    references: Sequence[Any],
    ids: Sequence[str | int] | None,
    cluster: Sequence[str | int] | None,
    slices: Mapping[str, Sequence[Any]],
    kind: Kind,
) -> list[Example]:
    count = len(values)
    truths = _references(references, count)
    clusters = [None] * count if cluster is None else _column("cluster", cluster, count)
    fields = {name: _column(f"slices[{name!r}]", slices[name], count) for name in slices}
    named = range(1, count + 1) if ids is None else _column("ids", ids, count)
    examples = [
        Example(
            text_id(id, f"ids[{i}]"),
            kind.prediction(values[i], f"predictions[{i}]"),
            kind.references(truths[i], f"references[{i}]"),
            None if clusters[i] is None else str(clusters[i]),
            {name: column[i] for name, column in fields.items()},
        )
        for i, id in enumerate(named)
    ]
    examples.sort(key=lambda example: example.id.encode())
    for one, other in pairwise(examples):
        if one.id == other.id:
            raise DataError(f'the id "{one.id}" appears twice; ids must be unique')
    return examples


def _column(name: str, values: Any, count: int | None) -> list[Any]:
    """A list of `count` plain Python values; numpy arrays, series and generators become one."""
    unordered = isinstance(values, str | bytes | Mapping | Set) or hasattr(values, "columns")
    if unordered:
        raise DataError(f"{name} must be a list, not a {type(values).__name__}")
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    found = [one.tolist() if hasattr(one, "tolist") else one for one in found]
    if count is not None and len(found) != count:
        raise DataError(f"{len(found)} {name} for {counted(count, 'prediction')}")
    return found


def _references(references: Any, count: int) -> list[Any]:
    found = _column("references", references, None)
    if len(found) != count:
        by_stream = all(isinstance(one, list | tuple) and len(one) == count for one in found)
        hint = "; one list per example is wanted, not one per reference: zip(*references)"
        raise DataError(
            f"references of {counted(len(found), 'example')} for {counted(count, 'prediction')}"
            + (hint if found and by_stream else "")
        )
    return found
