"""A transformer on disk: a folder, or a name of the Hugging Face hub that was downloaded before.

Nothing is downloaded here. What identifies the model in a signature is never a machine's path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from evalkit.errors import MetricError, MissingDependencyError, UnavailableError

HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "*.model"),
)


@dataclass(frozen=True)
class StoredModel:
    """`name` as it may be shown, `revision`: the hub's commit or the sha256 of the files."""

    name: str
    revision: str
    folder: Path


def require_transformers(metric: str) -> None:
    """MissingDependencyError unless torch and transformers are installed."""
    for library, wanted in (("torch", "torch>=2.4"), ("transformers", "transformers>=4.40,<6")):
        if find_spec(library) is None:
            raise MissingDependencyError(
                f'{metric}: {library} is not installed; run: pip install "{wanted}" '
                "(it belongs to the extra neural)"
            )


def find_model(model: str, metric: str) -> StoredModel:
    """A folder that exists, else a hub name in the hub's cache; UnavailableError for neither."""
    require_transformers(metric)
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UnavailableError(
                f"{metric}: no config.json, so not a model of transformers", model
            )
        return StoredModel(path.resolve().name, f"sha256:{content_digest(path)[:12]}", path)
    if not HUB_NAME.fullmatch(model):
        raise UnavailableError(f'{metric}: no folder "{model}", and no name of the hub either')
    folder = _cached(model)
    if folder is None:
        raise UnavailableError(
            f'{metric}: the model "{model}" is not on this machine and evalkit downloads nothing '
            f"by itself; run: hf download {model} — or give the path of a folder with "
            "model=FOLDER"
        )
    return StoredModel(model, folder.name[:12], folder)


def _cached(name: str) -> Path | None:
    """The snapshot folder of the hub's cache, whose name is the commit."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def content_digest(folder: Path) -> str:
    """sha256 of the files that decide the vectors: configuration, tokenizer and all weights."""
    total = hashlib.sha256()
    for path in _deciding(folder):
        with path.open("rb") as stream:
            total.update(
                f"{path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode()
            )
    return total.hexdigest()


def _deciding(folder: Path) -> Iterator[Path]:
    """Safetensors win over pickled weights, as they do when transformers loads."""
    patterns = ["config.json", *TOKENIZER_FILES]
    patterns.append("*.safetensors" if any(folder.glob("*.safetensors")) else "*.bin")
    yield from sorted(path for pattern in patterns for path in folder.glob(pattern))


def check_layers(layers: int, available: int, metric: str) -> None:
    """MetricError unless the model has that many layers."""
    if not 0 <= layers <= available:
        raise MetricError(
            f"{metric}: num_layers={layers}, but the model has {available} layers; "
            f"use 0 to {available}"
        )
