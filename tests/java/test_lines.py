"""The line protocol against programs that misbehave; Python plays the program."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.errors import MetricError
from evalkit.java.lines import WINDOW, LineServer
from tests.java.gone import gone

HELLO = ("hello", "answer hello")
ECHO = """
import os, sys
for line in sys.stdin:
    line = line.rstrip("\\n")
    {misbehave}
    print("answer", line, flush=True)
"""
Server = Callable[..., LineServer]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A server whose program runs `misbehave` before each answer."""

    def make(misbehave: str = "pass", **settings: float) -> LineServer:
        path = tmp_path / "program.py"
        path.write_text(ECHO.format(misbehave=misbehave), encoding="utf-8")
        command = (sys.executable, "-X", "utf8", path)
        return LineServer("test", command, HELLO, **settings)

    return make


def answers(count: int) -> list[str]:
    return [f"answer {i}" for i in range(count)]


def questions(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def test_one_program_answers_every_batch_in_order(server: Server) -> None:
    made = server()
    for count in (1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 1000):
        assert list(made.ask(questions(count))) == answers(count)
    assert list(made.ask(["ünï 日本"])) == ["answer ünï 日本"]
    assert len(made.pids) == 1


def test_no_question_starts_nothing(server: Server) -> None:
    made = server()
    assert list(made.ask([])) == []
    assert made.pids == []


def test_full_pipes_do_not_block(server: Server) -> None:
    """Each question fills the pipe; the program reads on only when it could write."""
    large = ["x" * 300_000 + str(i) for i in range(3 * WINDOW)]
    assert list(server().ask(large)) == [f"answer {one}" for one in large]


def test_a_program_that_talks_to_stderr_without_end(server: Server) -> None:
    made = server("sys.stderr.write('w' * 100_000)")
    assert list(made.ask(questions(100))) == answers(100)


def test_killed_in_the_middle_it_is_replaced_and_nothing_is_lost(server: Server) -> None:
    made = server()
    found = []
    for answer in made.ask(questions(500)):
        found.append(answer)
        if len(found) == 100:
            os.kill(made.pids[-1], signal.SIGKILL)
    assert found == answers(500)
    assert len(made.pids) == 2


def test_killed_between_two_batches_it_is_replaced(server: Server) -> None:
    made = server()
    assert list(made.ask(questions(3))) == answers(3)
    os.kill(made.pids[-1], signal.SIGKILL)
    assert list(made.ask(questions(3))) == answers(3)
    assert len(made.pids) == 2


def test_a_question_that_kills_is_an_error_with_its_last_words(server: Server) -> None:
    made = server("if line == '70': sys.exit('no memory for 70')")
    with pytest.raises(MetricError, match=r'exit status 1 at "70…": no memory for 70') as caught:
        list(made.ask(questions(100)))
    assert "\n" not in str(caught.value)
    assert len(made.pids) == 2
    assert all(map(gone, made.pids))
    assert list(made.ask(questions(3))) == answers(3)


def test_dying_at_each_start_is_an_error_in_seconds(server: Server) -> None:
    started = time.monotonic()
    with pytest.raises(MetricError, match="exit status 3 at its start: no such option"):
        list(server("print('no such option', file=sys.stderr); os._exit(3)").ask(["a"]))
    assert time.monotonic() - started < 5


def test_killed_at_each_start_is_an_error_in_seconds(server: Server) -> None:
    started = time.monotonic()
    with pytest.raises(MetricError, match=r"was killed \(signal 9\) at its start"):
        list(server("os.kill(os.getpid(), 9)").ask(["a"]))
    assert time.monotonic() - started < 5


def test_silence_is_an_error_after_the_limit(server: Server) -> None:
    made = server("import time; line == '5' and time.sleep(600)", answer_seconds=0.5)
    started = time.monotonic()
    with pytest.raises(MetricError, match="no answer for"):
        list(made.ask(questions(10)))
    assert time.monotonic() - started < 5
    assert gone(made.pids[0])


def test_silence_while_a_question_is_larger_than_the_pipe(server: Server) -> None:
    made = server("import time; line == '5' and time.sleep(600)", answer_seconds=0.5)
    with pytest.raises(MetricError, match="no answer for"):
        list(made.ask([*questions(10), "x" * 10_000_000]))
    assert gone(made.pids[0])


def test_silence_at_the_start(server: Server) -> None:
    made = server("import time; time.sleep(600)", start_seconds=0.5)
    with pytest.raises(MetricError, match="did not start within"):
        list(made.ask(["a"]))
    assert gone(made.pids[0])


def test_another_program_is_refused(server: Server) -> None:
    with pytest.raises(MetricError, match='greets with "using java 8"'):
        list(server("print('using java 8')").ask(["a"]))


def test_answers_that_shift_are_an_error(server: Server) -> None:
    with pytest.raises(MetricError, match="more answers than there were questions"):
        list(server("line == '5' and print('a warning')").ask(questions(10)))


def test_an_answer_without_its_end_is_no_answer(server: Server) -> None:
    with pytest.raises(MetricError, match="exit status 0 at"):
        list(server("line == '5' and (print('answ', end='', flush=True), sys.exit())").ask(["5"]))


def test_a_batch_given_up_takes_its_program_with_it(server: Server) -> None:
    made = server()
    batch = made.ask(questions(100))
    assert next(batch) == "answer 0"
    batch.close()  # type: ignore[attr-defined]
    assert gone(made.pids[0])
    assert list(made.ask(questions(3))) == answers(3)


def test_two_batches_at_once_do_not_mix(server: Server) -> None:
    made = server()
    one, other = made.ask(questions(100)), made.ask(["a", "b"])
    assert [next(one), next(other), next(one), next(other)] == [
        "answer 0",
        "answer a",
        "answer 1",
        "answer b",
    ]
    assert list(one) == answers(100)[2:]


def test_what_is_lost_is_ended_and_its_folder_deleted(server: Server, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        made = server()
        assert list(made.ask(["a"])) == ["answer a"]
    assert len(list(temporary.iterdir())) == 1
    pids = made.pids
    del made
    gc.collect()
    assert gone(pids[0])
    assert list(temporary.iterdir()) == []


def test_close_may_be_said_twice(server: Server) -> None:
    made = server()
    assert list(made.ask(["a"])) == ["answer a"]
    made.close()
    made.close()
    assert gone(made.pids[0])


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(MetricError, match="cannot run /nowhere/java"):
        list(LineServer("test", ["/nowhere/java"], HELLO).ask(["a"]))


PARENT = """
import os, signal, sys, time
from evalkit.java.lines import LineServer
server = LineServer("test", [sys.executable, sys.argv[1]], ("hello", "answer hello"))
batch = server.ask([str(i) for i in range(1000)])
next(batch)
print(server.pids[0], flush=True)
"""
ENDINGS = {
    "exit": "",
    "exception": "raise ValueError",
    "interrupt": "time.sleep(60)",
    "kill": "time.sleep(60)",
}
SIGNALS = {"interrupt": signal.SIGINT, "kill": signal.SIGKILL}


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_we_end_the_program_ends_too(tmp_path: Path, root: Path, ending: str) -> None:
    """Killed, we close the pipe that it reads: the end of its input is its end."""
    program = tmp_path / "program.py"
    program.write_text(ECHO.format(misbehave="pass"), encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT) + ENDINGS[ending], str(program)],
        cwd=root,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        if ending in SIGNALS:
            assert not gone(pid, seconds=0.1)
            parent.send_signal(SIGNALS[ending])
        parent.wait(10)
    assert gone(pid)


def test_ctrl_c_of_the_terminal_does_not_reach_it(server: Server) -> None:
    made = server()
    assert list(made.ask(["a"])) == ["answer a"]
    assert os.getpgid(made.pids[0]) == made.pids[0] != os.getpgid(0)
