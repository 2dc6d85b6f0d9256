"""`evalkit results verify`, and what `evalkit score` keeps in run.json for it."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import evalkit
from evalkit.results import encode
from evalkit.verbs.provenance import REDACTED, parse_tags, without_secrets
from tests.conftest import ROOT, Command

SUMMARIES = ROOT / "examples" / "summaries"
OWN = '''"""The share of words that are short."""
from dataclasses import dataclass
from typing import ClassVar
from evalkit.metric import MeanMetric, Output

@dataclass(frozen=True)
class Short(MeanMetric):
    outputs: ClassVar = (Output("short"),)
    reads: ClassVar = "text"
    reference: ClassVar = "none"

    def rows(self, examples, fitted):
        return ([len(example.prediction) % 2, 1] for example in examples)
'''


@pytest.fixture
def scored(tmp_path: Path, evalkit_command: Command) -> Path:
    """Two systems of one call, in a folder that holds its inputs."""
    shutil.copytree(SUMMARIES, tmp_path / "in")
    done = evalkit_command(
        *("score", "in/preds/BART.jsonl", "mine=in/preds/T5.jsonl", "--refs", "in/refs.jsonl"),
        *("-m", "rouge", "--set", "s", "--resamples", "200", "--tag", "lr=1e-4", "--note", "one"),
    )
    assert done.returncode == 0, done.stderr
    return tmp_path / "results" / "s"


def verdict(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    found = json.loads(done.stdout)
    assert (found["schema"], found["kind"]) == (1, "results")
    return {Path(one["path"]).name: one["verdict"] for one in found["results"]}


def test_every_byte_agrees(scored: Path, evalkit_command: Command) -> None:
    done = evalkit_command("results", "verify", "BART", "s/mine", "--json")
    assert done.returncode == 0, done.stderr
    assert verdict(done) == {"BART": "agrees", "mine": "agrees"}
    elsewhere = scored.parent / "elsewhere"
    elsewhere.mkdir()
    done = evalkit_command("results", "verify", scored / "mine", cwd=elsewhere)
    assert done.returncode == 0, done.stderr + done.stdout
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", ["result.json", "tables/rouge.npz", "examples.jsonl.gz"])
def test_a_changed_file_is_named_and_exits_1(
    scored: Path, evalkit_command: Command, name: str
) -> None:
    place = scored / "BART" / name
    if name == "result.json":
        document = json.loads(place.read_text())
        document["scores"][0]["value"] += 0.25
        place.write_bytes(encode(document))
    elif name.endswith(".gz"):
        lines = gzip.decompress(place.read_bytes()).splitlines(keepends=True)
        place.write_bytes(gzip.compress(b"".join([lines[0].replace(b"the ", b"a "), *lines[1:]])))
    else:
        other = scored / "mine" / name
        place.write_bytes(other.read_bytes())
    done = evalkit_command("results", "verify", "BART", "mine")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{name} differs" in done.stdout
    if name == "result.json":
        assert "first at scores[0].value" in done.stdout


def test_packed_otherwise_is_said(scored: Path, evalkit_command: Command) -> None:
    place = scored / "BART" / "examples.jsonl.gz"
    place.write_bytes(gzip.compress(gzip.decompress(place.read_bytes()), 9))
    done = evalkit_command("results", "verify", "BART")
    assert done.returncode == 1
    assert "other bytes, the same content" in done.stdout


def test_a_changed_input_is_named_with_both_hashes(scored: Path, evalkit_command: Command) -> None:
    place = scored.parent.parent / "in" / "preds" / "BART.jsonl"
    before = evalkit.load(scored / "BART").run["files"]["in/preds/BART.jsonl"]
    lines = place.read_text().splitlines(keepends=True)
    place.write_text("".join(reversed(lines)))
    done = evalkit_command("results", "verify", "BART", "--json")
    assert done.returncode == 0, done.stderr  # the order of lines changes no byte of a result
    (one,) = json.loads(done.stdout)["results"]
    assert before in one["notes"][0]
    assert "now" in one["notes"][0]
    place.write_text("".join([*lines[:-1], lines[-1].replace(" the ", " a ")]))
    done = evalkit_command("results", "verify", "BART")
    assert done.returncode == 1
    assert "result.json differs, first at inputs.predictions" in done.stdout


def test_missing_and_moved_inputs(scored: Path, evalkit_command: Command) -> None:
    home = scored.parent.parent
    (home / "in").rename(home / "moved")
    done = evalkit_command("results", "verify", "BART", "mine")
    assert done.returncode == 2
    assert "in/preds/BART.jsonl: no such file any more (sha256 " in done.stdout.replace("\n", "")
    shutil.copytree(home / "moved" / "preds", home / "flat")
    shutil.copy(home / "moved" / "refs.jsonl", home / "flat")
    done = evalkit_command("results", "verify", "BART", "mine", "--inputs", "flat", "--json")
    assert done.returncode == 0, done.stdout
    assert verdict(done) == {"BART": "agrees", "mine": "agrees"}
    assert "moved: found at flat/BART.jsonl" in done.stdout


def test_systems_inside_one_file_clusters_slices_and_ones_own_metric(
    tmp_path: Path, evalkit_command: Command
) -> None:
    rows = [
        {"id": i, "doc": i // 3, "mt": f"word {i}", "ref": "word", "system": name, "kind": i % 2}
        for i in range(30)
        for name in ("one", "two")
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "short.py").write_text(OWN)
    command = ("score", "p.jsonl", "-m", "./short.py", "-m", "chrf", "--slice", "kind")
    done = evalkit_command(*command, "--set", "s")
    assert done.returncode == 0, done.stderr
    run = evalkit.load(tmp_path / "results" / "s" / "one").run
    assert run["definitions"].keys() == {"./short.py"}
    done = evalkit_command("results", "verify", "one", "two", "--trust", "--json")
    assert verdict(done) == {"one": "agrees", "two": "agrees"}
    (tmp_path / "short.py").write_text(OWN.replace("% 2", "% 3"))
    done = evalkit_command("results", "verify", "one", "--trust")
    assert done.returncode == 1
    assert "./short.py changed: sha256 was" in done.stdout


def test_what_python_or_stdin_scored_cannot_be_verified(
    tmp_path: Path, evalkit_command: Command
) -> None:
    evalkit.score(["a"] * 9, ["a"] * 9, ["exact_match"], set="s").save(tmp_path / "results")
    done = evalkit_command("results", "verify", "system")
    assert done.returncode == 2
    assert "holds no request" in done.stdout
    text = "".join(json.dumps({"id": i, "mt": "a", "ref": "a"}) + "\n" for i in range(9))
    done = evalkit_command("score", "-", "-m", "exact_match", "--set", "s", input=text)
    assert done.returncode == 0, done.stderr
    done = evalkit_command("results", "verify", "stdin")
    assert done.returncode == 2
    assert "standard input" in done.stdout


def test_several_files_of_plain_references_are_all_recorded(
    tmp_path: Path, evalkit_command: Command
) -> None:
    for name, word in (("p", "a"), ("r1", "a"), ("r2", "b")):
        (tmp_path / f"{name}.txt").write_text(f"{word} x\n" * 9)
    refs = ("--refs", "r1.txt", "--refs", "r2.txt")
    assert evalkit_command("score", "p.txt", *refs, "-m", "chrf", "--set", "s").returncode == 0
    run = evalkit.load(tmp_path / "results" / "s" / "p").run
    assert run["files"].keys() == {"p.txt", "r1.txt", "r2.txt"}
    (tmp_path / "r2.txt").write_text("c x\n" * 9)
    done = evalkit_command("results", "verify", "p")
    assert done.returncode == 1
    assert "r2.txt changed" in done.stdout


def test_note_and_tags_change_no_byte_of_the_result(scored: Path, evalkit_command: Command) -> None:
    before = (scored / "BART" / "result.json").read_bytes()
    run = evalkit.load(scored / "BART").run
    assert (run["note"], run["tags"]) == ("one", {"lr": "1e-4"})
    assert run["command"][:2] == ["evalkit", "score"]
    assert {"note", "tags", "command"}.isdisjoint(run["request"])
    again = ("score", "in/preds/BART.jsonl", "--refs", "in/refs.jsonl", "-m", "rouge")
    evalkit_command(*again, "--set", "s", "--resamples", "200", "--tag", "lr=2", "--tag", "a=b=c")
    assert (scored / "BART" / "result.json").read_bytes() == before
    assert evalkit.load(scored / "BART").run["tags"] == {"lr": "2", "a": "b=c"}


def test_the_commit_and_whether_it_was_changed(tmp_path: Path, evalkit_command: Command) -> None:
    def git(*arguments: str) -> str:
        settings = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        return subprocess.check_output(["git", *settings, *arguments], cwd=tmp_path, text=True)

    def recorded() -> object:
        done = evalkit_command("score", "p.txt", "--refs", "p.txt", "-m", "exact_match")
        assert done.returncode == 0, done.stderr
        (place,) = (tmp_path / "results").glob("*/p")
        return evalkit.load(place).run["git"]

    (tmp_path / "p.txt").write_text("a\n" * 9)
    assert recorded() is None
    git("init", "-q")
    assert recorded() is None  # no commit yet
    git("add", "p.txt")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD").strip()
    assert recorded() == {"commit": commit, "dirty": False}
    (tmp_path / "p.txt").write_text("b\n" * 9)
    done = evalkit_command("score", "p.txt", "--refs", "p.txt", "-m", "exact_match", "--replace")
    assert done.returncode == 0, done.stderr
    runs = [evalkit.load(place).run["git"] for place in (tmp_path / "results").glob("*/p")]
    assert {"commit": commit, "dirty": True} in runs


def test_without_git_nothing_is_recorded(tmp_path: Path, evalkit_command: Command) -> None:
    (tmp_path / "p.txt").write_text("a\n" * 9)
    command = ("score", "p.txt", "--refs", "p.txt", "-m", "exact_match", "--set", "s")
    done = evalkit_command(*command, env={"PATH": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    assert evalkit.load(tmp_path / "results" / "s" / "p").run["git"] is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://me:pass@host/x", f"https://{REDACTED}@host/x"),
        ("s3://bucket/x?X-Amz-Signature=abc", f"s3://bucket/x?{REDACTED}"),
        ("command:./x --api-key abc123 y", f"command:./x --api-key {REDACTED} y"),
        ("command:./x API_KEY=abc123 y", f"command:./x API_KEY={REDACTED} y"),
        ("--openai-token=abc123", f"--openai-token={REDACTED}"),
        ("Authorization: Bearer abcdefgh12", f"Authorization: Bearer {REDACTED}"),
        ("https://me:pa/ss@host/x", f"https://{REDACTED}@host/x"),
        ("mine=s3://bucket/a b?X=abc", f"mine=s3://bucket/a b?{REDACTED}"),
        ("github://owner:repo@main/x", "github://owner:repo@main/x"),
        (["password=two words"], [f"password={REDACTED}"]),
        (["--tag=password=two words"], [f"--tag=password={REDACTED}"]),
        ("sk-abcdefghijklmnop1234", REDACTED),
        (["--password", "hunter2", "x"], ["--password", REDACTED, "x"]),
        ("bleu:tokenize=zh", "bleu:tokenize=zh"),
        ("preds.jsonl", "preds.jsonl"),
        (["--field", "id=image_id"], ["--field", "id=image_id"]),
        ({"seed": 1, "x": None}, {"seed": 1, "x": None}),
    ],
)
def test_credentials_are_left_out(given: object, kept: object) -> None:
    assert without_secrets(given) == kept


def test_a_credential_on_the_command_line_is_left_out_and_said(
    tmp_path: Path, evalkit_command: Command
) -> None:
    (tmp_path / "p.txt").write_text("a\n" * 9)
    note = "password=hunter2"
    command = ("score", "p.txt", "--refs", "p.txt", "-m", "exact_match", "--set", "s")
    done = evalkit_command(*command, "--note", note)
    assert "what looks like a credential was left out" in done.stderr
    assert "hunter2" not in (tmp_path / "results" / "s" / "p" / "run.json").read_text()


def test_the_value_of_a_tag_goes_by_its_name(tmp_path: Path, evalkit_command: Command) -> None:
    (tmp_path / "p.txt").write_text("a\n" * 9)
    secret = ("token=hunter2", "api_key=hunter2", "password=hunter2 hunter3", "hf-token=hunter2")
    tags = (word for tag in (*secret, "tokens=12", "lr=1e-4") for word in ("--tag", tag))
    command = ("score", "p.txt", "--refs", "p.txt", "-m", "exact_match", "--set", "s")
    done = evalkit_command(*command, *tags, "--tag=secret=hunter2")
    assert "what looks like a credential was left out" in done.stderr
    assert "hunter" not in (tmp_path / "results" / "s" / "p" / "run.json").read_text()
    kept = evalkit.load(tmp_path / "results" / "s" / "p").run["tags"]
    hidden = dict.fromkeys(("token", "api_key", "password", "hf-token", "secret"), REDACTED)
    assert kept == {**hidden, "tokens": "12", "lr": "1e-4"}
    for verb in (("list",), ("show", "p")):
        assert "hunter" not in evalkit_command("results", *verb).stdout


@pytest.mark.parametrize("name", ["refs.jsonl.gz", "refs.jsonl.zst", "file://", "pipe"])
def test_every_source_is_verified_or_said_why_not(
    scored: Path, evalkit_command: Command, name: str
) -> None:
    home = scored.parent.parent
    text = (home / "in" / "refs.jsonl").read_bytes()
    refs = {"file://": (home / "in" / "refs.jsonl").as_uri(), "pipe": "/dev/stdin"}.get(name, name)
    if name.endswith("gz"):
        (home / name).write_bytes(gzip.compress(text))
    elif name.endswith("zst"):
        zstandard = pytest.importorskip("zstandard", reason="the extra `zstd` is not installed")
        (home / name).write_bytes(zstandard.compress(text))
    given = ("mine=in/preds/T5.jsonl", "--refs", refs, "--format", "jsonl")
    command = ("score", *given, "-m", "exact_match")
    done = evalkit_command(*command, "--set", "t", input=text.decode())
    assert done.returncode == 0, done.stderr
    done = evalkit_command("results", "verify", "t/mine")
    wanted = "it was read from a pipe, which is not kept" if name == "pipe" else ": agrees\n"
    assert wanted in done.stdout


def test_the_secret_of_another_system_does_not_count(
    scored: Path, evalkit_command: Command
) -> None:
    place = scored / "BART" / "run.json"
    run = json.loads(place.read_text())
    run["request"]["predictions"].append(f"q=https://host/x.jsonl?{REDACTED}")
    place.write_text(json.dumps(run))
    done = evalkit_command("results", "verify", "BART")
    assert done.returncode == 0, done.stdout
    run["request"]["references"] = [f"https://host/x.jsonl?{REDACTED}"]
    place.write_text(json.dumps(run))
    done = evalkit_command("results", "verify", "BART")
    assert "a credential was left out" in done.stdout


def test_tags() -> None:
    assert parse_tags(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    for bad in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(evalkit.EvalkitError, match="--tag"):
            parse_tags(bad)
