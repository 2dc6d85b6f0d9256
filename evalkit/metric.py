"""The one idea: examples become rows once; every number is the metric at a weighting of them."""

from __future__ import annotations

import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike

import evalkit
from evalkit import parameters
from evalkit.errors import MetricError
from evalkit.panels import RESAMPLES, UNITS, Rows, UnitRows, products, spread, weighted_sums
from evalkit.records.example import Example
from evalkit.table import Array, Floats, Header, Ints, Table

MOST_DIFFERENCES = 32  # sums; with more and no gradient of its own, a metric has no slopes
MOST_EACH = 16  # outputs; with more, no values of single examples

IntervalKind = Literal["mean", "bootstrap-t", "centred", "percentile"]


@dataclass(frozen=True)
class Output:
    """One value of a metric: its name, its range (None: open), its direction.

    detail: one of many, which a table leaves out.
    """

    name: str
    scale: tuple[float | None, float | None] = (0, 1)
    higher_is_better: bool = True
    detail: bool = False


@dataclass(frozen=True)
class Fitted:
    """What a metric learnt from all references.

    state: JSON values and arrays; scoring: the JSON values of it that `score` needs, which travel
    in the header of every table.
    """

    state: Mapping[str, Any] = field(default_factory=dict)
    scoring: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        return hashlib.sha256(
            msgspec.json.encode(
                {"state": self.state, "scoring": self.scoring}, enc_hook=_encode, order="sorted"
            )
        ).hexdigest()


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = np.ascontiguousarray(value)
        return [content.dtype.str, content.shape, hashlib.sha256(content.tobytes()).hexdigest()]
    raise TypeError(f"a fitted state holds JSON values and arrays, not {type(value).__name__}")


class Scorer(Protocol):
    """A table bound to the units that are resampled."""

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        """weights [b, units] -> values [b, outputs] and their standard errors (NaN: not known)."""
        ...

    def resampled(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        """As measure; weights are a resample's, and values spread as sets of this size do."""
        return self.measure(weights, errors=errors)

    def influence(self) -> Floats | None:
        """[units, outputs]: slope of each value in the unit's weight, at ones; None: unknown."""
        ...

    def binary(self, output: int) -> tuple[int, int] | None:
        """(successes, units) where the output is a plain proportion of the units, else None."""
        ...

    def each(self) -> Floats | None:
        """[units, outputs]: the value of every unit alone; None where that is not cheap."""
        ...


@dataclass(frozen=True)
class Metric(ABC):
    """A subclass is a frozen dataclass whose fields are its parameters; its file names it.

    outputs: the headline first. reads: the kind of record ("text"). reference: paper, or program
    and version. interval: what `auto` means. scale_free: score(w) = score(3 w). whole: rows wants
    all examples of a system in one call, in this process. cached: False where rows depend on what
    no signature can hold.
    """

    outputs: ClassVar[tuple[Output, ...]]
    reads: ClassVar[str]
    reference: ClassVar[str]
    interval: ClassVar[IntervalKind] = "centred"
    scale_free: ClassVar[bool] = True
    whole: ClassVar[bool] = False
    cached: ClassVar[bool] = True
    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        module = sys.modules.get(cls.__module__)
        stem = cls.__module__.rpartition(".")[2]
        cls.name = getattr(module, "__evalkit_name__", stem)
        if stem == "__main__":  # a notebook or a script has no file of its own per metric
            cls.name = cls.__name__.lower()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From what stands after `NAME:` on the command line; by default NAME=VALUE,…"""
        return cls(**parameters.parse(cls, cls.name, text))

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter by name."""
        return asdict(self)

    @property
    def label(self) -> str:
        """`chrf:word_order=2`: the name and what differs from the defaults."""
        own = self.parameters
        changed = [
            f"{one.name}={own[one.name]}"
            for one in fields(self)
            if one.default is MISSING or own[one.name] != one.default
        ]
        return f"{self.name}:{','.join(changed)}" if changed else self.name

    def fit(self, references: Iterable[Sequence[Any]]) -> Fitted:
        """Corpus statistics of all references, one sequence per example; never a prediction."""
        return Fitted()

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        """Overridden where the outputs depend on the references."""
        return self.outputs

    def signature(self, fitted: Fitted) -> str:
        """What a paper must cite to make the value reproducible."""
        own = "".join(f"{key}:{value}|" for key, value in self.parameters.items())
        source = getattr(sys.modules[type(self).__module__], "__evalkit_source__", None)
        if source is not None:
            own += f"source:{hashlib.sha256(source).hexdigest()[:8]}|"
        return f"{own}evalkit:{evalkit.__version__}"

    @abstractmethod
    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterable[ArrayLike]:
        """One [k] or [r, k] of finite numbers per example, in the order given."""

    def remarks(self, table: Table) -> Iterable[tuple[str, str]]:
        """(code, message) of what a reader must know, from the table alone."""
        return ()

    def resample_remarks(
        self, table: Table, values: Floats, unit_of: Ints | None = None
    ) -> Iterable[tuple[str, str]]:
        """(code, message) of what the resamples' values [b, outputs] show.

        table: of the examples whose units (example -> unit [n]; None: each its own) were resampled.
        """
        return ()

    def header(self, fitted: Fitted, references: str) -> Header:
        """references: the sha256 of the canonical references."""
        names = tuple(output.name for output in self.output_list(fitted))
        try:
            msgspec.json.encode(fitted.scoring)
        except TypeError as error:
            raise MetricError(f"{self.name}: scoring holds JSON values only: {error}") from None
        return Header(
            self.name,
            self.parameters,
            self.signature(fitted),
            names,
            fitted.digest(),
            references,
            fitted.scoring,
        )

    def prepare(self, table: Table) -> Any:
        """What `score` wants, made once per table."""
        return table

    @abstractmethod
    def score(self, prepared: Any, weights: Array) -> Floats:
        """weights [b, n], how often each example counts -> values [b, outputs], NaN: undefined."""

    def resampled(self, prepared: Any, weights: Array, unit_of: Ints | None) -> Floats:
        """As score, for intervals. Overridden where resamples are known to spread too little."""
        return self.score(prepared, weights)

    def scorer(self, table: Table, unit_of: Ints | None = None) -> Scorer:
        """unit_of: example -> unit [n]; None where every example is a unit of its own."""
        return ExampleScorer(self, self.prepare(table), unit_of)


@dataclass(frozen=True)
class ExampleScorer(Scorer):
    """Any metric: the weights of units are spread over their examples."""

    metric: Metric
    prepared: Any
    unit_of: Ints | None

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        values = self.metric.score(self.prepared, self._spread(weights))
        return values, np.full_like(values, np.nan)

    def resampled(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        values = self.metric.resampled(self.prepared, self._spread(weights), self.unit_of)
        return values, np.full_like(values, np.nan)

    def _spread(self, weights: Array) -> Array:
        return weights if self.unit_of is None else weights[:, self.unit_of]

    def influence(self) -> Floats | None:
        return None

    def binary(self, output: int) -> tuple[int, int] | None:
        return None

    def each(self) -> Floats | None:
        return None


@dataclass(frozen=True)
class SumMetric(Metric):
    """The common case: the value depends on weighted sums of the rows only."""

    interval: ClassVar[IntervalKind] = "bootstrap-t"

    @abstractmethod
    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """[b, k] -> [b, outputs], NaN where undefined."""

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """d from_sums / d sums [b, outputs, k] by central differences; 0 for a sum that is 0.

        Override where k > 16 or from_sums has logarithms or jumps.
        """
        b, k = sums.shape
        step = 1e-6 * sums[:, None, :] * np.eye(k)
        high, low = (
            self.from_sums((sums[:, None] + way * step).reshape(-1, k), scoring) for way in (1, -1)
        )
        rise = (high - low).reshape(b, k, -1).transpose(0, 2, 1)
        return np.divide(
            rise, 2e-6 * sums[:, None], out=np.zeros_like(rise), where=sums[:, None] != 0
        )

    def proportion(self, scorer: SumScorer, output: int) -> tuple[int, int] | None:
        """(successes, units) where an output is a plain proportion of the units, else None."""
        return None

    def prepare(self, table: Table) -> SumScorer:
        return self.scorer(table)

    def score(self, prepared: SumScorer, weights: Array) -> Floats:
        return prepared.measure(weights, errors=False)[0]

    def scorer(self, table: Table, unit_of: Ints | None = None) -> SumScorer:
        owner = table.owner if unit_of is None else unit_of[table.owner]
        units = len(table.ids) if unit_of is None else int(unit_of.max(initial=-1)) + 1
        return SumScorer(self, self.unit_rows(table, owner, units), units, table.header.scoring)

    def unit_rows(self, table: Table, owner: Ints, units: int) -> Rows:
        """The table's rows summed per unit; owner: row -> unit. Overridden for coded rows."""
        return UnitRows(_sum_by(table.rows, owner, units))


@dataclass(frozen=True)
class SumScorer(Scorer):
    """A SumMetric's rows, summed per unit."""

    metric: SumMetric
    rows: Rows
    units: int
    scoring: Mapping[str, Any]

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        sums = self.sums(weights)
        values = self.metric.from_sums(sums, self.scoring)
        spreads = np.full_like(values, np.nan)
        if errors and self.has_slopes:
            for first in range(0, len(weights), RESAMPLES):  # a gradient can be large
                these = slice(first, first + RESAMPLES)
                slopes = self.metric.gradient(sums[these], self.scoring)
                spreads[these] = spread(self.rows, weights[these], slopes)
        return values, spreads

    @property
    def has_slopes(self) -> bool:
        """Central differences over very many sums would cost more than they tell."""
        own = type(self.metric).gradient is not SumMetric.gradient
        return own or self.rows.width <= MOST_DIFFERENCES

    def sums(self, weights: Array) -> Floats:
        """[b, k]."""
        return weighted_sums(self.rows, weights)

    def influence(self) -> Floats | None:
        if not self.has_slopes:
            return None
        ones = np.ones((1, self.units), np.uint8)
        slopes: Floats = self.metric.gradient(self.sums(ones), self.scoring)[0].T
        return products(self.rows, self.units, np.ascontiguousarray(slopes))

    def binary(self, output: int) -> tuple[int, int] | None:
        return self.metric.proportion(self, output)

    def each(self) -> Floats | None:
        """None for very many outputs: a confusion matrix of one example says nothing."""
        first = self.metric.from_sums(self.rows.dense(slice(0, 1)), self.scoring)
        if first.shape[1] > MOST_EACH:
            return None
        starts = range(0, self.units, UNITS)
        parts = [
            self.metric.from_sums(self.rows.dense(slice(i, i + UNITS)), self.scoring)
            for i in starts
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 0))


@dataclass(frozen=True)
class MeanMetric(SumMetric):
    """A mean over examples: rows are (sum of each output, …, count), then what remarks want."""

    interval: ClassVar[IntervalKind] = "mean"

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        k = len(self.outputs)
        count = sums[:, k : k + 1]
        empty = np.full_like(sums[:, :k], np.nan)
        return np.divide(sums[:, :k], count, out=empty, where=count > 0)

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        k = len(self.outputs)
        slope = np.zeros((len(sums), k, sums.shape[1]))
        count = sums[:, k : k + 1]
        share = np.divide(1.0, count, out=np.zeros_like(count), where=count > 0)
        slope[:, np.arange(k), np.arange(k)] = share
        slope[:, :, k] = -sums[:, :k] * share**2
        return slope

    def proportion(self, scorer: SumScorer, output: int) -> tuple[int, int] | None:
        rows = scorer.rows.dense(slice(None))
        values, counts = rows[:, output], rows[:, len(self.outputs)]
        if not (counts == 1).all() or not np.isin(values, (0, 1)).all():
            return None
        successes, units = int(values.sum()), len(values)
        ones = np.ones((1, units), np.uint8)
        value = self.from_sums(scorer.sums(ones), scorer.scoring)[0, output]
        return (successes, units) if abs(value - successes / units) < 1e-12 else None


def _sum_by(rows: Array, owner: Ints, count: int) -> Array:
    """Sums [count, k] of rows [r, k] that share an owner, added in order of row."""
    if len(rows) == count and np.array_equal(owner, np.arange(count)):
        return rows
    total = np.zeros((count, rows.shape[1]))
    np.add.at(total, owner, rows)
    return total
