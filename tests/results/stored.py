"""Small results to store, and a process that stores them again and again."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import evalkit
from evalkit.results import Result, load

TEXTS = ["a b c", "d e f g", "h", "i j", "k l m", "n o", "p", "q r", "s t", "u"]

WRITER = """
import itertools, os, sys
from functools import cache
from pathlib import Path
from tests.results.stored import version
versions = [version(number) for number in (0, 1)]
for line in sys.stdin:
    writer = os.fork()
    if writer == 0:
        for number in itertools.count(int(line)):
            versions[number % 2].save(Path(sys.argv[1]), replace=True)
    print(writer, flush=True)
    os.waitpid(writer, 0)
    print("ended", flush=True)
"""  # a process with everything loaded, whose child stores both versions in turn


@cache
def version(number: int, system: str = "model") -> Result:
    """Two versions that agree in no file: other predictions, metrics, tables, run."""
    texts = TEXTS if number == 0 else TEXTS[::-1]
    metrics = [["exact_match", "chrf"], ["exact_match", "ter"]][number]
    made = evalkit.score(texts, TEXTS, metrics, set="s", system=system, resamples=200)
    return replace(made, run={"schema": 1, "version": number})


def which(place: Path) -> int:
    """0 or 1: the version that is stored, whole; AssertionError where it is neither."""
    found = load(place)
    number = found.run["version"]
    wanted = version(number)
    assert found.to_json() == wanted.to_json()
    assert found.tables.keys() == wanted.tables.keys()
    assert list(found.examples) == [dict(one) for one in jsonable(wanted)]
    return int(number)


def jsonable(result: Result) -> list[dict[str, object]]:
    import msgspec

    decoded: list[dict[str, object]] = msgspec.json.decode(msgspec.json.encode(result.examples))
    return decoded
