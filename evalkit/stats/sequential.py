"""Tests that may be looked at again and again: bets against a hypothesis on a bounded mean.

Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import MetricError
from evalkit.stats.weights import unit_keys
from evalkit.table import Floats

BOLDEST = 0.5  # of what could be lost at once: no bet may more than halve the wealth
LARGEST_LOGARITHM = 709.0  # whose exponential a float still holds
Side = Literal["at_least", "at_most"]


@dataclass(frozen=True)
class EProcess:
    """Wealth of a gambler who starts with 1 and bets, example by example, against a hypothesis.

    H0: the mean of differences in low..high is at_least or at_most `threshold`. While H0 holds
    for every example given those before it, the wealth ever reaches 1 / alpha with probability
    alpha or less, however often and whenever one looks (Ville 1939).
    count, total, squares: of the examples so far, for the next bet. Natural logarithms.
    """

    null: Side
    threshold: float
    low: float
    high: float
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    log_wealth: float = 0.0
    log_highest: float = 0.0

    def __post_init__(self) -> None:
        if not self.low < self.threshold < self.high:
            raise MetricError(
                f"a threshold of {self.threshold:g} cannot be tested on differences in "
                f"{self.low:g}..{self.high:g}; it must lie between them"
            )

    @classmethod
    def against_not_worse(cls, *, margin: float, bound: float) -> EProcess:
        """H0: mean >= -margin, of differences in -bound..bound; an alarm says: worse."""
        return cls("at_least", _threshold(margin), -bound, bound)

    @classmethod
    def against_worse(cls, *, margin: float, bound: float) -> EProcess:
        """H0: mean <= -margin; an alarm says: not worse than by the margin (non-inferior)."""
        return cls("at_most", _threshold(margin), -bound, bound)

    @classmethod
    def against_not_better(cls, *, bound: float) -> EProcess:
        """H0: mean <= 0; an alarm says: better."""
        return cls("at_most", 0.0, -bound, bound)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> EProcess:
        """What `state` gave; ValueError with the reason where it cannot have been that."""
        names = [one.name for one in fields(cls)]
        if sorted(state) != sorted(names):
            raise ValueError(f"the state needs {', '.join(names)}")
        if state["null"] not in get_args(Side):
            raise ValueError(f"null is {state['null']!r}, not one of {', '.join(get_args(Side))}")
        numbers = {name: state[name] for name in names if name != "null"}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} is no number")
            if not math.isfinite(value):
                raise ValueError(f"{name} is not finite")
        possible = isinstance(state["count"], int) and 0 <= state["total"] <= state["count"]
        if not possible or not 0 <= state["squares"] <= state["count"]:
            raise ValueError("count, total and squares do not belong together")
        if state["log_highest"] < max(0, state["log_wealth"]):
            raise ValueError("the highest wealth is below the wealth")
        try:
            return cls(state["null"], **numbers)
        except MetricError as error:
            raise ValueError(error.message) from None

    @property
    def state(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @property
    def wealth(self) -> float:
        """Now. From a fixed number of examples it is an e-value: its mean under H0 is at most 1."""
        return math.exp(min(self.log_wealth, LARGEST_LOGARITHM))

    @property
    def highest(self) -> float:
        """The highest wealth so far, what an alarm goes by."""
        return math.exp(min(self.log_highest, LARGEST_LOGARITHM))

    @property
    def p(self) -> float:
        """1 / highest: valid at every look, and at whichever one stops."""
        return math.exp(-self.log_highest)

    def alarm(self, alpha: float) -> bool:
        """Whether H0 is rejected; alpha: 0..1, the false alarms allowed to one stream."""
        return self.log_highest >= -math.log(_rate(alpha))

    def bet(self, differences: Floats) -> EProcess:
        """After these examples [n] in this order, none of which was bet on before.

        How a stream is cut into batches changes no bit. MetricError where a difference lies outside
        low..high or is not a number: a cut value would void the guarantee.
        """
        if not len(differences):
            return self
        gains, least = self._scaled(np.asarray(differences, dtype=np.float64))
        count = self.count + np.arange(1, len(gains) + 1)
        totals = _running(self.total, gains)
        means = (0.5 + totals) / (count + 1)
        squares = _running(self.squares, (gains - means) ** 2)
        stakes = self._stakes(count - 1, totals, squares, least)
        paths = _running(self.log_wealth, np.log1p(stakes * (gains - least)))
        return replace(
            self,
            count=int(count[-1]),
            total=float(totals[-1]),
            squares=float(squares[-1]),
            log_wealth=float(paths[-1]),
            log_highest=float(max(self.log_highest, paths.max())),
        )

    def _scaled(self, differences: Floats) -> tuple[Floats, float]:
        """The differences in 0..1, turned so that H0 is: their mean is at most the second."""
        outside = ~((differences >= self.low) & (differences <= self.high))
        if outside.any():
            raise MetricError(
                f"a difference of {differences[outside][0]:g} lies outside "
                f"{self.low:g}..{self.high:g}; bets need differences with bounds"
            )
        width = self.high - self.low
        if self.null == "at_most":
            return (differences - self.low) / width, (self.threshold - self.low) / width
        return (self.high - differences) / width, (self.high - self.threshold) / width

    def _stakes(
        self, before: NDArray[np.int64], totals: Floats, squares: Floats, least: float
    ) -> Floats:
        """Each from the examples before it: the paper's aGRAPA, cut to BOLDEST.

        Mean and variance start from 1/2 and 1/4, as in its empirical Bernstein sequences.
        """
        ahead = (0.5 + _before(self.total, totals)) / (before + 1) - least
        variance = (0.25 + _before(self.squares, squares)) / (before + 1)
        return np.clip(ahead / (variance + ahead**2), 0.0, BOLDEST / least)


def betting_order(names: Sequence[bytes], seed: int, set_name: str) -> NDArray[np.intp]:
    """[n] positions in the order to bet on: by a keyed hash of the names, never by the data."""
    return np.argsort(unit_keys(names, seed, set_name), kind="stable")


def e_value(
    differences: Floats,
    names: Sequence[bytes],
    *,
    margin: float,
    bound: float,
    seed: int,
    set_name: str,
) -> float:
    """Of one look at a whole set: evidence [0, inf) against "not worse than by the margin".

    differences [n]: system - baseline, higher is better, in -bound..bound, one per unit named
    (a cluster's is the mean of its examples'; H0 is then of the mean over clusters).
    """
    process = EProcess.against_not_worse(margin=margin, bound=bound)
    return process.bet(np.asarray(differences)[betting_order(names, seed, set_name)]).wealth


def alpha_of_look(look: int, alpha: float) -> float:
    """What look 1, 2, … at one set may spend: alpha * 6 / (pi * look)^2; all together alpha.

    For looks at the same examples, each at another system, where no e-process carries over: a look
    alarms when its own e-value, or any other valid test of it, is significant at this level. By
    the union bound, and however the looks depend on each other,
    P(any false alarm at any look) <= alpha for systems made without regard to this set's results,
    and P(the first alarm is false) <= alpha also for systems made knowing the earlier verdicts.
    Systems fitted to the examples or to their scores have no guarantee.
    """
    if look < 1:
        raise ValueError("looks count from 1")
    return _rate(alpha) * 6 / (math.pi * look) ** 2


def examples_wanted(ahead: float, deviation: float, *, alpha: float) -> int:
    """By about how many examples half of the streams have raised their alarm.

    ahead: how far the true mean lies beyond the threshold; deviation: the standard deviation of the
    differences. ln(1 / alpha) over the growth per example of the best bet, ahead^2 / 2(sd^2 +
    ahead^2) to second order.
    """
    if ahead <= 0:
        raise ValueError("a mean on the side of H0 raises no alarm")
    return math.ceil(-math.log(_rate(alpha)) * 2 * (deviation**2 + ahead**2) / ahead**2)


def _running(first: float, steps: Floats) -> Floats:
    """Sums added one by one from `first`, so that batches do not matter."""
    return np.cumsum(np.concatenate([[first], steps]))[1:]


def _before(first: float, sums: Floats) -> Floats:
    """The sum that each step found."""
    return np.concatenate([[first], sums[:-1]])


def _threshold(margin: float) -> float:
    if not margin >= 0:
        raise MetricError(f"a margin of {margin:g} is below 0; write how much worse is allowed")
    return 0.0 - margin


def _rate(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    return alpha
