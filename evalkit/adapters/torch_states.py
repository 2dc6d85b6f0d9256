"""A torchmetrics metric driven from outside: its states of every example, and values from sums.

torchmetrics keeps what a metric has seen in named states. Where all of them are tensors that add
up, the states of one example are a row, and the value under weights is `compute` of their sums.
The private names used here are held by tests/parity/test_torchmetrics.py.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from evalkit.errors import MetricError
from evalkit.table import Floats

MOST_VALUES = 256
WHOLE = "whole numbers are wanted"
UNDEFINED = (ValueError, ZeroDivisionError)  # how torchmetrics says "too few examples"


@dataclass(frozen=True)
class State:
    """One summed tensor: `size` numbers of `shape`, `whole` where they are counts."""

    name: str
    shape: tuple[int, ...]
    size: int
    dtype: Any
    whole: bool


class Driven:
    """One metric and a lock, for it holds what it has seen last."""

    def __init__(self, metric: Any) -> None:
        self.metric = metric
        self._lock = threading.RLock()
        self._heard: list[str] | None = None
        self.states = _summed(metric)

    @property
    def width(self) -> int:
        """Numbers in all states; 0 where they do not add up."""
        return sum(state.size for state in self.states or ())

    def seen(self, arguments: tuple[Any, Any]) -> Floats:
        """The states [width] after one update from nothing."""
        with self._alone():
            self.metric.reset()
            self.metric.update(*arguments)
            parts = [getattr(self.metric, state.name) for state in self.states or ()]
            return np.concatenate([one.detach().double().reshape(-1).numpy() for one in parts])

    def computed(self, arguments: tuple[Any, Any]) -> list[tuple[str, float]]:
        """(suffix of the output, value) after one update from nothing."""
        with self._alone():
            self.metric.reset()
            self.metric.update(*arguments)
            return flattened(self.metric.compute())

    def value(self, arguments: tuple[Any, Any], outputs: int) -> Floats:
        """[outputs] after one update from nothing; NaN where torchmetrics refuses."""
        try:
            return _checked(self.computed(arguments), outputs)
        except UNDEFINED:
            return np.full(outputs, np.nan)

    def from_sums(self, sums: Floats, outputs: int) -> Floats:
        """[b, width] -> [b, outputs], NaN where torchmetrics refuses."""
        values = np.full((len(sums), outputs), np.nan)
        with self._alone():
            self.metric.reset()
            tensors = list(self._tensors(sums))
            for i in range(len(sums)):
                for name, tensor in tensors:
                    setattr(self.metric, name, tensor[i])
                self.metric._update_count = 1
                self.metric._computed = None
                try:
                    values[i] = _checked(flattened(self.metric.compute()), outputs)
                except UNDEFINED:
                    continue
                except RuntimeError as error:
                    raise MetricError(f"torchmetrics failed on a resample: {error}") from None
            self.metric.reset()
        return values

    def warned(self, work: Callable[[], Any]) -> list[str]:
        """What torchmetrics warns of meanwhile, each once."""
        with self._lock:
            self._heard = []
            try:
                work()
                return list(dict.fromkeys(self._heard))
            finally:
                self._heard = None

    def _tensors(self, sums: Floats) -> Iterator[tuple[str, Any]]:
        """Every state of all resamples, in its own dtype; counts are whole again."""
        import torch

        start = 0
        for state in self.states or ():
            part = torch.from_numpy(np.ascontiguousarray(sums[:, start : start + state.size]))
            start += state.size
            if state.whole:
                counts = part.round()
                if not torch.allclose(part, counts, rtol=0, atol=1e-6):
                    raise MetricError(f"torchmetrics counts {state.name}; weights: {WHOLE}")
                part = counts
            yield state.name, part.to(state.dtype).reshape(len(sums), *state.shape)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """What torchmetrics warns of in a resample is no news; `warned` asks for it once."""
        with self._lock, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore" if self._heard is None else "always")
            yield
        if self._heard is not None:
            self._heard += [" ".join(str(one.message).split()) for one in caught]


def flattened(value: Any, suffix: str = "") -> list[tuple[str, float]]:
    """Numbers, tensors, and lists and mappings of them, as (suffix, number).

    A suffix starts with an underscore, but for the keys of a mapping, which are names.
    """
    if isinstance(value, Mapping):
        inner = f"{suffix}_" if suffix else ""
        return [one for key in value for one in flattened(value[key], f"{inner}{key}")]
    if isinstance(value, list | tuple):
        return [one for i in range(len(value)) for one in flattened(value[i], f"{suffix}_{i}")]
    if not hasattr(value, "ndim"):
        return [(suffix, float(value))]
    if value.ndim == 0:
        return [(suffix, value.item())]
    if value.ndim == 1:
        return [(f"{suffix}_{i}", one) for i, one in enumerate(value.tolist())]
    return [one for i in range(len(value)) for one in flattened(value[i], f"{suffix}_{i}")]


def _checked(found: list[tuple[str, float]], outputs: int) -> Floats:
    if len(found) != outputs:
        raise MetricError(f"torchmetrics gave {len(found)} values where it first gave {outputs}")
    return np.array([value for _, value in found])


def _summed(metric: Any) -> tuple[State, ...] | None:
    """None unless every state is a tensor that is added up."""
    import torch

    states = []
    for name, reduction in metric._reductions.items():
        default = metric._defaults[name]
        adds = reduction is torch.sum or getattr(reduction, "__name__", "") == "dim_zero_sum"
        if not adds or not isinstance(default, torch.Tensor) or default.is_complex():
            return None
        whole = not default.is_floating_point()
        shape = tuple(default.shape)
        states.append(State(name, shape, math.prod(shape), default.dtype, whole))
    return tuple(states) or None
