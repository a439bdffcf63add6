# SPDX-License-Identifier: Apache-2.0
"""
The paging state machine against a model server: a list of rows that changes between requests.

The model is the whole truth about the rows, so the tests compare what came out with what was there throughout.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging import link_evidence, pager
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import Outcome
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ServerError
from tests.api.paging.model_server import LINK_STYLES, ModelServer, a_list, pages_of, read, read_ahead, read_pages


@st.composite
def scenarios(draw: st.DrawFn) -> tuple[ModelServer, int, int, random.Random]:
    total = draw(st.one_of(st.integers(0, 12), st.integers(0, 160)))
    page_size = draw(st.one_of(st.integers(1, 6), st.integers(1, 60)))
    concurrency = draw(st.integers(1, 6))
    at = st.one_of(st.sampled_from([0, 10_000]), st.integers(0, 160))
    amount = st.one_of(st.just(max(page_size - 1, 1)), st.integers(1, 8), st.integers(1, 50))
    change = st.tuples(st.sampled_from(["insert", "delete"]), at, amount)
    plan = draw(st.dictionaries(st.integers(0, 40), st.lists(change, max_size=3), max_size=12))

    def changes(server: ModelServer, request: int) -> None:
        for kind, index, count in plan.get(request, []):
            if kind == "insert":
                server.insert(index, count)
            else:
                server.delete(min(index, max(len(server.rows) - count, 0)), count)

    server = ModelServer(
        rows=[f"row{number}" for number in range(total)],
        order=draw(st.sampled_from(["ASC", "DESC"])),
        clamp=draw(st.one_of(st.just(10_000), st.integers(1, 8), st.integers(2, 60))),
        # Not to 1 in the middle: who has shown two rows at a time and then shows one has only one.
        clamp_later=draw(st.integers(2, 60)),
        clamp_from=draw(st.one_of(st.just(10_000), st.integers(1, 12))),
        base=draw(st.sampled_from([0, 1])),
        link_style=draw(st.sampled_from(LINK_STYLES)),
        changes=changes,
    )
    return server, page_size, concurrency, random.Random(draw(st.integers(0, 2**16)))


@settings(max_examples=600)
@given(scenarios())
def test_rows_there_throughout_come_out_once_and_in_order(
    scenario: tuple[ModelServer, int, int, random.Random],
) -> None:
    server, page_size, concurrency, shuffle = scenario
    at_start = list(server.rows)
    try:
        pages = read_pages(server, page_size, concurrency, shuffle)
    except IP1PagingError:
        # Allowed, and never silent. That it stays the exception is tested below.
        pass
    else:
        throughout = [key for key in at_start if key not in server.ever_removed]
        if server.order == "DESC":
            throughout.reverse()
        delivered = [key for page in pages for key in page.ids]
        assert set(delivered) >= set(throughout)
        assert len(delivered) == len(set(delivered))
        # Rows that only the count revealed come after the rest.
        late = {key for page in pages if page.is_late for key in page.ids}
        in_order = [key for key in throughout if key not in late]
        assert [key for key in delivered if key in set(in_order)] == in_order
    step = max(min(max(page_size, 2), server.clamp, server.clamp_later) - 1, 1)
    # Newest first, a page waits until no row before it is missing. That is looked for in up to 13 requests at a time.
    each = 4 if server.order == "ASC" else 13
    bound = (len(at_start) + server.added) // step * each + 400
    assert len(server.requests) <= bound


def test_a_row_that_moves_up_to_before_an_empty_page_is_not_taken_for_the_end() -> None:
    """One row at a time, so no page overlaps; what was behind the first row is in its place when it is looked for."""

    def changes(server: ModelServer, request: int) -> None:
        if request == 1:
            server.delete(0, 1)

    server = ModelServer(["first", "second"], clamp=1, changes=changes)
    assert read(server, page_size=50, concurrency=1) == ["first", "second"]


def test_known_rows_before_the_anchor_are_not_taken_for_the_end() -> None:
    """New rows in front push the anchor out of a page that the server has begun to cut."""

    def changes(server: ModelServer, request: int) -> None:
        if request == 2:
            server.insert(len(server.rows), 30)

    server = ModelServer(
        [f"row{number}" for number in range(100)],
        order="DESC",
        link_style="none",
        clamp_later=10,
        clamp_from=2,
        changes=changes,
    )
    at_start = server.rows[::-1]
    delivered = read(server, page_size=40, concurrency=1)
    assert [key for key in delivered if key.startswith("row")] == at_start


@settings(max_examples=400)
@given(
    total=st.integers(0, 300),
    page_size=st.integers(1, 80),
    clamp=st.integers(2, 100),
    concurrency=st.integers(1, 8),
    base=st.sampled_from([0, 1]),
    order=st.sampled_from(["ASC", "DESC"]),
    link_style=st.sampled_from([style for style in LINK_STYLES if style != "always-next"]),
)
def test_a_quiet_list_is_never_an_error(
    total: int, page_size: int, clamp: int, concurrency: int, base: int, order: str, link_style: str
) -> None:
    server = ModelServer(
        [f"row{number}" for number in range(total)], order=order, clamp=clamp, base=base, link_style=link_style
    )
    delivered = read(server, page_size, concurrency)
    assert delivered == (server.rows if order == "ASC" else server.rows[::-1])


@settings(max_examples=400)
@given(
    total=st.integers(1, 200),
    page_size=st.integers(5, 50),
    concurrency=st.integers(1, 6),
    order=st.sampled_from(["ASC", "DESC"]),
    arriving=st.integers(1, 3),
    leaving=st.integers(0, 1),
)
def test_ordinary_traffic_is_repaired_without_an_error(
    total: int, page_size: int, concurrency: int, order: str, arriving: int, leaving: int
) -> None:
    """New messages at the end in time, the oldest removed: what really happens to a conversation."""

    def changes(server: ModelServer, request: int) -> None:
        if 0 < request < 25:
            server.insert(len(server.rows), arriving)
            server.delete(0, leaving)

    server = ModelServer([f"row{number}" for number in range(total)], order=order, changes=changes)
    at_start = list(server.rows)
    delivered = read(server, page_size, concurrency)
    throughout = [key for key in at_start if key not in server.ever_removed]
    kept = set(throughout)
    assert [key for key in delivered if key in kept] == (throughout if order == "ASC" else throughout[::-1])
    assert len(delivered) == len(set(delivered))


# -- what it costs


@pytest.mark.parametrize(("total", "at_most"), [(0, 1), (1, 3), (7, 2), (49, 2), (200, 3), (1000, 8)])
def test_requests_of_a_sequential_reading(total: int, at_most: int) -> None:
    server = ModelServer([f"row{number}" for number in range(total)], link_style="none")
    assert len(read(server, page_size=200, concurrency=1)) == total
    assert len(server.requests) <= at_most


def test_reading_ahead_wastes_little_where_links_tell_the_end() -> None:
    server = ModelServer([f"row{number}" for number in range(5000)])
    assert len(read(server, page_size=200, concurrency=8)) == 5000
    assert len(server.requests) <= 5000 // 199 + 3


def test_page_size_one_makes_progress() -> None:
    server = ModelServer([f"row{number}" for number in range(20)])
    assert read(server, page_size=1, concurrency=3) == server.rows


# -- servers that lie


class DeafServer(ModelServer):
    """Ignores ``start``."""

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        return super().respond(0, limit, order)


def test_a_server_that_ignores_start_ends_in_an_error() -> None:
    server = DeafServer([f"row{number}" for number in range(500)])
    with pytest.raises(IP1PagingError, match="whatever 'start' is"):
        read(server, page_size=50, concurrency=4)
    assert len(server.requests) < 20


def test_a_server_that_always_gives_the_same_short_list_has_shown_it_all() -> None:
    """Such as a canned answer in somebody's test of a DAG: 7 rows, no links."""
    server = DeafServer([f"row{number}" for number in range(7)], link_style="none")
    assert read(server, page_size=200, concurrency=4) == server.rows
    assert len(server.requests) <= 3


def test_only_fewer_rows_than_the_default_limit_can_be_all_that_a_server_has() -> None:
    server = DeafServer([f"row{number}" for number in range(49)], link_style="none")
    assert read(server, page_size=200, concurrency=1) == server.rows
    server = DeafServer([f"row{number}" for number in range(50)], link_style="none")
    with pytest.raises(IP1PagingError, match="whatever 'start' is"):
        read(server, page_size=200, concurrency=1)


def test_a_single_row_per_page_is_an_error_and_not_a_loop() -> None:
    server = ModelServer([f"row{number}" for number in range(5)], clamp=1)
    with pytest.raises(IP1PagingError, match="single row per page"):
        read(server, page_size=50, concurrency=2)
    # The first request, and one for each response that is accepted in vain.
    assert len(server.requests) == 1 + pager.MAX_STALLED_RESPONSES + 1


def test_rows_listed_twice_in_a_page_come_out_once() -> None:
    server = ModelServer(["a", "b", "b", "c"], link_style="none")
    assert read(server, page_size=50, concurrency=1) == ["a", "b", "c"]


def test_thousands_of_new_rows_in_front_are_stepped_over() -> None:
    def changes(server: ModelServer, request: int) -> None:
        if request == 3:
            server.insert(len(server.rows), 5000)

    server = ModelServer([f"row{number}" for number in range(1000)], order="DESC", changes=changes)
    at_start = server.rows[::-1]
    delivered = read(server, page_size=100, concurrency=1)
    assert [key for key in delivered if key.startswith("row")] == at_start


def test_thousands_of_rows_removed_behind_are_stepped_over() -> None:
    def changes(server: ModelServer, request: int) -> None:
        if request == 40:
            server.delete(0, 3800)

    server = ModelServer([f"row{number}" for number in range(6000)], changes=changes)
    delivered = read(server, page_size=100, concurrency=1)
    assert delivered == [f"row{number}" for number in range(6000)]


def test_reading_starts_again_when_every_delivered_row_is_gone() -> None:
    def changes(server: ModelServer, request: int) -> None:
        if request == 45:
            server.delete(0, 4800)

    server = ModelServer([f"row{number}" for number in range(6000)], changes=changes)
    delivered = read(server, page_size=100, concurrency=1)
    assert len(delivered) == len(set(delivered))
    assert set(delivered) >= {f"row{number}" for number in range(4800, 6000)}


def test_an_error_comes_out_in_its_turn_and_pages_before_it_are_not_lost() -> None:
    server = ModelServer([f"row{number}" for number in range(100)])
    ahead = read_ahead([a_list()], 10, 4)
    delivered: list[str] = []
    error = IP1ServerError("gone")
    with pytest.raises(IP1ServerError) as caught:
        for _ in range(1000):
            requests = ahead.next_requests()
            for request in reversed(requests):
                ahead.receive(request, error if request.start >= 27 else server.respond(request.start, request.limit))
            while (page := ahead.next_page()) is not None:
                delivered += page.ids
    assert caught.value is error
    assert delivered == server.rows[:28]


# -- several lists


@settings(max_examples=200)
@given(
    totals=st.lists(st.integers(0, 60), max_size=8),
    page_size=st.integers(2, 20),
    concurrency=st.integers(1, 8),
    seed=st.integers(0, 2**16),
)
def test_lists_come_out_one_after_the_other(totals: list[int], page_size: int, concurrency: int, seed: int) -> None:
    servers: dict[str | None, ModelServer] = {
        f"list{index}": ModelServer([f"{index}-{number}" for number in range(total)])
        for index, total in enumerate(totals)
    }
    ahead = read_ahead([a_list(name) for name in servers], page_size, concurrency)
    pages = pages_of(ahead, servers, concurrency, random.Random(seed))
    assert [key for page in pages for key in page.ids] == [row for server in servers.values() for row in server.rows]
    for name in servers:
        assert [page.number for page in pages if page.participant == name] == list(
            range(sum(page.participant == name for page in pages))
        )


def test_short_lists_are_read_ahead_across_their_borders() -> None:
    """With 4 requests at a time, 20 short lists of one request each take far fewer rounds than 20."""
    servers: dict[str | None, ModelServer] = {
        f"list{index}": ModelServer([f"{index}a", f"{index}b"]) for index in range(20)
    }
    ahead = read_ahead([a_list(name) for name in servers], 50, 4)
    rounds = 0
    while not ahead.done:
        requests = ahead.next_requests()
        rounds += bool(requests)
        for request in requests:
            ahead.receive(request, servers[request.listing.participant].respond(request.start, request.limit))
        while ahead.next_page() is not None:
            pass
    assert sum(len(server.requests) for server in servers.values()) == 20
    assert rounds <= 10


def test_skipping_the_rest_of_a_list_goes_on_with_the_next() -> None:
    servers: dict[str | None, ModelServer] = {
        name: ModelServer([f"{name}{number}" for number in range(1000)]) for name in ("a", "b")
    }
    ahead = read_ahead([a_list(name) for name in servers], 10, 3)
    seen: list[str | None] = []
    for _ in range(100):
        for request in ahead.next_requests():
            ahead.receive(request, servers[request.listing.participant].respond(request.start, request.limit))
        if (page := ahead.next_page()) is not None:
            seen.append(page.participant)
            ahead.skip_rest()
    assert seen == ["a", "b"]
    assert ahead.done


def test_nothing_more_is_asked_for_while_nobody_takes_pages() -> None:
    server = ModelServer([f"row{number}" for number in range(10_000)])
    ahead = read_ahead([a_list()], 100, 5)
    for _ in range(50):
        for request in ahead.next_requests():
            ahead.receive(request, server.respond(request.start, request.limit))
    assert len(server.requests) == 5


def test_total_hint_is_a_bound_from_the_last_link() -> None:
    server = ModelServer([f"row{number}" for number in range(450)])
    ahead = read_ahead([a_list()], 100, 1)
    (page, *_) = pages_of(ahead, {None: server}, 1)
    assert page.total_hint == 500


def test_a_page_keeps_what_was_read_of_the_rows_that_it_delivers() -> None:
    class Server(ModelServer):
        def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
            page = super().respond(start, limit, order)
            assert isinstance(page, RawPage)
            codes = [int(key[3:]) for key in page.ids]
            return replace(page, modified=[f"time of {key}" for key in page.ids], status_codes=codes)

    server = Server([f"row{number}" for number in range(30)])
    pages = pages_of(read_ahead([a_list("46701740605")], 20, 1), {"46701740605": server}, 1)
    assert [(page.number, page.start, len(page)) for page in pages] == [(0, 0, 20), (1, 19, 10)]
    for page in pages:
        assert page.participant == "46701740605"
        assert [bytes(raw).decode() for raw in page.raws] == [*page.ids]
        assert [f"time of {key}" for key in page.ids] == [*page.modified_values]
        assert [f"row{code}" for code in page.status_codes] == [*page.ids]


def test_a_page_reads_its_messages_from_the_bytes() -> None:
    page = Page("46701740605", None, 0, 0, ("a1",), (b'{"id": "a1", "recipient": "46701740605"}',), None)
    assert [message.direction for message in page.messages] == ["mt"]
    assert "46701740605" not in repr(page.messages)


# -- bounds


@pytest.mark.parametrize("link_style", ["rfc8288", "none"])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_list_that_grows_by_a_page_per_page_ends_in_an_error(
    monkeypatch: pytest.MonkeyPatch, link_style: str, order: Order
) -> None:
    monkeypatch.setattr(link_evidence, "MAX_GROWTH", 500)
    monkeypatch.setattr(link_evidence, "MAX_ROWS", 800)

    def changes(server: ModelServer, request: int) -> None:
        server.insert(len(server.rows) if order == "ASC" else 0, 20)

    server = ModelServer([f"row{number}" for number in range(100)], order=order, link_style=link_style, changes=changes)
    with pytest.raises(IP1PagingError, match="does not end"):
        read(server, page_size=20, concurrency=3)
    assert len(server.requests) < 60


def test_a_list_may_grow_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_evidence, "MAX_GROWTH", 500)

    def changes(server: ModelServer, request: int) -> None:
        if request < 20:
            server.insert(len(server.rows), 20)

    server = ModelServer([f"row{number}" for number in range(100)], changes=changes)
    assert len(read(server, page_size=20, concurrency=3)) == 500


def test_an_empty_list_after_messages_is_an_error() -> None:
    def changes(server: ModelServer, request: int) -> None:
        if request == 2:
            server.delete(0, 1000)

    server = ModelServer([f"row{number}" for number in range(100)], changes=changes)
    with pytest.raises(IP1PagingError, match="had listed rows before"):
        read(server, page_size=20, concurrency=2)


# -- the end without another request


@pytest.mark.parametrize(
    ("link", "requests"),
    [
        (None, 2),
        ('</x?start=0&limit=50>; rel="last"', 1),
        ('</x?start=0&limit=200>; rel="last"', 1),
        ('</x?start=0>; rel="last"', 1),
        ('</x?start=4&limit=50>; rel="last"', 1),
        ('</x?start=5&limit=50>; rel="last"', 2),
        ('</x?start=0&limit=49>; rel="last"', 2),
        ('</x?start=0&limit=50>; rel="last", </x?start=5>; rel="next"', 4),
        ('</x?limit=50>; rel="last"', 2),
        ('; rel="last"', 2),
    ],
)
def test_a_link_that_agrees_with_the_page_ends_the_list(link: str | None, requests: int) -> None:
    class LinkedServer(ModelServer):
        def link(self, start: int, limit: int, total: int) -> str | None:
            return link

    server = LinkedServer(["a", "b", "c", "d", "e"])
    assert read(server, page_size=200, concurrency=1) == server.rows
    assert len(server.requests) == requests


@pytest.mark.parametrize(("rows", "requests"), [(49, 1), (50, 2), (51, 2)])
def test_a_page_of_the_default_limit_is_always_confirmed(rows: int, requests: int) -> None:
    server = ModelServer([f"row{number}" for number in range(rows)])
    assert len(read(server, page_size=200, concurrency=4)) == rows
    assert len(server.requests) == requests
