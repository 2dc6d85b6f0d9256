"""The baseline in the repository: equal bytes, no texts, readable, never over something else."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import evalkit
from evalkit.cli.app import run
from evalkit.errors import DataError, ResultError
from evalkit.results import Result
from evalkit.verbs.gate import GateRequest, gate
from evalkit.verbs.gating.baseline import write_baseline
from evalkit.verbs.stored import slice_masks, units_of
from tests.compare.results import result
from tests.gate.made import ACCURACY, gate_file, labels, scored, worse
from tests.gate.test_stored import MINE

GOOD = labels(80, 0.8, 1)
DOMAINS = ["news", "web"] * 40


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def texts(system: str = "base") -> Result:
    said = [f"secret words of {i} and more" for i in range(20)]
    return scored(said, system, references=said, metrics=["chrf"])


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    """Also after a way through a results folder."""
    slices = {"domain": DOMAINS}
    clusters = [i // 2 for i in range(80)]
    result = scored(GOOD, slices=slices, cluster=clusters)
    stored = evalkit.load(result.save(tmp_path / "results"))
    write_baseline(result, tmp_path / "one")
    write_baseline(stored, tmp_path / "two")
    write_baseline(stored, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert set(files(tmp_path / "one")) == {
        "result.json",
        "tables/accuracy.npz",
        "examples.jsonl.gz",
    }


def test_no_text_leaves(tmp_path: Path) -> None:
    result = texts()
    write_baseline(result, tmp_path / "baseline")
    for name, content in files(tmp_path / "baseline").items():
        plain = gzip.decompress(content) if name.endswith(".gz") else content
        assert b"secret words" not in plain, name
    assert set(files(tmp_path / "baseline")) == {"result.json", "tables/chrf.npz"}


def test_warnings_that_quote_examples_stay_out(tmp_path: Path) -> None:
    result = scored(["secret" if one == "b" else "a" for one in GOOD], "base")
    assert "secret" in result.to_json()
    write_baseline(result, tmp_path / "baseline")
    assert not [one for one in files(tmp_path / "baseline").values() if b"secret" in one]


def test_it_is_read_as_any_result_and_pairs_alike(tmp_path: Path) -> None:
    result = scored(GOOD, slices={"domain": DOMAINS}, cluster=[i // 2 for i in range(80)])
    write_baseline(result, tmp_path / "baseline")
    read = evalkit.load(tmp_path / "baseline")
    assert read.to_dict() == {**result.to_dict(), "warnings": []}
    table = read.tables["accuracy"]
    ours, theirs = (units_of(one, table) for one in (result, read))
    assert ours.names == theirs.names
    assert ours.unit_of is not None
    assert theirs.unit_of is not None
    assert np.array_equal(ours.unit_of, theirs.unit_of)
    for (name, mask), (its, other) in zip(slice_masks(result), slice_masks(read), strict=True):
        assert name == its
        assert str(mask) == str(other)


def test_what_is_no_baseline_stays(tmp_path: Path) -> None:
    place = tmp_path / "baseline"
    write_baseline(scored(GOOD), place)
    (place / "notes.md").write_text("mine")
    with pytest.raises(ResultError, match=r"notes\.md"):
        write_baseline(scored(GOOD[::-1]), place)
    assert (place / "notes.md").read_text() == "mine"


def test_a_full_disk_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "baseline"
    write_baseline(scored(GOOD), place)
    before = files(place)

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResultError, match="No space left"):
        write_baseline(scored(worse(GOOD, 9)), place)
    assert files(place) == before
    assert [path.name for path in tmp_path.iterdir()] == ["baseline"]


def test_gate_takes_it_where_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scored(GOOD, "base").save("results")
    rule = f'{ACCURACY}kind = "not_worse_than_baseline"\nmargin = 0.1'
    gate_file(tmp_path, rule)
    assert run(["gate", "results/s/base", "--update-baseline"]) == 0
    scored(worse(GOOD, 30), "new").save("results")
    assert run(["gate", "results/s/new", "--rules", "gate.toml"]) == 1
    assert "baseline: base, from evalkit-baseline" in capsys.readouterr().err
    assert run(["gate", "results/s/new", "--update-baseline"]) == 0
    assert run(["gate", "results/s/new", "--rules", "gate.toml"]) == 0


def test_a_set_is_gated_without_its_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for system, by in (("base", 0), ("one", 2), ("two", 40)):
        scored(worse(GOOD, by), system).save("results")
    gate_file(tmp_path, f'{ACCURACY}kind = "not_worse_than_baseline"\nmargin = 0.2')
    code = run(["gate", "--baseline", "results/s/base", "--rules", "gate.toml", "--json"])
    found = json.loads(capfd.readouterr().out)
    assert code == 1
    assert [(row["system"], row["verdict"]) for row in found["rules"]] == [
        ("one", "pass"),
        ("two", "fail"),
    ]
    assert found["systems"] == ["one", "two"]


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results base, one and two; base is the baseline in the repository."""
    monkeypatch.chdir(tmp_path)
    for system, by in (("base", 0), ("one", 2), ("two", 40)):
        scored(worse(GOOD, by), system).save("results")
    gate_file(tmp_path, f'{ACCURACY}kind = "at_least"\nvalue = 0.1')
    assert run(["gate", "results/s/base", "--update-baseline"]) == 0
    return tmp_path


def gated(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[str], str]:
    """The systems that were gated, and the notes."""
    capfd.readouterr()
    assert run(["gate", *arguments, "--rules", "gate.toml", "--json"]) == 0
    said = capfd.readouterr()
    return json.loads(said.out)["systems"], said.err


def test_the_result_that_the_baseline_was_made_from_is_left_out(
    three: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    systems, notes = gated(capfd)
    assert systems == ["one", "two"]
    assert "results/s/base is left out: the baseline was made from it; name it to gate it" in notes
    assert gated(capfd, "results/s/base") == gated(capfd, "results/s/base/result.json")
    assert gated(capfd, "results/s", "results/s/base")[0] == ["base", "one", "two"]


def test_equal_predictions_of_another_system_are_gated(
    three: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A change that changes nothing must not drop out of its gate."""
    scored(GOOD, "new").save("results")
    assert gated(capfd)[0] == ["new", "one", "two"]
    for system in ("new", "one", "two"):
        shutil.rmtree(three / "results" / "s" / system)
    systems, notes = gated(capfd)
    assert systems == ["base"]
    assert "left out" not in notes


def test_a_new_baseline_says_what_it_changes(
    three: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    right = GOOD.count("a")
    capfd.readouterr()
    assert run(["gate", "results/s/two", "--update-baseline", "--json"]) == 0
    said = capfd.readouterr()
    changed = f"accuracy {right / 80:.4f} -> {(right - 40) / 80:.4f}, worse"
    assert said.err == f"evalkit: wrote evalkit-baseline: two, before base; {changed}; commit it\n"
    kept = json.loads(said.out)
    assert (kept["baseline"], kept["system"], kept["before"]) == ("evalkit-baseline", "two", "base")
    assert kept["changes"] == [
        {
            "label": "accuracy",
            "output": "accuracy",
            "before": right / 80,
            "value": (right - 40) / 80,
            "higher_is_better": True,
        }
    ]
    assert run(["gate", "results/s/one", "--update-baseline"]) == 0
    assert f"{(right - 2) / 80:.4f}, better; commit it" in capfd.readouterr().err


def test_a_new_baseline_of_other_examples_compares_nothing(
    three: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scored(GOOD[:30], "small").save("results")
    capfd.readouterr()
    assert run(["gate", "results/s/small", "--update-baseline"]) == 0
    assert "before base; the examples or references are other ones" in capfd.readouterr().err
    (three / "evalkit-baseline" / "result.json").write_text("{")
    assert run(["gate", "results/s/two", "--update-baseline"]) == 0
    assert capfd.readouterr().err == "evalkit: wrote evalkit-baseline: two; commit it\n"


def test_a_metric_file_is_named_where_no_catalogue_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    for system in ("base", "new"):
        scored(["x"] * 20, system, references=["y"] * 20, metrics=["./mine.py"]).save("results")
    gate_file(tmp_path, 'metric = "mine"\nkind = "not_worse_than_baseline"\nmargin = 0.1')
    command = ["gate", "results/s/new", "-b", "results/s/base", "--rules", "gate.toml"]
    assert run(command) == 2
    assert "--metric ./mine.py" in capsys.readouterr().err
    assert run([*command, "--metric", "./mine.py"]) == 0


def test_a_baseline_with_other_slices_or_clusters_does_not_pair(tmp_path: Path) -> None:
    """Else one side of the difference would be of other examples, or resampled as other units."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[[gate]]\nmetric = "bleu"\nkind = "better_than_baseline"\n')
    first = result("first", 0.3, 1, clustered=True, sliced=True)
    moved = [dict(one) for one in first.examples]
    moved[4] = {**moved[4], "fields": {"domain": "news"}}
    others = {
        'id "004" into different slices of domain': replace(first, examples=moved),
        "have different clusters": result("other", 0.3, 1, sliced=True),
    }
    for number, (says, other) in enumerate(others.items()):
        kept = other.save(tmp_path / str(number))
        request = GateRequest(
            (str(first.save(tmp_path / "now", replace=True)),), str(kept), str(rules)
        )
        with pytest.raises(DataError, match=says):
            gate(request)
