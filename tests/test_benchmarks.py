"""Half of what docs/benchmarks.md publishes holds wherever the tests run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import corpus, report, timing

ROOT = Path(__file__).parent.parent


def published(weights: str, count: int) -> list[float]:
    """[faster with percentile, faster with auto] of one row of the page."""
    page = report.PAGE.read_text(encoding="utf-8")
    row = re.search(rf"^\| {count:,} \| {weights}.*$", page, re.MULTILINE)
    assert row is not None
    return [float(ratio) for ratio in re.findall(r"(\d+)×", row[0])]


@pytest.mark.parametrize(
    ("weights", "promised"), [("numpy", (12, 6)), ("numba", (20, 10))], ids=["numpy", "numba"]
)
def test_resampling_is_faster_than_sacrebleus(weights: str, promised: tuple[int, int]) -> None:
    if weights == "numba":
        pytest.importorskip("numba", reason="the extra `fast` is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.resampling", "20000", weights],
        cwd=ROOT,
        env={**os.environ, **timing.ONE_THREAD},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    for method, said, floor in zip(
        ("percentile", "auto"), published(weights, 20_000), promised, strict=True
    ):
        assert said >= floor
        ratio = found["sacrebleu"]["seconds"] / found[method]["seconds"]
        print(f"{weights} {method}: {ratio:.0f}x, published {said:.0f}x")
        assert ratio >= said / 2
        pairs = zip(found[method]["half_widths"], found["sacrebleu"]["half_widths"], strict=True)
        for ours, theirs in pairs:
            assert ours == pytest.approx(theirs, rel=0.15)


def test_the_whole_run_costs_little_beside_the_counting(tmp_path: Path) -> None:
    """At 2,000 segments at most 30 % over sacrebleu without any interval; best of three each."""
    corpus.write(tmp_path, 2000)
    theirs = [*(sys.executable, "-m", "sacrebleu", "ref.txt", "-i", "hyp.txt")]
    theirs += ["-m", "bleu", "chrf", "ter"]
    ours = [sys.executable, "-m", "evalkit", "score", "hyp.txt", "--refs", "ref.txt"]
    ours += ["--no-cache", "--quiet", "--replace"]
    pairs = [(timing.run(ours, tmp_path)[0], timing.run(theirs, tmp_path)[0]) for _ in range(3)]
    best = min(one.wall for one, _ in pairs) / min(other.wall for _, other in pairs)
    print(f"evalkit / sacrebleu: {best:.2f}")
    assert best <= 1.3
