"""spice with a stub in the place of Java: CoreNLP cannot be committed, so no real score is here.

The stub plays the jar's part: it reads input.json and writes what the jar would write, each F
being the share of the prediction's words that the references hold.
"""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import MetricError, UnavailableError
from evalkit.metric import Fitted, Metric
from evalkit.records.example import Example
from tests.java.gone import gone

pytest.importorskip("pycocoevalcap", reason="pycocoevalcap is not installed (extra `caption`)")

STUB = """#!{python}
import json, os, sys, time
from pathlib import Path
if sys.argv[1:] == ["-version"]:
    sys.exit('openjdk version "{version}" 2025-01-01')
seen = dict(arguments=sys.argv[1:], cwd=os.getcwd(), pid=os.getpid())
seen["options"] = os.environ["JDK_JAVA_OPTIONS"]
Path({seen!r}).write_text(json.dumps(seen))
result = []
for image in json.loads(Path("input.json").read_text("ascii")):
    words = image["test"].split()
    held = sum(word in " ".join(image["refs"]).split() for word in words)
    share = dict(f=held / len(words) if words else 0, pr=1, re=0.25, tp=1, fp=0, fn=3, numImages=1)
    result.append(dict(image_id=image["image_id"], scores=dict(All=share)))
{misbehave}
print("SPICE evaluation took: 1 s")
Path("output.json").write_text(json.dumps(result, indent=2))
"""
EXAMPLES = [
    Example("b", "a dog runs", ("a dog", "the dog sat")),
    Example("a", "", ("a cat",)),
    Example("ü|||\n", "zebra \u2028 crossing", ("a zebra",)),
]
Stub = Callable[..., Path]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Puts the stub in place; where it writes what it saw."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (home / name).touch()
    monkeypatch.setenv("EVALKIT_SPICE_HOME", str(home))
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EVALKIT_JAVA", str(tmp_path / "java"))

    def make(misbehave: str = "", version: str = "11.0.2") -> Path:
        seen, path = tmp_path / "seen.json", tmp_path / "java"
        text = STUB.format(
            python=sys.executable, version=version, seen=str(seen), misbehave=misbehave
        )
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return seen

    return make


@pytest.fixture
def spice() -> Metric:
    return catalogue.metric("spice:tokenize=none")


def rows(spice: Metric) -> list[Any]:
    return [*spice.rows(EXAMPLES, Fitted())]


def test_rows_are_in_the_order_of_the_examples(spice: Metric, stub: Stub) -> None:
    stub("result.reverse()")
    assert rows(spice) == [(2 / 3, 1, 0.25, 1), (0, 1, 0.25, 1), (0.5, 1, 0.25, 1)]


def test_how_the_jar_is_called(spice: Metric, stub: Stub, tmp_path: Path) -> None:
    seen = stub()
    assert rows(spice)
    saw = json.loads(seen.read_text(encoding="utf-8"))
    heap, encoding, cp, classes, main, *rest = saw["arguments"]
    assert (heap, encoding, cp) == ("-Xmx8G", "-Dfile.encoding=UTF-8", "-cp")
    assert [Path(one).name for one in classes.split(":")] == [
        "stanford-corenlp-3.6.0.jar",
        "stanford-corenlp-3.6.0-models.jar",
        "spice-1.0.jar",
    ]
    assert main == "edu.anu.spice.SpiceScorer"
    cache = str(tmp_path / "cache" / "evalkit-spice")
    assert rest == ["input.json", "-cache", cache, "-out", "output.json", "-silent"]
    assert "--add-opens java.base/java.util.concurrent=ALL-UNNAMED" in saw["options"]
    assert not Path(saw["cwd"]).exists()
    assert "site-packages" not in saw["cwd"]


def test_the_value_is_the_mean_over_images(spice: Metric, stub: Stub) -> None:
    stub()
    result = evalkit.score(["a dog", "x y"], ["a dog", "x z"], [spice], interval="none")
    assert result.value("spice:tokenize=none", "spice") == 0.75
    assert result.value("spice:tokenize=none", "recall") == 0.25


@pytest.mark.parametrize(
    ("misbehave", "message"),
    [
        ("sys.exit('Exception: no such class')", "exit status 1: Exception: no such class"),
        ("os.kill(os.getpid(), 9)", r"was killed \(signal 9\)"),
        ("sys.exit(0)", "gave no result"),
        ("result[1]['scores']['All']['f'] = None", "gave no result .*float.*null"),
        ("result[1]['scores'].clear()", "gave no result .*All"),
        ("result.pop()", "gave 2 results for 3 images"),
        ("result.append(result[0])", "gave 4 results for 3 images"),
        ("result[0]['image_id'] = 7", "gave 3 results for 3 images"),
        ("Path('output.json').write_text('{'); os._exit(0)", "gave no result"),
    ],
)
def test_a_failure_is_one_line_and_never_a_score(
    spice: Metric, stub: Stub, misbehave: str, message: str
) -> None:
    stub(misbehave)
    with pytest.raises(MetricError, match=message) as caught:
        rows(spice)
    assert not isinstance(caught.value, UnavailableError)
    assert "\n" not in str(caught.value)


def test_silence_is_ended(spice: Metric, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stub("time.sleep(600)")
    module = sys.modules[type(spice).__module__]
    monkeypatch.setattr(module, "START_SECONDS", 1.0)
    monkeypatch.setattr(module, "SECONDS_PER_TEXT", 0.0)
    started = time.monotonic()
    with pytest.raises(MetricError, match="was stopped after 1 second"):
        rows(spice)
    assert time.monotonic() - started < 10
    saw = json.loads(seen.read_text(encoding="utf-8"))
    assert gone(saw["pid"])
    assert not Path(saw["cwd"]).exists()


def test_without_corenlp_it_is_unavailable_with_its_remedy(
    spice: Metric, stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = stub()
    monkeypatch.setenv("EVALKIT_SPICE_HOME", str(tmp_path))
    module = sys.modules[type(spice).__module__]
    monkeypatch.setattr(module, "packaged_file", lambda name: tmp_path / "package" / name)
    with pytest.raises(UnavailableError, match="EVALKIT_SPICE_HOME") as caught:
        rows(spice)
    assert "stanford-corenlp-3.6.0-models.jar" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not seen.exists()


def test_unavailable_is_a_status_not_a_number(
    spice: Metric, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(version="17.0.15")
    result = evalkit.score(["a"], ["a"], [spice], interval="none")
    assert {one["status"] for one in result.scores} == {"unavailable"}
    assert {one["value"] for one in result.scores} == {None}
    assert "Java 8 to 14" in result.scores[0]["reason"]


def test_a_java_without_javascript_is_fit_with_an_engine_beside_corenlp(
    spice: Metric, stub: Stub, tmp_path: Path
) -> None:
    seen = stub(version="25")
    (tmp_path / "home" / "nashorn-core-15.4.jar").touch()
    assert rows(spice)
    saw = json.loads(seen.read_text(encoding="utf-8"))
    assert saw["arguments"][3].endswith("nashorn-core-15.4.jar")


def test_a_tokenizer_that_is_not_there() -> None:
    with pytest.raises(MetricError, match='no tokenizer is called "pbt"; did you mean "ptb"'):
        catalogue.metric("spice:tokenize=pbt")
