"""A stored model as a tokenizer and the lower layers of its encoder, cut as bert-score cuts them.

Reference: bert_score.utils.get_model, version 0.3.13; what decides is the configuration, not the
folder's name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from evalkit.errors import UnavailableError
from evalkit.neural.models import StoredModel, check_layers

ENCODER_ALONE = ("t5", "mt5", "umt5")  # the decoder need not be loaded
LAYER_LISTS = ("layer", "encoder.block", "encoder.layer", "transformer.layer", "layers")
UNLIMITED = 10**6  # tokenizers without a limit of their own give 1e30
OTHERWISE = 512  # tokens, where neither the tokenizer nor the configuration has a limit


@dataclass(frozen=True)
class LoadedModel:
    """`limit`: tokens of a text that the model reads, special ones included."""

    tokenizer: Any
    encoder: Any
    limit: int


def _transformers() -> Any:
    """Untyped: its names are made at run time."""
    return importlib.import_module("transformers")


@contextmanager
def silenced() -> Iterator[None]:
    """transformers without messages below errors and without bars; as it was before at the end."""
    logging = _transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_tokenizer(stored: StoredModel, metric: str) -> Any:
    """With a space before the first word where the tokenizer is GPT-2's or RoBERTa's.

    bert-score passes add_prefix_space for these; transformers 5 ignores it there, so that
    bert-score under transformers 5 leaves its own published values.
    """
    library = _transformers()
    spaced = (library.GPT2TokenizerFast, library.RobertaTokenizerFast)
    load = library.AutoTokenizer.from_pretrained
    with silenced(), _told(stored, metric):
        tokenizer = load(stored.folder, local_files_only=True)
        if isinstance(tokenizer, spaced):
            tokenizer = load(stored.folder, local_files_only=True, add_prefix_space=True)
    return tokenizer


def load_model(
    stored: StoredModel, tokenizer: Any, layers: int, dtype: str, device: str, metric: str
) -> LoadedModel:
    """dtype: fp32 or bf16; MetricError where there are fewer layers, UnavailableError if broken."""
    import torch

    library = _transformers()
    with silenced(), _told(stored, metric):
        config = library.AutoConfig.from_pretrained(stored.folder, local_files_only=True)
        alone = config.model_type in ENCODER_ALONE
        family = library.AutoModelForTextEncoding if alone else library.AutoModel
        model, report = family.from_pretrained(
            stored.folder, config=config, local_files_only=True, output_loading_info=True
        )
    lacking = set(report["missing_keys"]) | {key for key, *_ in report["mismatched_keys"]}
    random = {
        id(weights)
        for name, weights in model.named_parameters()
        if name in lacking and "pooler" not in name
    }
    encoder = _cut(_encoder_of(model), layers, metric)
    if any(id(weights) in random for weights in encoder.parameters()):
        raise UnavailableError(f"{metric}: the files of {stored.name} lack weights of its encoder")
    wanted = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    encoder = encoder.eval().requires_grad_(False).to(device=device, dtype=wanted)
    return LoadedModel(tokenizer, encoder, _limit(tokenizer, config, encoder))


@contextmanager
def _told(stored: StoredModel, metric: str) -> Iterator[None]:
    """What transformers cannot load becomes one line."""
    try:
        yield
    except Exception as error:  # transformers, safetensors and pickle have many ways to say it
        reason = " ".join(str(error).split())[:300]
        raise UnavailableError(f"{metric}: cannot load {stored.name}: {reason}") from error


def _encoder_of(model: Any) -> Any:
    return model.encoder if hasattr(model, "decoder") and hasattr(model, "encoder") else model


def _cut(encoder: Any, layers: int, metric: str) -> Any:
    """The same encoder with its first layers only."""
    if hasattr(encoder, "n_layers"):  # XLM loops over a number
        check_layers(layers, encoder.n_layers, metric)
        encoder.n_layers = layers
        return encoder
    if hasattr(getattr(encoder, "encoder", None), "albert_layer_groups"):  # layers share weights
        config = encoder.encoder.config
        check_layers(layers, config.num_hidden_layers, metric)
        config.num_hidden_layers = layers
        return encoder
    for path in LAYER_LISTS:
        *above, name = path.split(".")
        owner = encoder
        for part in above:
            owner = getattr(owner, part, None)
        if (found := getattr(owner, name, None)) is not None:
            check_layers(layers, len(found), metric)
            setattr(owner, name, found[:layers])
            return encoder
    raise UnavailableError(
        f"{metric}: a model of type {encoder.config.model_type} has no layers to cut"
    )


def _limit(tokenizer: Any, config: Any, encoder: Any) -> int:
    """RoBERTa's positions start behind its padding index: 514 of them hold 512 tokens."""
    limits = []
    if 0 < tokenizer.model_max_length < UNLIMITED:
        limits.append(int(tokenizer.model_max_length))
    if (positions := getattr(config, "max_position_embeddings", None)) and positions > 0:
        limits.append(positions - _positions_before_the_first(encoder))
    return min(limits, default=OTHERWISE)


def _positions_before_the_first(encoder: Any) -> int:
    for name, module in encoder.named_modules():
        if name.endswith("position_embeddings"):
            padding = getattr(module, "padding_idx", None)
            return 0 if padding is None else padding + 1
    return 0
