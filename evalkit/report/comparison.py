"""A comparison for the terminal: differences, what could be seen, who leads, what moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from evalkit.errors import counted, plain
from evalkit.report.terminal import WIDE
from evalkit.results.comparison import Comparison, name_of, slice_of

Record = Mapping[str, Any]
CORRECTED = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
STYLES = {"better": "green", "worse": "red"}
SHOWN = 60  # characters of a text


def comparison_page(comparison: Comparison, width: int = WIDE) -> Group:
    parts: list[Table | Text] = [_differences(comparison), *_margins(_shown(comparison))]
    parts += _footnotes(comparison)
    if comparison.rankings:
        parts += [Text(""), _rankings(comparison.rankings)]
        parts += _ranking_notes(comparison.rankings[0])
    if comparison.document["moved"]:
        parts += [Text(""), _moved(comparison, max(20, min(SHOWN, (width - 40) // 2)))]
    return Group(*parts)


def _shown(comparison: Comparison) -> list[Record]:
    return [record for record in comparison.differences if not record["detail"]]


def _differences(comparison: Comparison) -> Table:
    records = _shown(comparison)
    title = f"{comparison.document['set']}: difference to {comparison.baseline}"
    table = Table(title=Text(plain(title)), title_justify="left", title_style="bold", box=None)
    sliced = any(record["slice"] for record in records)
    for heading in ("metric", "system"):
        table.add_column(heading, overflow="fold")
    if sliced:
        table.add_column("slice", no_wrap=True)
    corrected = CORRECTED.get(comparison.document["options"]["correction"])
    for heading in ("value", "difference", "p", *([f"p ({corrected})"] if corrected else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for record in records:
        cells = _cells(record, sliced=sliced, corrected=corrected is not None)
        table.add_row(*map(_text, cells))
    return table


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(plain(cell))


def _cells(record: Record, *, sliced: bool, corrected: bool) -> Iterator[str | Text]:
    yield f"{name_of(record)} {'↑' if record['higher_is_better'] else '↓'}"
    yield record["system"]
    if sliced:
        yield slice_of(record)
    if record["status"] != "ok":
        yield from (record["status"], "", "", "")
        return
    digits = digits_of(record)
    yield f"{record['value']:.{digits}f}"
    yield _difference(record, digits)
    yield p_text(record["test"], "p")
    if corrected:
        yield p_text(record["test"], "p_adjusted")
    yield Text(record["verdict"] or "", style=STYLES.get(record["verdict"] or "", ""))


def _difference(record: Record, digits: int) -> Text:
    cell = Text(f"{record['difference']:+.{digits}f}", style="bold")
    bounds = record["interval"]
    inside = (
        f" [{bounds['low']:+.{digits}f}, {bounds['high']:+.{digits}f}]"
        if bounds
        else " [no interval]"
    )
    return cell.append(inside, style="not bold")


def digits_of(record: Record) -> int:
    """As many decimals as `score` shows."""
    high = record["scale"][1]
    small = abs(record["value"]) <= 2 if high is None else high <= 10
    return 4 if small else 2


def p_text(test: Record | None, key: str) -> str:
    if test is None:
        return ""
    p = test[key]
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _margins(records: Sequence[Record]) -> Iterator[Text]:
    """A line each: a verdict on its own, whatever the other tests."""
    words = {"yes": "lost less", "no": "lost more", "undecided": "undecided"}
    equal = {"yes": ", equivalent", "no": ", not equivalent", "undecided": ""}
    for record in records:
        if (found := record["margin"]) is None:
            continue
        place = " ".join(filter(None, (name_of(record), slice_of(record))))
        yield Text(
            plain(
                f"{record['system']}: {place}: margin {found['margin']:g}: "
                f"{words[found['non_inferior']]}{equal[found['equivalent']]} (gain at least "
                f"{found['low']:+.{digits_of(record)}f}, at most "
                f"{found['high']:+.{digits_of(record)}f}, each one-sided {found['level']:.0%})"
            )
        )


def _footnotes(comparison: Comparison) -> Iterator[Text]:
    records = _shown(comparison)
    options = comparison.document["options"]
    with_interval = [record["interval"] for record in records if record["interval"]]
    if with_interval:
        methods = ", ".join(dict.fromkeys(one["method"] for one in with_interval))
        one = with_interval[0]
        drawn = f", {one['resamples']:,} resamples, seed {one['seed']}" if "seed" in one else ""
        yield _dim(
            f"{100 * options['level']:g} % intervals by {methods}; "
            f"{counted(one['units'], one['unit'])}{drawn}"
        )
    yield from _runs_and_folds(records)
    yield from _tests(records)
    hardest: dict[str, Record] = {}
    for record in records:
        if record["slice"] is None and (found := record["detectable"]):
            known = hardest.setdefault(name_of(record), record)
            if found["difference"] > known["detectable"]["difference"]:
                hardest[name_of(record)] = record
    others = len(comparison.systems) > 1
    yield from (_dim(_detectable(record, others=others)) for record in hardest.values())


def _tests(records: Sequence[Record]) -> Iterator[Text]:
    tests = [record["test"] for record in records if record["test"]]
    for name in dict.fromkeys(test["name"] for test in tests):
        one = next(test for test in tests if test["name"] == name)
        how = {
            "randomisation": "all swaps" if one.get("exact") else f"{one.get('swaps', 0):,} swaps",
            "bootstrap": f"{one.get('resamples', 0):,} shifted resamples, which finds too much",
        }.get(name, "t quantiles")
        corrected = CORRECTED.get(one["correction"])
        family = f", {corrected} over {counted(one['family'], 'test')}" if corrected else ""
        yield _dim(f"p by {name}, {how}{family}")


def _runs_and_folds(records: Sequence[Record]) -> Iterator[Text]:
    """How much of the variance is the seed's; how far the folds lie apart."""
    for record in records:
        bounds = record["interval"] or {}
        if record["slice"] is not None:
            continue
        name, digits = f"{record['system']}: {name_of(record)}", digits_of(record)
        if "seed_share" in bounds:
            runs = bounds["runs"]
            spread = (bounds["run_deviation"][side] for side in ("baseline", "system"))
            told = " and ".join("unknown" if one is None else f"{one:.{digits}f}" for one in spread)
            yield _dim(
                f"{name}: {runs['baseline']} and {runs['system']} runs, "
                f"{bounds['seed_share']:.0%} of the variance of the difference is between runs "
                f"(standard deviations {told})"
            )
        elif "folds" in bounds:
            yield _dim(
                f"{name}: over {bounds['folds']} folds the difference has a standard deviation "
                f"of {bounds['fold_deviation']:.{digits}f}"
            )


def _detectable(record: Record, *, others: bool) -> str:
    found, digits = record["detectable"], digits_of(record)
    noisiest = f" ({record['system']}, the noisiest)" if others else ""
    line = (
        f"{name_of(record)}{noisiest}: at this size a difference below "
        f"{found['difference']:.{digits}f} is seen in fewer than {100 * found['power']:g} of 100 "
        "tries of one test"
    )
    if found["units"] is None:
        return line
    units = counted(found["units"], record["interval"]["unit"])
    return f"{line}; about {units} would show {found['wanted']:g}"


def _rankings(rankings: Sequence[Record]) -> Table:
    table = Table(box=None, title=Text("best first"), title_justify="left", title_style="bold")
    table.add_column("metric", overflow="fold")
    table.add_column("cluster", justify="right")
    table.add_column("system", overflow="fold")
    table.add_column("value", justify="right")
    drawn = any(
        one["probability_best"] is not None for ranking in rankings for one in ranking["order"]
    )
    if drawn:
        table.add_column("best", justify="right")
    for ranking in rankings:
        heading = f"{name_of(ranking)} {'↑' if ranking['higher_is_better'] else '↓'}"
        for place, one in enumerate(ranking["order"]):
            table.add_row(
                Text(plain(heading if place == 0 else "")),
                Text(str(one["cluster"])),
                Text(plain(one["system"])),
                Text(f"{one['value']:.{digits_of(ranking | one)}f}"),
                *([Text(f"{one['probability_best'] or 0:.0%}")] if drawn else []),
            )
    return table


def _ranking_notes(ranking: Record) -> Iterator[Text]:
    found = CORRECTED.get(ranking["correction"])
    corrected = f" ({found})" if found else ""
    drawn = ranking["order"][0]["probability_best"] is not None
    best = "; best: share of the resamples it leads" if drawn else ""
    yield _dim(
        "every system of a cluster is better than every one of the clusters below, by tests of "
        f"{counted(ranking['pairs'], 'pair')}{corrected}{best}"
    )


def _moved(comparison: Comparison, width: int) -> Table:
    table = Table(box=None, title=Text("moved the most"), title_justify="left", title_style="bold")
    for heading in ("system", "", "id"):
        table.add_column(heading, overflow="fold")
    table.add_column(plain(comparison.document["moved"][0]["value"]), justify="right")
    table.add_column(plain(comparison.baseline), overflow="fold")
    table.add_column("prediction", overflow="fold")
    for one in comparison.document["moved"]:
        change = f"{one['baseline_value']:.4g} → {one['system_value']:.4g}"
        texts = (_cut(one[key], width) for key in ("baseline_prediction", "prediction"))
        table.add_row(
            *(Text(plain(str(cell))) for cell in (one["system"], one["moved"], one["id"])),
            Text(change),
            *map(Text, texts),
        )
    return table


def _cut(value: Any, width: int) -> str:
    if value is None:
        return ""
    text = plain(value if isinstance(value, str) else str(value))
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _dim(line: str) -> Text:
    return Text(plain(line), style="dim")


def notes(comparison: Comparison) -> Iterable[str]:
    """What a reader must know, for stderr; one line each."""
    for record in comparison.differences:
        if record.get("interval_reason") and not record["detail"]:
            place = " ".join(filter(None, (name_of(record), slice_of(record))))
            yield plain(f"{record['system']}: {place}: no interval: {record['interval_reason']}")
    said = set()
    for warning in comparison.document["warnings"]:
        if (warning["system"], warning["message"]) in said:
            continue
        said.add((warning["system"], warning["message"]))
        place = f"{warning['system']}: " if warning["system"] else ""
        yield plain(f"{place}{warning['message']}")
