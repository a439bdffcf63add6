# SPDX-License-Identifier: Apache-2.0
"""What an expectation is, and the list of them that the modules beside this one fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dev.live.exchange import Exchange

Problems = Iterator[str | None]
"""For each part that a check looked at: ``None`` if it is as expected, otherwise what is wrong."""


@dataclass(frozen=True)
class Expectation:
    """
    Something that must be true of iP.1's responses.

    :param name: a short name for notes and tests.
    :param text: what must be true.
    :param source: iP.1's page or the RFC that says so, or "assumed" if no public document does.
    :param check: looks at all exchanges with one server.
    """

    name: str
    text: str
    source: str
    check: Callable[[Sequence[Exchange]], Problems] = field(repr=False)


@dataclass(frozen=True)
class Verdict:
    """The result of one check: how many parts it looked at, and what was wrong."""

    expectation: Expectation
    seen: int
    problems: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return bool(self.problems)


EXPECTATIONS: list[Expectation] = []


def of_all(name: str, text: str, source: str) -> Callable[[Callable[[Sequence[Exchange]], Problems]], None]:
    def add(check: Callable[[Sequence[Exchange]], Problems]) -> None:
        EXPECTATIONS.append(Expectation(name, text, source, check))

    return add


def of_each(name: str, text: str, source: str) -> Callable[[Callable[[Exchange, Sequence[Exchange]], Problems]], None]:
    def add(check: Callable[[Exchange, Sequence[Exchange]], Problems]) -> None:
        def check_all(exchanges: Sequence[Exchange]) -> Problems:
            for each in exchanges:
                yield from check(each, exchanges)

        EXPECTATIONS.append(Expectation(name, text, source, check_all))

    return add


def judge(exchanges: Sequence[Exchange]) -> list[Verdict]:
    """
    Check all expectations.

    :param exchanges: exchanges with one server, in any number.
    """
    verdicts = []
    for expectation in EXPECTATIONS:
        found = list(expectation.check(exchanges))
        problems = tuple(sorted({problem for problem in found if problem is not None}))
        verdicts.append(Verdict(expectation, len(found), problems))
    return verdicts


def differing(exchanges: Sequence[Exchange]) -> list[str]:
    """Return the names of the expectations that these exchanges do not meet."""
    return [verdict.expectation.name for verdict in judge(exchanges) if verdict.differs]
