"""How often does a gate that looks again and again raise a false alarm, and how soon a true one?

`python -m tests.statistics.sequential_simulation` prints the tables.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evalkit.stats.sequential import EProcess, alpha_of_look
from evalkit.table import Floats

ALPHA = 0.05
LOOKS, PER_LOOK = 40, 25
STREAMS = 20_000
REDUCED = 2_000
SEED = 20_251
NORMAL = NormalDist().inv_cdf(1 - ALPHA)


@dataclass(frozen=True)
class Stream:
    """Differences of a look: -1, 0, 1 as of right and wrong answers, or a clipped normal.

    mean, deviation: of the differences; margin: of the gate.
    """

    name: str
    mean: float
    deviation: float
    margin: float = 0.0
    answers: bool = True

    def draw(self, number: int, examples: int = LOOKS * PER_LOOK) -> Floats:
        generator = np.random.default_rng([SEED, number])
        if not self.answers:
            drawn = generator.normal(self.mean, self.deviation, examples)
            return np.clip(drawn, self.mean - 0.9, self.mean + 0.9)  # keeps the mean
        moved = self.deviation**2 + self.mean**2
        shares = [(moved - self.mean) / 2, 1 - moved, (moved + self.mean) / 2]
        return generator.choice([-1.0, 0.0, 1.0], p=shares, size=examples)


AT_THE_BOUNDARY = (
    Stream("answers, margin 0", 0.0, 0.35),
    Stream("answers, margin .05", -0.05, 0.35, 0.05),
    Stream("few answers move, margin .02", -0.02, 0.15, 0.02),
    Stream("scores, margin 0", 0.0, 0.35, answers=False),
    Stream("scores, margin .1", -0.1, 0.2, 0.1, answers=False),
)
WORSE_BY_5 = Stream("answers, worse by .05", -0.05, 0.35)
WORSE_BY_10 = Stream("answers, worse by .1", -0.1, 0.35)


@dataclass(frozen=True)
class Growing:
    """Shares of streams with an alarm at one of the looks, and by what look or example.

    naive: a z-test at each look; once: a z-test of the last look alone; stops: the first example at
    which the wealth reached 1 / alpha, among all streams, inf where it never did.
    """

    alarms: float
    naive: float
    once: float
    stops: Floats


def growing(stream: Stream, streams: int) -> Growing:
    """A look after every 25 new examples, bets carried on."""
    alarms, naive, once = (np.zeros(streams, dtype=bool) for _ in range(3))
    stops = np.full(streams, np.inf)
    start = EProcess.against_not_worse(margin=stream.margin, bound=1.0)
    ends = np.arange(PER_LOOK, LOOKS * PER_LOOK + 1, PER_LOOK)
    for number in range(streams):
        differences = stream.draw(number)
        process = start
        for end in ends:
            after = process.bet(differences[end - PER_LOOK : end])
            if after.alarm(ALPHA):
                alarms[number] = True
                stops[number] = first_alarm(process, differences[end - PER_LOOK : end])
                break
            process = after
        rejected = z_tests(differences + stream.margin)[ends - 1]
        naive[number], once[number] = rejected.any(), rejected[-1]
    return Growing(float(alarms.mean()), float(naive.mean()), float(once.mean()), stops)


def first_alarm(process: EProcess, differences: Floats) -> int:
    for one in differences:
        process = process.bet(np.array([one]))
        if process.alarm(ALPHA):
            return process.count
    raise AssertionError("batches must not matter")


def z_tests(ahead: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """[n] whether the mean of the first 1 .. n is significantly below 0 at ALPHA, one-sided."""
    count = np.arange(1, len(ahead) + 1)
    sums, squares = np.cumsum(ahead), np.cumsum(ahead**2)
    spread = np.maximum(squares - sums**2 / count, 1e-12)
    return np.asarray(sums / np.sqrt(spread) < -NORMAL)


@dataclass(frozen=True)
class SameSet:
    """Shares of sets on which one of 40 systems raised an alarm.

    spent: the e-value of look k at alpha_of_look(k); unspent: every look at alpha; naive: a z-test
    of every look at alpha.
    """

    spent: float
    unspent: float
    naive: float


def same_set(sets: int, examples: int = 250) -> SameSet:
    """One set and one baseline, 40 systems in turn that are as good as it.

    An example is right with a chance of its own, the same for baseline and systems.
    """
    found = np.zeros((sets, 3), dtype=bool)
    start = EProcess.against_not_worse(margin=0.0, bound=1.0)
    for number in range(sets):
        generator = np.random.default_rng([SEED, examples, number])
        chance = generator.beta(4, 2, examples)
        baseline = generator.random(examples) < chance
        for look in range(1, LOOKS + 1):
            differences = (generator.random(examples) < chance).astype(float) - baseline
            process = start.bet(differences)
            found[number] |= (
                process.alarm(alpha_of_look(look, ALPHA)),
                process.alarm(ALPHA),
                bool(z_tests(differences)[-1]),
            )
    return SameSet(*map(float, found.mean(axis=0)))


def caught(stream: Stream, look: int, streams: int, examples: int = 1000) -> float:
    """Share of worse systems that look number `look` at one set stops."""
    start = EProcess.against_not_worse(margin=stream.margin, bound=1.0)
    alpha = alpha_of_look(look, ALPHA)
    return float(
        np.mean([start.bet(stream.draw(one, examples)).alarm(alpha) for one in range(streams)])
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    streams = parser.parse_args().streams
    print("| 40 looks of 25 | e-process | z-test at each look | z-test once | median stop |")
    print("|---|---|---|---|---|", flush=True)
    for stream in (*AT_THE_BOUNDARY, WORSE_BY_5, WORSE_BY_10):
        found = growing(stream, streams)
        cells = (f"{share:.1%}" for share in (found.alarms, found.naive, found.once))
        print(f"| {stream.name} | {' | '.join(cells)} | {np.median(found.stops):g} |", flush=True)
    print("\n| worse by, look at one set of 1,000 | 1 | 10 | 40 |\n|---|---|---|---|", flush=True)
    for stream in (WORSE_BY_5, WORSE_BY_10):
        cells = (f"{caught(stream, look, streams):.1%}" for look in (1, 10, LOOKS))
        print(f"| {-stream.mean} | {' | '.join(cells)} |", flush=True)
    print(f"\none set, 40 equal systems: {same_set(streams)}")


if __name__ == "__main__":
    main()
