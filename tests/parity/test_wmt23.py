"""The 45 systems of WMT23 (de-en, en-cs, ja-en) against the organisers' published scores.

BLEU-all and chrF-all of `scores/automatic-scores.tsv`, wmt-conference/wmt23-news-systems
@ 99b5b9de, computed by the organisers with sacrebleu.
"""

from __future__ import annotations

import csv
import gzip
from importlib import metadata
from pathlib import Path

import pytest

from evalkit.tables.pool import processors
from evalkit.verbs.score_files import ScoreRequest, score_files

PAIRS = {"de-en": 13, "en-cs": 15, "ja-en": 17}


@pytest.fixture(scope="module")
def published(data: Path) -> dict[tuple[str, str, str], float]:
    path = data / "wmt23-general-dasqm" / "automatic-scores.tsv.gz"
    if not path.is_file():
        pytest.skip(f"EVALKIT_TEST_DATA: no {path}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return {
            (row["pair"], row["system"], row["metric"]): float(row["score"])
            for row in csv.DictReader(lines, delimiter="\t")
        }


@pytest.mark.parametrize("pair", PAIRS)
def test_every_published_value(
    pair: str, data: Path, published: dict[tuple[str, str, str], float]
) -> None:
    folder = data / "wmt23-general-dasqm" / pair
    request = ScoreRequest(
        predictions=tuple(str(path) for path in sorted((folder / "preds").glob("*.jsonl.gz"))),
        references=(str(folder / "refs" / "refA.jsonl.gz"),),
        metrics=("bleu", "chrf"),
        interval="none",
        workers=processors(),
    )
    results = score_files(request).results
    assert len(results) == PAIRS[pair]
    version = metadata.version("sacrebleu")
    for result in results:
        for metric in ("bleu", "chrf"):
            expected = published[pair, result.system, f"{metric}-all"]
            assert result.value(metric) == pytest.approx(expected, rel=1e-12), result.system
        signatures = [score["signature"] for score in result.scores]
        assert signatures == [
            f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}",
            f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}",
        ]
