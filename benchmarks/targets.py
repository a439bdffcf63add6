# SPDX-License-Identifier: Apache-2.0
"""The performance targets, and whether the results reach them. The documentation shows this table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cases import CEILING, DLT, HANDWRITTEN, OPERATOR
from benchmarks.measuring import MIB
from benchmarks.results import Results


@dataclass(frozen=True)
class Target:
    """
    One target.

    :param what: what is measured, in words.
    :param limit: the number to reach.
    :param measure: takes the number from the results; a KeyError means that it was not measured.
    :param unit: behind both numbers.
    :param at_most: whether smaller is better.
    """

    what: str
    limit: float
    measure: Callable[[Results], float]
    unit: str = ""
    at_most: bool = False

    def row(self, results: Results) -> list[str]:
        """Return the target, the result, and whether it is reached."""
        goal = f"at {'most' if self.at_most else 'least'} {self.limit:g}{self.unit}"
        try:
            measured = self.measure(results)
        except KeyError:
            return [self.what, goal, "not measured", ""]
        is_reached = measured <= self.limit if self.at_most else measured >= self.limit
        return [self.what, goal, f"{measured:.{2 if self.limit < 5 else 0}f}{self.unit}", "yes" if is_reached else "no"]


def _speed(case: str, contender: str) -> Callable[[Results], float]:
    return lambda results: results.cases[case].operator_is_faster_than(contender)


def _speed_without_start(case: str) -> Callable[[Results], float]:
    return lambda results: results.operator_is_faster_without_start(case, CEILING)


def _requests(case: str) -> Callable[[Results], float]:
    return lambda results: results.cases[case].requests_per_conversation(OPERATOR)


def _increment(results: Results) -> float:
    if not results.increments:
        raise KeyError("increments")
    return max((found.requests - 5) / found.batches for found in results.increments)


def _memory(large: str, small: str) -> Callable[[Results], float]:
    def difference(results: Results) -> float:
        return (
            results.cases[large].median(OPERATOR, "peak_rss") - results.cases[small].median(OPERATOR, "peak_rss")
        ) / MIB

    return difference


def _import_time(results: Results) -> float:
    if not results.imports:
        raise KeyError("imports")
    *ours, theirs = results.imports.values()
    return max(ours) / theirs


_MIB = " MiB"
TARGETS = [
    Target(
        "100,000 messages at 50 ms, default settings: speed relative to requests + S3Hook",
        4,
        _speed("defaults", HANDWRITTEN),
    ),
    Target("the same: requests", 110, _requests("defaults"), at_most=True),
    Target(
        "hourly increment of an account: requests beyond 5, per new, young or unsettled batch",
        1.1,
        _increment,
        at_most=True,
    ),
    Target("1,000 short conversations: speed relative to the ceiling", 0.9, _speed_without_start("many")),
    Target("the same: requests per conversation", 1.05, _requests("many"), at_most=True),
    Target("the same without `Link`: speed relative to the ceiling", 0.42, _speed_without_start("many-without-links")),
    Target("the same: requests per conversation", 2.0, _requests("many-without-links"), at_most=True),
    Target("60,000 messages at 50 ms: speed relative to the ceiling", 0.95, _speed_without_start("latency")),
    Target("100,000 messages at 0 ms: speed relative to the ceiling", 0.45, _speed_without_start("long")),
    Target("the same: speed relative to requests + S3Hook", 7, _speed("long", HANDWRITTEN)),
    Target("the same: speed relative to dlt", 18, _speed("long", DLT)),
    *(
        Target(
            f"peak memory, 100,000 to 1,000,000 messages, {file_format}",
            30,
            _memory(f"memory-{file_format}-1000000", f"memory-{file_format}-100000"),
            _MIB,
            at_most=True,
        )
        for file_format in ("jsonl", "csv", "parquet")
    ),
    Target(
        "peak memory, parquet above JSON Lines",
        75,
        _memory("memory-parquet-1000000", "memory-jsonl-1000000"),
        _MIB,
        at_most=True,
    ),
    Target(
        "peak memory, 100 to 10,000 conversations",
        30,
        _memory("memory-many-10000", "memory-many-100"),
        _MIB,
        at_most=True,
    ),
    Target("20,000 batches of one message: speed relative to the ceiling", 0.9, _speed("account", CEILING)),
    Target("the same: requests per batch", 1.05, _requests("account"), at_most=True),
    Target(
        "peak memory, 20,000 to 200,000 batches",
        30,
        _memory("memory-account-200000", "memory-account-20000"),
        _MIB,
        at_most=True,
    ),
    Target("slowest import, relative to Amazon's `HttpToS3Operator`", 0.1, _import_time, at_most=True),
]


def rows(results: Results) -> list[list[str]]:
    """Return a row for each target: what, target, measured, reached."""
    return [target.row(results) for target in TARGETS]
