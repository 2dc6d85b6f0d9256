"""What a comparison depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.errors import UsageError, did_you_mean
from evalkit.stats.multiplicity import CORRECTIONS
from evalkit.verbs.plan import ScoreOptions

TESTS = ("randomisation", "bootstrap")
MOST_DRAWS = 10_000_000
SMALLEST, LARGEST = 1e-9, 1e9  # of margins


@dataclass(frozen=True)
class CompareOptions:
    """margins: by name of a value (`bleu`), or "" for all; moved: the value whose examples to list.

    power: of the smallest difference that could be seen; 0..1.
    """

    resamples: int = 2000
    swaps: int = 10_000
    level: float = 0.95
    power: float = 0.8
    seed: int = 12345
    interval: str = "auto"
    test: str = "randomisation"
    correction: str = "holm"
    margins: tuple[tuple[str, float], ...] = ()
    on_common: bool = False
    fold: str | None = None
    moved: str | None = None
    most_moved: int = 10

    def __post_init__(self) -> None:
        ScoreOptions(self.resamples, self.level, self.seed, self.interval)
        if self.test not in TESTS:
            raise UsageError(f'no test is called "{self.test}"{did_you_mean(self.test, TESTS)}')
        if self.correction not in CORRECTIONS:
            hint = did_you_mean(self.correction, CORRECTIONS)
            raise UsageError(f'no correction is called "{self.correction}"{hint}')
        if self.swaps < 100:
            raise UsageError(f"{self.swaps} swaps are too few; take at least 100")
        if not 0.5 < self.power < 1:
            raise UsageError(f"the power is a share above 0.5 such as 0.8, not {self.power}")
        if self.swaps > MOST_DRAWS or self.resamples > MOST_DRAWS:
            raise UsageError(f"more than {MOST_DRAWS:,} swaps or resamples take days; take fewer")
        if self.margins and self.level <= 0.5:
            raise UsageError(f"--margin wants a level above 0.5, not {self.level:g}")
        for name, margin in self.margins:
            if not SMALLEST < margin < LARGEST:
                value = f"{name}={margin:g}" if name else f"{margin:g}"
                raise UsageError(
                    f"--margin {value}: a margin is the largest loss that does not matter, "
                    "a number above 0"
                )


def parse_margins(given: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """`0.5` or `bleu=0.5`; UsageError otherwise."""
    found = []
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            found.append((name, float(number)))
        except ValueError:
            raise UsageError(f"--margin {one}: give a number, or METRIC=NUMBER") from None
    return tuple(found)
