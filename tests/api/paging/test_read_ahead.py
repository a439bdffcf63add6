# SPDX-License-Identifier: Apache-2.0
"""The steps of a read, as the clients drive them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest

from airflow_provider_ip1.api.paging.listing import Listing, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.pager import Pager
from airflow_provider_ip1.api.paging.read_ahead import ReadAhead
from airflow_provider_ip1.api.requests import Order
from tests.api.paging.model_server import ModelServer, a_list, read_ahead


def drive(
    servers: dict[str | None, ModelServer], order: Order, page_size: int, concurrency: int, *, skip: bool = False
) -> list[tuple[Page, int]]:
    """Drive the steps of a read. Returns each page, and how many requests had been sent when it was handed out."""
    ahead = read_ahead([a_list(name, order) for name in servers], page_size, concurrency)
    in_flight: deque[PageRequest] = deque()
    pages: list[tuple[Page, int]] = []
    sent = 0
    for step in ahead.steps():
        if isinstance(step, PageRequest):
            in_flight.append(step)
            sent += 1
            assert len(in_flight) <= concurrency
        elif isinstance(step, Page):
            pages.append((step, sent))
            if skip:
                ahead.skip_rest()
        else:
            request = in_flight.popleft()
            server = servers[request.listing.participant]
            ahead.receive(request, server.respond(request.start, request.limit))
    assert ahead.done
    return pages


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_steps_read_every_list(order: Order, concurrency: int) -> None:
    servers: dict[str | None, ModelServer] = {
        name: ModelServer([f"{name}{number}" for number in range(rows)], order=order)
        for name, rows in (("a", 95), ("b", 0), ("c", 7))
    }
    pages = drive(servers, order, 20, concurrency)
    step = 1 if order == "ASC" else -1
    expected = [key for server in servers.values() for key in server.rows[::step]]
    assert [key for page, _ in pages for key in page.ids] == expected
    assert [page.participant for page, _ in pages] == ["a"] * (len(pages) - 1) + ["c"]


def test_newest_first_no_request_is_sent_for_a_page_that_may_not_be_wanted() -> None:
    """The consumer decides on each page whether the read ends there."""
    servers: dict[str | None, ModelServer] = {None: ModelServer([f"row{n}" for n in range(500)], order="DESC")}
    (_, sent), *_ = drive(servers, "DESC", 20, 4)
    assert sent == 1
    servers = {None: ModelServer([f"row{n}" for n in range(500)], order="DESC")}
    assert len(drive(servers, "DESC", 20, 4, skip=True)) == 1
    assert [len(server.requests) for server in servers.values()] == [1]


def test_oldest_first_the_next_pages_are_requested_before_a_page_is_handed_out() -> None:
    servers: dict[str | None, ModelServer] = {None: ModelServer([f"row{n}" for n in range(500)])}
    (_, sent), *_ = drive(servers, "ASC", 20, 4)
    assert sent > 1


def test_small_pages_take_little_room() -> None:
    """Many short lists keep the window full, although earlier ones wait to be taken."""
    servers: dict[str | None, ModelServer] = {
        str(n): ModelServer([f"{n}-{row}" for row in range(5)]) for n in range(60)
    }
    ahead = read_ahead([a_list(name) for name in servers], 200, 8)
    requests: list[PageRequest] = []
    rounds = 0
    while len(requests) < 60:
        wanted = ahead.next_requests()
        assert len(wanted) >= 1
        rounds += 1
        for request in wanted:
            ahead.receive(request, servers[request.listing.participant].respond(request.start, request.limit))
        requests += wanted
        # Nobody takes a page before all are here: 60 pages of 5 rows weigh less than 4 full ones.
    assert rounds <= 12
    assert [len(server.requests) for server in servers.values()] == [1] * 60


@pytest.mark.parametrize(
    ("order", "link_style", "clamp", "window", "expected"),
    [
        # A list whose length is known is read ahead at once.
        ("ASC", "rfc8288", 10_000, 6, [1, 6, 6]),
        ("ASC", "rfc8288", 5, 6, [1, 6, 6]),
        # The read of one that is newest first, or whose length is unknown, may end with each page.
        ("DESC", "rfc8288", 10_000, 6, [1, 2, 4, 6, 6]),
        ("DESC", "rfc8288", 5, 6, [1, 2, 4, 6, 6]),
        ("ASC", "none", 10_000, 6, [1, 2, 4, 6, 6]),
        ("ASC", "always-next", 5, 6, [1, 2, 4, 6, 6]),
        # Only the second page shows that the first one was not the last.
        ("ASC", "none", 5, 6, [1, 1, 2, 4, 6, 6]),
        ("ASC", "none", 10_000, 3, [1, 2, 3, 3]),
        ("ASC", "none", 10_000, 1, [1, 1, 1]),
        ("ASC", "rfc8288", 10_000, 1, [1, 1, 1]),
    ],
)
def test_how_many_pages_are_requested_ahead(
    order: Order, link_style: str, clamp: int, window: int, expected: list[int]
) -> None:
    server = ModelServer([f"row{n}" for n in range(400)], order=order, clamp=clamp, link_style=link_style)
    pager = Pager(a_list(order=order), page_size=10, window=window)
    in_flight: list[int] = []
    for _ in expected:
        requests = [*iter(pager.next_request, None)]
        in_flight.append(len(requests))
        for request in requests:
            pager.receive(request, server.respond(request.start, request.limit))
    assert in_flight == expected


class Lists:
    """Several lists in one read, whose responses arrive in rounds: all that were requested before, at once."""

    def __init__(self, rows: list[int], concurrency: int, *, page_size: int = 200, order: Order = "ASC") -> None:
        self.servers: dict[str | None, ModelServer] = {
            f"list{n}": ModelServer([f"{n}-{row}" for row in range(count)], order=order) for n, count in enumerate(rows)
        }
        self.taken = 0
        self.ahead = ReadAhead(self._lists(order), page_size=page_size, concurrency=concurrency)
        #: Requests in each round.
        self.rounds: list[int] = []

    def _lists(self, order: Order) -> Iterator[Listing]:
        for name in self.servers:
            self.taken += 1
            yield a_list(name, order)

    def round(self, *, withheld: str | None = None) -> list[PageRequest]:
        """Respond to what is requested now, except for one list. Returns the requests."""
        requests = self.ahead.next_requests()
        self.rounds.append(len(requests))
        for request in requests:
            name = request.listing.participant
            if name != withheld:
                self.ahead.receive(request, self.servers[name].respond(request.start, request.limit))
        return requests

    def read(self) -> None:
        while not self.ahead.done:
            self.round()
            while self.ahead.next_page() is not None:
                pass


def test_a_long_list_uses_the_whole_window_although_pages_of_the_next_lists_are_here() -> None:
    lists = Lists([4000, *[300] * 10], 8)
    lists.read()
    assert lists.rounds[:3] == [8, 8, 8]


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("rows", [[600] * 16, [5, 0, 700, 5, 0, 0, 700, 5], [4000, 300, 300, 5]])
def test_no_page_is_requested_twice(rows: list[int], concurrency: int, order: Order) -> None:
    servers: dict[str | None, ModelServer] = {
        f"list{n}": ModelServer([f"{n}-{row}" for row in range(count)], order=order) for n, count in enumerate(rows)
    }
    assert sum(len(page) for page, _ in drive(servers, order, 200, concurrency)) == sum(rows)
    for server in servers.values():
        assert len(server.starts) == len(set(server.starts))


def test_pages_in_memory_are_bounded() -> None:
    lists = Lists([4000] * 20, 4)
    first = lists.round(withheld="list0")
    for _ in range(5):
        assert lists.round() == []
    # The first list may have as many pages as the others together.
    lists.ahead.receive(first[0], lists.servers["list0"].respond(0, 200))
    for _ in range(5):
        lists.round()
    assert sum(len(server.requests) for server in lists.servers.values()) == 4 + 3
    assert lists.taken == 4


def test_empty_lists_before_their_turn_are_bounded() -> None:
    lists = Lists([0] * 100, 2)
    lists.round(withheld="list0")
    for _ in range(60):
        lists.round()
    assert lists.taken == 32


def test_lists_are_taken_when_there_is_room_for_them() -> None:
    lists = Lists([1000, *[2] * 12], 3)
    taken = []
    while not lists.ahead.done:
        lists.round()
        taken.append(lists.taken)
        while lists.ahead.next_page() is not None:
            pass
    assert taken == [3, 3, 4, 7, 10, 13]
    assert lists.rounds == [3] * 6
