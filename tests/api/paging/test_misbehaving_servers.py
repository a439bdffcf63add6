# SPDX-License-Identifier: Apache-2.0
"""
Reads of servers that misbehave in every way we could think of, several at a time.

Every message that exists throughout a read is delivered exactly once, or the read ends in a typed error. ``IP1_READS``
sets the number of reads (``make test-reads`` runs 100,000 at night).
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings, strategies as st

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.pager import MAX_STALLED_RESPONSES
from airflow_provider_ip1.api.paging.read_ahead import Outcome
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError
from tests.api.paging.model_server import LINK_STYLES, GrowingPages, ModelServer, read_pages

READS = int(os.environ.get("IP1_READS", "800"))


@dataclass
class MisbehavingServer(ModelServer):
    """
    A model server with a plan of what goes wrong at which request.

    :param plan: request number to what happens before it is answered: ``(kind, index, amount)``.
    :param lags: request number to the number of states by which the responding replica is behind.
    :param clamps: request number to the most rows that the server grants from then on.
    :param cached_until: up to this request number, a URL that was requested before gets the same response again.
    :param foreign: request number to the response of another server.
    """

    plan: dict[int, list[tuple[str, int, int]]] = field(default_factory=dict)
    lags: dict[int, int] = field(default_factory=dict)
    clamps: dict[int, int] = field(default_factory=dict)
    cached_until: int = 0
    foreign: dict[int, str] = field(default_factory=dict)
    #: How many rows each row has changed places with.
    crossed: Counter[str] = field(default_factory=Counter)
    repeated_row: int | None = None
    states: list[list[str]] = field(default_factory=list)
    cache: dict[tuple[int, int], Outcome] = field(default_factory=dict)

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        number = len(self.requests)
        for kind, index, amount in self.plan.get(number, []):
            getattr(self, kind)(min(index, len(self.rows)), amount)
        self.clamp = self.clamps.get(number, self.clamp)
        self.states.append(list(self.rows))
        present, self.rows = self.rows, self.states[max(0, number - self.lags.get(number, 0))]
        page = super().respond(start, limit, order)
        self.rows = present
        if self.repeated_row is not None and isinstance(page, RawPage) and page.ids:
            place = self.repeated_row % len(page.ids)
            ids = [*page.ids[: place + 1], *page.ids[place:]]
            page = RawPage(ids, [key.encode() for key in ids], (), page.link)
        self.repeated_row = None
        if number < self.cached_until:
            page = self.cache.setdefault((start, limit), page)
        match self.foreign.get(number):
            case "error":
                return IP1ResponseError("Not iP.1's response.")
            case "empty" if number:
                return RawPage()
        return page

    def swap(self, index: int, amount: int) -> None:
        """Two neighbors with the same creation time change places."""
        if index + 1 < len(self.rows):
            self.crossed.update(self.rows[index : index + 2])
            self.rows[index], self.rows[index + 1] = self.rows[index + 1], self.rows[index]

    def move(self, index: int, amount: int) -> None:
        """A row moves by a few places among others with the same creation time."""
        target = max(0, min(index + amount - 3, len(self.rows) - 1))
        if index < len(self.rows):
            row = self.rows.pop(index)
            passed = self.rows[min(index, target) : max(index, target)]
            self.crossed.update({row: len(passed), **dict.fromkeys(passed, 1)})
            self.rows.insert(target, row)

    def repeat(self, index: int, amount: int) -> None:
        """The next response lists one of its rows twice in a row."""
        self.repeated_row = index

    @property
    def throughout(self) -> list[str]:
        """The ids that every state had, in the order of the last one."""
        there = set(self.states[0]).intersection(*map(set, self.states))
        listed = [key for key in dict.fromkeys(self.states[0]) if key in there]
        return listed if self.order == "ASC" else listed[::-1]


@st.composite
def servers(
    draw: st.DrawFn, kinds: tuple[str, ...], *, is_stale: bool
) -> tuple[MisbehavingServer, int | None, int, random.Random]:
    total = draw(st.one_of(st.integers(0, 12), st.integers(0, 160)))
    # None is the default, with which pages grow.
    page_size = draw(st.one_of(st.none(), st.integers(2, 8), st.integers(2, 70)))
    at = st.one_of(st.sampled_from([0, 10_000]), st.integers(0, 160), st.just((page_size or GrowingPages.first) - 1))
    change = st.tuples(st.sampled_from(kinds), at, st.integers(1, 6))
    numbers = st.integers(0, 30)
    # From two rows on: a server that once showed more than one row and then shows one has only that one.
    clamp = st.one_of(st.integers(2, 8), st.integers(2, 60))
    server = MisbehavingServer(
        rows=[f"row{number}" for number in range(total)],
        order=draw(st.sampled_from(["ASC", "DESC"])),
        clamp=draw(st.one_of(st.just(10_000), clamp)),
        clamps=draw(st.dictionaries(numbers, clamp, max_size=3)),
        base=draw(st.sampled_from([0, 1])),
        link_style=draw(st.sampled_from([style for style in LINK_STYLES if style != "requested-limit"])),
        plan=draw(st.dictionaries(numbers, st.lists(change, max_size=3), max_size=10)),
        lags=draw(st.dictionaries(numbers, st.integers(1, 4), max_size=5 if is_stale else 0)),
        cached_until=draw(st.sampled_from([0, 0, 5, 30])) if is_stale else 0,
        foreign=draw(st.dictionaries(numbers, st.sampled_from(["error", "empty"]), max_size=1)),
    )
    return server, page_size, draw(st.integers(1, 6)), random.Random(draw(st.integers(0, 2**16)))


def check(scenario: tuple[MisbehavingServer, int | None, int, random.Random]) -> None:
    server, page_size, concurrency, shuffle = scenario
    rows = len(server.rows)
    smallest_page = min([page_size or GrowingPages.first, server.clamp, *server.clamps.values()])
    try:
        pages = read_pages(server, page_size, concurrency, shuffle)
    except (IP1PagingError, IP1ResponseError):
        pages = None
    if pages is not None:
        delivered = [key for page in pages for key in page.ids]
        throughout = server.throughout
        assert len(delivered) == len(set(delivered)), "delivered twice"
        # docs/internals/paging.md promises nothing about rows that move by a page or more.
        promised = {key for key in throughout if server.crossed[key] < smallest_page}
        assert promised <= set(delivered), "lost"
        # Rows that only the count revealed come after the rest.
        late = {key for page in pages if page.is_late for key in page.ids}
        unmoved = [key for key in throughout if key not in server.crossed and key not in late]
        assert [key for key in delivered if key in set(unmoved)] == unmoved, "out of order"
    # Never stuck: a page per request, and a bounded number of requests that deliver nothing.
    step = max(smallest_page - 1, 1)
    changes = sum(map(len, server.plan.values())) + len(server.lags) + len(server.clamps) + 2
    assert len(server.requests) <= (rows + server.added) // step * 4 + (MAX_STALLED_RESPONSES + 60) * changes


# Not measured: coverage almost doubles the time of these reads, and the other tests of paging cover the same branches.
COMMON = settings(
    max_examples=READS,
)


@COMMON
@given(servers(("insert", "delete", "repeat"), is_stale=True))
def test_rows_that_come_and_go(scenario: tuple[MisbehavingServer, int | None, int, random.Random]) -> None:
    check(scenario)


@COMMON
@given(servers(("swap", "move"), is_stale=False))
def test_rows_that_change_places(scenario: tuple[MisbehavingServer, int | None, int, random.Random]) -> None:
    """
    Not from stale responses: a page from before the move and one from after it can both lack a row.

    No client can see such a row. Rows abcd, pages of 2: a cache returns "ab" and "bc" from before d moved in front of
    b, and the server then returns "bc" and "c".
    """
    check(scenario)


def test_a_row_that_was_listed_twice_only_once_does_not_count_forever() -> None:
    # One response repeats a row, and four rows arrive at the head: the list ends behind the rows it has, then before.
    server = MisbehavingServer(
        rows=[f"row{number}" for number in range(46)],
        clamp=2,
        plan={1: [("repeat", 1, 1)], 2: [("insert", 0, 4)]},
    )
    delivered = [key for page in read_pages(server, 2, 1, random.Random(0)) for key in page.ids]
    assert sorted(delivered) == sorted(server.rows)
    # Read once, and twice again to find and to confirm the rows that arrived, a row per request.
    assert len(server.requests) < 3 * 51
