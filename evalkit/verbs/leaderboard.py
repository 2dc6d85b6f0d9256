"""`results leaderboard`: the systems of one set in order, and which of them really differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit import catalogue
from evalkit.errors import MetricError, ResultError, UsageError, did_you_mean
from evalkit.metric import Metric
from evalkit.results import Result, load
from evalkit.results.store import Filters, Stored, find
from evalkit.stats.multiplicity import CORRECTIONS, adjust, too_few_swaps
from evalkit.stats.randomisation import randomisation
from evalkit.stats.ranking import significance_clusters
from evalkit.table import Floats
from evalkit.tables.build import Progress, silent
from evalkit.tables.pool import processors
from evalkit.verbs.gating.evidence import Pair, require_stored
from evalkit.verbs.results import document
from evalkit.verbs.stored import stored_metric, units_of
from evalkit.verbs.trust import own_files

Record = dict[str, Any]
FEWEST_SWAPS = 100


@dataclass(frozen=True)
class Ranking:
    """metric: a label, a name, an output, or label and output as a table's heading has them.

    swaps: of each pair; 0: no test, no clusters. correction: over all pairs. trust: run metric
    files that the results name.
    """

    metric: str | None = None
    level: float = 0.95
    swaps: int = 10_000
    seed: int = 12345
    correction: str = "holm"
    trust: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise UsageError(f"the level is a share such as 0.95, not {self.level}")
        if self.swaps != 0 and self.swaps < FEWEST_SWAPS:
            raise UsageError(f"{self.swaps} swaps are too few; take at least {FEWEST_SWAPS}, or 0")
        if self.correction not in CORRECTIONS:
            hint = did_you_mean(self.correction, CORRECTIONS)
            raise UsageError(f'no correction is called "{self.correction}"{hint}')


def leaderboard(
    folders: Sequence[str], filters: Filters, asked: Ranking, progress: Progress = silent
) -> Record:
    """Ranked rows first, then those without the value; ResultError where no order can be had."""
    found = find(folders, filters)
    for one in found.unread:
        way_out = "remove it (evalkit results prune --damaged), or " if one.damaged else ""
        raise ResultError(
            f"{one.reason}; a ranking without it would mislead: score it again, {way_out}"
            "leave it out with --system"
        )
    stored = found.results
    _require_one_set(stored)
    chosen = _chosen(stored, asked.metric)
    label, output = chosen["label"], chosen["output"]
    ranked = [(one, record) for one in stored if (record := _record(one, label, output))]
    _require_one_direction(ranked)
    order = sorted((pair for pair in ranked if pair[1]["value"] is not None), key=_key)
    rest = [one for one in stored if all(one is not pair[0] for pair in order)]
    test = _Test(asked, label, output)
    clusters, pairs = test.clusters([one for one, _ in order], progress)
    return document(
        "leaderboard",
        set=stored[0].set,
        protocol=stored[0].protocol,
        **{key: chosen[key] for key in ("metric", "label", "output", "higher_is_better")},
        test=test.described,
        pairs=pairs,
        rows=[
            *(
                _row(one, place, clusters[place - 1] if clusters else None)
                for place, (one, _) in enumerate(order, start=1)
            ),
            *(_row(one, None, None) for one in rest),
        ],
    )


def _require_one_set(stored: Sequence[Stored]) -> None:
    for flag, names in (
        ("--set", sorted({one.set for one in stored})),
        ("--protocol", sorted({one.protocol for one in stored})),
    ):
        if len(names) > 1:
            what = flag.removeprefix("--")
            raise ResultError(
                f"results of {len(names)} {what}s do not rank together: {', '.join(names)}; "
                f"choose one with {flag}"
            )
    seen: dict[str, Stored] = {}
    for one in stored:
        if one.system in seen:
            raise ResultError(
                f'two results of the system "{one.system}": {seen[one.system].shown} and '
                f"{one.shown}; name one folder with --in"
            )
        seen[one.system] = one
    first = stored[0]
    for one in stored[1:]:
        if one.document["inputs"].get("references") != first.document["inputs"].get("references"):
            raise ResultError(
                f"{one.system} and {first.system} were scored on different references; "
                "score both on the same, or leave one out with --system"
            )


def _chosen(stored: Sequence[Stored], metric: str | None) -> Record:
    """The record that says by what to rank: the headline of the first metric by default."""
    whole = [
        record for one in stored for record in one.document["scores"] if record["slice"] is None
    ]
    if not whole:
        raise ResultError("these results hold no score; score again", stored[0].shown)
    if metric is None:
        return dict(next((one for one in whole if one["value"] is not None), whole[0]))
    tests = (
        lambda record: metric == f"{record['label']} {record['output']}",
        lambda record: metric == record["label"],
        lambda record: metric == record["metric"],
        lambda record: metric == record["output"],
    )
    for test in tests:
        matching = [record for record in whole if test(record)]
        labels = sorted({record["label"] for record in matching})
        if len(labels) > 1:
            raise ResultError(f"--metric {metric} could be any of {', '.join(labels)}")
        if matching:
            return dict(matching[0])
    raise ResultError(f"no result has --metric {metric}{did_you_mean(metric, _headings(whole))}")


def _headings(whole: Sequence[Record]) -> set[str]:
    return {
        record["label"]
        if record["output"] == record["metric"]
        else f"{record['label']} {record['output']}"
        for record in whole
        if not record.get("detail")
    }


def _record(one: Stored, label: str, output: str) -> Record | None:
    for record in one.document["scores"]:
        if record["slice"] is None and (record["label"], record["output"]) == (label, output):
            return dict(record)
    return None


def _require_one_direction(ranked: Sequence[tuple[Stored, Record]]) -> None:
    for one, record in ranked:
        if record["higher_is_better"] != ranked[0][1]["higher_is_better"]:
            raise ResultError(
                f"{record['label']} {record['output']}: higher is better in one of {one.shown} and "
                f"{ranked[0][0].shown} alone; score both again"
            )


def _key(pair: tuple[Stored, Record]) -> tuple[float, str]:
    one, record = pair
    return (-record["value"] if record["higher_is_better"] else record["value"]), one.system


def _row(one: Stored, rank: int | None, cluster: int | None) -> Record:
    return {
        "rank": rank,
        "cluster": cluster,
        "system": one.system,
        "path": one.shown,
        "started": one.started,
        "tags": one.tags,
        "scores": [
            record
            for record in one.document["scores"]
            if record["slice"] is None and not record.get("detail")
        ],
    }


class _Test:
    """Paired approximate randomisation of every pair; `described` says how, or why not."""

    def __init__(self, asked: Ranking, label: str, output: str) -> None:
        self._asked, self._label, self._output = asked, label, output
        self.described: Record = {
            "name": "randomisation",
            "level": asked.level,
            "swaps": asked.swaps,
            "seed": asked.seed,
            "correction": asked.correction,
            "reason": None,
        }

    def clusters(
        self, stored: Sequence[Stored], progress: Progress
    ) -> tuple[list[int] | None, list[Record]]:
        """Of systems in order, the best first, and the p-values of their pairs."""
        if self._asked.swaps == 0 or len(stored) < 2:
            what = "not asked for" if self._asked.swaps == 0 else "one system has no rival"
            self.described["reason"] = what
            return None, []
        pairs = len(stored) * (len(stored) - 1) // 2
        asked = self._asked
        if why := too_few_swaps(asked.swaps, pairs, asked.correction, asked.level):
            raise UsageError(why)
        results = [load(one.place) for one in stored]
        try:
            p, difference = self._tested(results, progress)
        except MetricError as error:
            self.described["reason"] = str(error)
            return None, []
        found = list(combinations(range(len(stored)), 2))
        adjusted = adjust([p[pair] for pair in found], self._asked.correction)
        beaten: NDArray[np.bool_] = np.zeros_like(p, dtype=bool)
        records = []
        for (i, j), corrected in zip(found, adjusted, strict=True):
            equal = results[i].value(self._label, self._output) == results[j].value(
                self._label, self._output
            )
            ahead = self._sign(results[i]) * difference[i, j] > 0
            beaten[i, j] = corrected <= 1 - self._asked.level and ahead and not equal
            one: Mapping[str, Any] = {"better": stored[i].system, "worse": stored[j].system}
            records.append({**one, "p": float(p[i, j]), "p_adjusted": float(corrected)})
        return significance_clusters(range(len(stored)), beaten), records

    def _tested(self, results: Sequence[Result], progress: Progress) -> tuple[Floats, Floats]:
        """p and row - column, both [systems, systems], above the diagonal."""
        tables = [result.tables[self._label] for result in results]
        for result, table in zip(results[1:], tables[1:], strict=True):
            differs = (
                "ids" if table.ids != tables[0].ids else tables[0].header.difference(table.header)
            )
            if differs:
                raise ResultError(
                    f"{self._label} of {result.system} and of {results[0].system} differ in their "
                    f"{differs}; score both alike, or leave one out with --system"
                )
        metric = stored_metric(tables[0].header, own_files(results) if self._asked.trust else ())
        units = units_of(results[0], tables[0])
        output = tables[0].header.outputs.index(self._output)
        self._require_stored_values(metric, results, output)
        p = np.full((len(results), len(results)), np.nan)
        difference = p.copy()
        pairs = list(combinations(range(len(results)), 2))
        threads = processors()
        for done, (i, j) in enumerate(pairs):
            progress("pairs", done, len(pairs))
            with catalogue.named_errors(type(metric)):
                tested = randomisation(
                    metric,
                    tables[i],
                    tables[j],
                    units,
                    swaps=self._asked.swaps,
                    seed=self._asked.seed,
                    threads=threads,
                )
            p[i, j], difference[i, j] = tested.p[output], -tested.difference[output]
        return p, difference

    def _record(self, result: Result) -> Record:
        """By which it ranks."""
        place = None, self._label, self._output
        return next(
            one for one in result.scores if (one["slice"], one["label"], one["output"]) == place
        )

    def _sign(self, result: Result) -> int:
        return 1 if self._record(result)["higher_is_better"] else -1

    def _require_stored_values(
        self, metric: Metric, results: Sequence[Result], output: int
    ) -> None:
        """What ranks is what is tested."""
        for result in results:
            value = Pair(metric, result, self._label).value(result, output)
            require_stored(value, self._record(result), result.system)
