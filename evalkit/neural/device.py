"""Which device neural metrics run on: chosen once for a call, resolved where torch is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from evalkit.errors import UnavailableError, UsageError, did_you_mean

DEVICES = ("auto", "cpu", "cuda")
_chosen: ContextVar[str] = ContextVar("evalkit_device", default="auto")


@contextmanager
def use_device(choice: str) -> Iterator[None]:
    """`auto` (CUDA where there is one), `cpu` or `cuda`; UsageError for any other."""
    if choice not in DEVICES:
        raise UsageError(f'no device is called "{choice}"{did_you_mean(choice, DEVICES)}')
    token = _chosen.set(choice)
    try:
        yield
    finally:
        _chosen.reset(token)


def device() -> str:
    """`cpu` or `cuda`; UnavailableError where CUDA was asked for and torch sees none."""
    import torch

    choice = _chosen.get()
    if choice == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if choice == "cuda":
        raise UnavailableError(f"torch {torch.__version__} sees no CUDA device; use --device cpu")
    return "cpu"
