"""Finding models without a network, loading them quietly, and what is refused."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import MetricError, MissingDependencyError, UnavailableError
from evalkit.neural import bertscore_data
from evalkit.neural.loading import load_model, load_tokenizer
from evalkit.neural.models import content_digest, find_model
from tests.neural.stored import tiny_model

pytest.importorskip("torch", reason="the extra `neural` is not installed")
transformers = pytest.importorskip("transformers")
pytest.importorskip("bert_score")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was looked up on a network, which is refused."""
    made: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        made.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(tiny_model("bert", tmp_path / "tiny"))


def load(model: Path | str, layers: int = 2) -> Any:
    stored = find_model(str(model), "bertscore")
    tokenizer = load_tokenizer(stored, "bertscore")
    return load_model(stored, tokenizer, layers, "fp32", "cpu", "bertscore")


def test_a_model_that_is_absent_names_the_command(calls: list[Any]) -> None:
    with pytest.raises(UnavailableError, match="run: hf download nobody/no-such-model"):
        find_model("nobody/no-such-model", "bertscore")
    assert not calls


@pytest.mark.parametrize("model", ["./absent", "/absent/folder", "a b", "a/b/c"])
def test_a_folder_that_is_absent(model: str) -> None:
    with pytest.raises(UnavailableError, match="no folder"):
        find_model(model, "bertscore")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no config\.json"):
        find_model(str(tmp_path), "bertscore")


def test_a_name_in_the_cache_of_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = tmp_path / "hub" / "models--me--tiny"
    shutil.copytree(folder, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    stored = find_model("me/tiny", "bertscore")
    assert (stored.name, stored.revision) == ("me/tiny", commit[:12])
    assert load("me/tiny").limit == 32
    assert not calls


def test_the_content_identifies_a_folder(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(folder, other)
    (other / "README.md").write_text("about it")
    first, second = (find_model(str(one), "bertscore") for one in (folder, other))
    assert (first.name, first.revision) == (second.name, second.revision)
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert content_digest(other) != content_digest(folder)


def test_loading_is_quiet_and_leaves_no_trace(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    load(folder)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_more_layers_than_there_are(folder: Path) -> None:
    with pytest.raises(MetricError, match="num_layers=4, but the model has 3"):
        load(folder, 4)


def test_weights_that_are_missing_or_broken(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UnavailableError, match="cannot load tiny"):
        load(folder)
    weights.unlink()
    with pytest.raises(UnavailableError, match="cannot load tiny"):
        load(folder)


def test_random_weights_are_never_used(folder: Path) -> None:
    """transformers fills what a file lacks with random numbers; a pooler is not used."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    full = load_file(path)
    save_file({k: v for k, v in full.items() if "pooler" not in k}, path, {"format": "pt"})
    load(folder)
    save_file({k: v for k, v in full.items() if "layer.2" not in k}, path, {"format": "pt"})
    load(folder, 2)
    with pytest.raises(UnavailableError, match="lack weights"):
        load(folder, 3)


@pytest.mark.parametrize(
    ("family", "limit"), [("bert", 32), ("roberta", 32), ("mpnet", 32), ("t5", 512), ("bart", 40)]
)
def test_limit_where_the_tokenizer_has_none(family: str, limit: int, tmp_path: Path) -> None:
    """RoBERTa's 34 positions hold 32 tokens; T5 has no positions."""
    more = {"max_position_embeddings": 40} if family == "bart" else {}
    model = tiny_model(family, tmp_path / family, **more)
    stored = find_model(model, "bertscore")
    tokenizer = load_tokenizer(stored, "bertscore")
    tokenizer.model_max_length = 10**30
    loaded = load_model(stored, tokenizer, 2, "fp32", "cpu", "bertscore")
    assert loaded.limit == limit
    ids = transformers.BatchEncoding(
        tokenizer(["dog " * 600], truncation=True, max_length=limit)
    ).convert_to_tensors("pt")["input_ids"]
    assert ids.shape == (1, limit)
    assert loaded.encoder(ids)[0].shape == (1, limit, 32)


def test_layer_of_an_unknown_model() -> None:
    with pytest.raises(MetricError, match="add num_layers=N"):
        bertscore_data.default_layer("/models/mine")


def test_baselines_that_are_refused(tmp_path: Path) -> None:
    known = bertscore_data.baseline
    assert known("roberta-large", 17, None) == known("FacebookAI/roberta-large", 17, "en")
    with pytest.raises(MetricError, match="no baseline for the model"):
        known("/models/mine", 5, None)
    with pytest.raises(MetricError, match=r"11 baselines .* baseline=cs\|de\|en"):
        known("xlm-roberta-base", 9, None)
    with pytest.raises(MetricError, match="neither a file nor a language"):
        known("roberta-large", 17, "de")
    with pytest.raises(MetricError, match="no layer 99"):
        known("roberta-large", 99, None)
    for content in ("a,b\n1,2\n", "LAYER,P,R,F\n5,x,1,1\n", "LAYER,P,R,F\n5,.1\n", "\x00"):
        (tmp_path / "own.tsv").write_text(content)
        with pytest.raises(MetricError, match=r"not a baseline|no layer"):
            known("mine", 5, str(tmp_path / "own.tsv"))
    (tmp_path / "own.tsv").write_text("LAYER,P,R,F\n5,1,.5,.5\n")
    with pytest.raises(MetricError, match="below 1"):
        known("mine", 5, str(tmp_path / "own.tsv"))


def test_without_bert_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bertscore_data, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="add num_layers=N"):
        bertscore_data.default_layer("roberta-large")
    with pytest.raises(MissingDependencyError, match="baseline=FILE"):
        bertscore_data.baseline("roberta-large", 17, None)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_without_the_libraries(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"torch": object(), "transformers": object()} | {library: None}
    monkeypatch.setattr("evalkit.neural.models.find_spec", found.get)
    with pytest.raises(MissingDependencyError, match=f"{library} is not installed; run: pip"):
        find_model("roberta-large", "bertscore")
