"""Any scorer as a command: what it is given, what it may answer, and that none is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.metric import Metric
from evalkit.records.example import Example
from tests.conftest import ROOT, Command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the scripts are POSIX")
COUNT = 40
HOSTILE = "a\nb\r\x0b\x0c\x85\u2028\u2029\0\"\\'\ud800 日本 $(date) `x`"
PATIENT = 20.0  # seconds; a hang fails here

Write = Callable[[str, str], str]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes an executable into the working folder; returns `command:./NAME`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def write(name: str, source: str) -> str:
        path = tmp_path / name
        path.write_text(source)
        path.chmod(0o755)
        return f"command:./{name}"

    return write


def examples(count: int = COUNT) -> list[Example]:
    return [
        Example(f"id{i}", f"{HOSTILE} {i}", (f"{HOSTILE} {i % 3}", "x"), None, {"src": HOSTILE})
        for i in range(count)
    ]


def rows(metric: Metric, given: Sequence[Example]) -> list[Any]:
    fitted = metric.fit([example.references for example in given])
    started = time.monotonic()
    try:
        return list(metric.rows(given, fitted))
    finally:
        assert time.monotonic() - started < PATIENT


def gone(pid: int) -> bool:
    """Ended, or a zombie that only its new parent can bury."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def python(body: str, interpreter: str = sys.executable) -> str:
    return f"#!{interpreter}\nimport json, os, sys, time\n{body}\n"


def test_a_neural_scorer_of_its_own_environment(script: Write, tmp_path: Path) -> None:
    """Its own interpreter, and noise on stderr while it loads; the source is among the fields."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "own"], check=True, cwd=tmp_path)
    body = """
assert sys.prefix != sys.base_prefix and sys.prefix.endswith("own"), sys.prefix
assert not {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"} & set(os.environ)
try:
    import numpy
except ImportError:
    pass
else:
    raise SystemExit("the libraries of another environment")
print("loading the model " + "." * 200_000, file=sys.stderr)
for line in sys.stdin:
    record = json.loads(line)
    assert list(record) == ["id", "prediction", "references", "fields"], record
    print(json.dumps({"id": record["id"], "score": len(record["fields"]["src"])}), flush=True)
print("done", file=sys.stderr)
"""
    command = script("comet.py", python(body)).removeprefix("command:")
    metric = catalogue.metric(f"command:./own/bin/python {command}")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        assert rows(metric, examples()) == [[len(HOSTILE), 1.0]] * COUNT
    finally:
        del os.environ["PYTHONPATH"]


def test_hostile_text_stays_one_line_and_arrives(script: Write) -> None:
    spec = script(
        "echo.py",
        python(
            "lines = sys.stdin.buffer.read().split(b'\\n')\n"
            "assert lines.pop() == b'' and all(line.isascii() for line in lines)\n"
            "open('seen', 'wb').write(b'\\n'.join(lines))\n"
            "print(*range(len(lines)), sep='\\n')"
        ),
    )
    given = examples()
    assert [row[0] for row in rows(catalogue.metric(spec), given)] == list(range(COUNT))
    seen = [json.loads(line) for line in Path("seen").read_bytes().split(b"\n")]
    assert seen == [
        {
            "id": one.id,
            "prediction": one.prediction,
            "references": list(one.references),
            "fields": one.fields,
        }
        for one in given
    ]


def test_intervals_and_comparisons_come_for_free(script: Write) -> None:
    spec = script("length.py", python("for line in sys.stdin: print(len(line) % 7)"))
    texts = ["a" * (i * i % 23) for i in range(60)]
    result = evalkit.score(texts, texts, [spec], protocol="smoke")
    assert result.scores[0]["interval"]["method"] == "bootstrap-t"
    assert result.scores[0]["label"] == "command:./length.py"
    assert result.scores[0]["scale"] == [None, None]


def test_several_outputs_and_their_direction(script: Write) -> None:
    answer = """print('{"ter": 2, "f1": 0.5}')"""
    spec = script("two.py", python(f"for line in sys.stdin: {answer}")).replace(":", ":[f1,-ter]")
    metric = catalogue.metric(spec)
    assert [(one.name, one.higher_is_better) for one in metric.outputs] == [
        ("f1", True),
        ("ter", False),
    ]
    assert rows(metric, examples()) == [[0.5, 2.0, 1.0]] * COUNT
    assert metric.label == "command:[f1,-ter]./two.py"
    assert catalogue.metric(metric.label) == metric


@pytest.mark.parametrize("bytes_each", [100, 20_000])
def test_big_inputs_and_outputs_do_not_block(script: Write, bytes_each: int) -> None:
    """A command that reads everything first, and one that answers before it reads."""
    given = [Example(str(i), "x" * bytes_each, ("y",)) for i in range(500)]
    late = script("late.py", python("lines = list(sys.stdin)\nfor line in lines: print(len(line))"))
    assert rows(catalogue.metric(late), given)[0][0] > bytes_each
    noisy = "for i in range(500): print(' ' * 9000 + '1', end='\\n'); sys.stderr.write('n' * 9000)"
    early = script("early.py", python(noisy))
    assert rows(catalogue.metric(early), given) == [[1.0, 1.0]] * 500


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", "exit status 3"),
        ("print('why', file=sys.stderr); sys.exit(3)", "stderr ends: why"),
        ("for line in sys.stdin: print(1)\nsys.exit(4)", "40 answers for 40 examples and ended"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("[print(1) for i in range(39)]", "39 answers for 40 examples"),
        ("[print(1) for i in range(41)]", "more answers than 40"),
        ("while True: print(1)", "more answers than 40"),
        ("print('loading model'); time.sleep(60)", "line 1 of its output: not JSON: loading model"),
        ("print(1); print('NaN'); time.sleep(60)", "line 2 .* finite"),
        ("print('Infinity')", "finite"),
        ("print('1e999')", "finite"),
        ("print('9' * 400)", "finite"),
        ("print('true')", "finite"),
        ("print('null')", "finite"),
        ("print('\"1\"')", "finite"),
        ("print('[1]')", "finite"),
        ("print()", "an empty line"),
        ("print('[' * 60000)", "not JSON"),
        ("print('1' * 10**7)", "not JSON|finite"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe\\n')", "not JSON"),
        ('print(\'{"score": 1, "id": "id1"}\')', 'the id "id0" is due'),
        ('print(\'{"f1": 1, "bleu": 2}\')', r"declare them: command:\[f1,bleu\]"),
        ("print('{}')", "an object of score is wanted"),
        ("print('{\"score\": {}}')", "finite"),
    ],
)
def test_a_bad_answer_is_an_error(script: Write, body: str, message: str) -> None:
    with pytest.raises(MetricError, match=message) as failure:
        rows(catalogue.metric(script("bad.py", python(body))), examples())
    assert "\n" not in failure.value.message


def test_where_all_of_stderr_is(script: Write) -> None:
    noise = "print('first', 'x' * 5000, '\\x1b[31mlast', file=sys.stderr); sys.exit(1)"
    with pytest.raises(MetricError) as failure:
        rows(catalogue.metric(script("noisy.py", python(noise))), examples())
    said = failure.value.message
    assert "last" in said
    assert "\x1b" not in said
    assert len(said) < 1000
    log = Path(said.rpartition("(all of it: ")[2].removesuffix(")"))
    assert log.read_text().startswith("first")
    log.unlink()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "which one"),
        ("'a", "quotation"),
        ("./nowhere.sh", "no file"),
        ("nowhere-at-all", "./nowhere-at-all"),
        ("./plain.txt 1", "chmod"),
        ("./noformat", "#!/bin/sh"),
        ("./lost", "interpreter in its first line"),
        ("[f1./x.sh", "lack their"),
        ("[f1,f1]./x.sh", "cannot name"),
        ("[id]./x.sh", "cannot name"),
        ("[]./x.sh", "cannot name"),
        ("[-]./x.sh", "cannot name"),
    ],
)
def test_what_cannot_run_says_why(script: Write, command: str, message: str) -> None:
    script("noformat", "print(1)\n")
    script("lost", "#!/no/such/interpreter\n")
    Path("plain.txt").write_text("text")
    with pytest.raises(MetricError, match=message):
        rows(catalogue.metric(f"command:{command}"), examples())


def test_a_time_limit_ends_all_that_was_started(
    script: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child in the background, and a shell that ignores the polite signal."""
    spec = script(
        "slow.sh", "#!/bin/sh\ntrap '' TERM\nsleep 600 & echo $! > child; echo $$ > own; wait; wait"
    )
    monkeypatch.setenv("EVALKIT_COMMAND_TIMEOUT", "0.5")
    with pytest.raises(MetricError, match=r"0\.5 seconds \(EVALKIT_COMMAND_TIMEOUT\)"):
        rows(catalogue.metric(spec), examples())
    for name in ("child", "own"):
        pid = int(Path(name).read_text())
        assert soon(lambda pid=pid: gone(pid))  # type: ignore[misc]
    monkeypatch.setenv("EVALKIT_COMMAND_TIMEOUT", "soon")
    with pytest.raises(MetricError, match="number of seconds"):
        rows(catalogue.metric(spec), examples())


def test_what_a_finished_command_left_behind_is_ended(script: Write) -> None:
    """It holds stdout open, too, so that the end of the output never comes."""
    spec = script(
        "server.sh", "#!/bin/sh\nsleep 600 & echo $! > child\nfor i in $(seq 40); do echo 1; done"
    )
    assert len(rows(catalogue.metric(spec), examples())) == COUNT
    pid = int(Path("child").read_text())
    assert soon(lambda: gone(pid))


@pytest.mark.parametrize("name", ["INT", "TERM"])
@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_ends_the_command(
    script: Write, name: str, times: int, tmp_path: Path
) -> None:
    """It comes the moment the command runs, and once more while the command is being ended."""
    again = f"trap 'kill -{name} $PPID' TERM" if times == 2 else ""
    spec = script(
        "slow.sh",
        f"#!/bin/sh\n{again}\nsleep 600 & echo $! $$ > pids; kill -{name} $PPID; wait; wait",
    )
    Path("preds.jsonl").write_text('{"id": 1, "prediction": "a", "reference": "a"}\n')
    arguments = ["score", "preds.jsonl", "--metric", spec, "--protocol", "smoke", "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        timeout=3 * PATIENT,
    )
    assert done.returncode == (130 if name == "INT" else 143), done.stderr
    for pid in map(int, Path("pids").read_text().split()):
        assert soon(lambda pid=pid: gone(pid))  # type: ignore[misc]


def test_the_signature_follows_the_script(script: Write) -> None:
    spec = script("a.py", python("pass"))
    metric = catalogue.metric(f"{spec} --model ./weights 'two words'")
    Path("weights").write_text("1")
    one = metric.signature(metric.fit([]))
    assert one.startswith("command:./a.py --model ./weights 'two words'|outputs:score|./a.py:")
    assert os.getcwd() not in one  # noqa: PTH109
    assert metric.signature(metric.fit([])) == one
    Path("weights").write_text("2")
    two = metric.signature(metric.fit([]))
    script("a.py", python("print(1)"))
    assert len({one, two, metric.signature(metric.fit([]))}) == 3
    assert metric.fit([]).digest() != metric.fit([]).state["files"]


def test_on_the_command_line(script: Write, evalkit_command: Command, tmp_path: Path) -> None:
    spec = script("one.py", python("for line in sys.stdin: print(json.loads(line)['id'])"))
    lines = [json.dumps({"id": i, "prediction": "a", "reference": "a"}) for i in range(10)]
    (tmp_path / "preds.jsonl").write_text("\n".join(lines))
    done = evalkit_command(
        "score", "preds.jsonl", "--metric", spec, "--protocol", "smoke", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"][0]["scores"][0]["value"] == 4.5


def test_no_example_no_run(script: Write) -> None:
    assert rows(catalogue.metric(script("fails.py", python("sys.exit(1)"))), []) == []
