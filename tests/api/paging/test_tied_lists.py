# SPDX-License-Identifier: Apache-2.0
"""
Lists in which many rows were created at the same time.

MariaDB, with which iP.1's older documentation compares its paging, lists such rows in an order that depends on the
offset and the limit, even if nothing changes. ``IP1_READS`` sets the number of reads.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.pager import MAX_PASSES
from airflow_provider_ip1.api.paging.read_ahead import Outcome
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ParticipantError
from tests.api.paging.model_server import LINK_STYLES, ModelServer, TiedOrder, a_list, pages_of, read, read_ahead
from tests.api.paging.test_misbehaving_servers import MisbehavingServer

READS = int(os.environ.get("IP1_READS", "720")) // 6


def tied_server(choose: random.Random, tied_order: TiedOrder, kinds: tuple[str, ...] = ()) -> MisbehavingServer:
    """A list with ties of 2 to all rows, which changes in these ways while it is read."""
    total = choose.choice([choose.randint(0, 12), choose.randint(0, 160), choose.randint(0, 400)])
    places = [0, 10_000, choose.randint(0, 160)]
    return MisbehavingServer(
        [f"row{number}" for number in range(total)],
        order=choose.choice(["ASC", "DESC"]),
        # At least as many as iP.1's default.
        clamp=choose.choice([10_000, 10_000, choose.randint(50, 90)]),
        base=choose.choice([0, 1]) if tied_order == "request" else 0,
        link_style=choose.choice([style for style in LINK_STYLES if style != "requested-limit"]),
        tied=choose.choice([2, 3, 5, 10, max(total, 1)]),
        tied_order=tied_order,
        plan={
            choose.randint(0, 30): [(choose.choice(kinds), choose.choice(places), choose.randint(1, 6))]
            for _ in range(choose.randint(0, 8) if kinds else 0)
        },
    )


def check(seed: int, tied_order: TiedOrder, kinds: tuple[str, ...] = ()) -> bool:
    """
    Read a list completely, and check that nothing is lost or comes twice.

    :return: whether rows were lost in one of the ways that docs/internals/paging.md states, in which removed rows are
        counted in the place of hidden ones: a page begins with the anchor although rows above it were removed, because
        as many others of its creation time took their places, or a list gains and loses rows while it is repaired.
    """
    choose = random.Random(seed)
    server = tied_server(choose, tied_order, kinds)
    page_size = choose.choice([None, choose.randint(5, 9), choose.randint(5, 70)])
    try:
        delivered = read(server, page_size, choose.choice([1, 2, 4, 16]), choose)
    except IP1PagingError:
        # Rows of a tie that is longer than a page may stay hidden from every request.
        assert kinds or server.tied > server.clamp, (seed, "an error, although nothing changed")
        return False
    assert len(delivered) == len(set(delivered)), (seed, "twice")
    lost = set(server.throughout) - set(delivered)
    assert len(lost) <= len(server.ever_removed & set(delivered)), (seed, "lost")
    return bool(lost)


@pytest.mark.no_cover
@pytest.mark.parametrize("kinds", [(), ("insert",), ("insert", "delete")], ids=["quiet", "growing", "changing"])
@pytest.mark.parametrize("tied_order", ["request", "time"])
@pytest.mark.parametrize("part", range(4))
def test_no_row_is_lost_and_none_comes_twice(tied_order: TiedOrder, kinds: tuple[str, ...], part: int) -> None:
    first = random.SystemRandom().randrange(2**40) if "IP1_READS" in os.environ else 0
    seeds = range(first + part * READS // 4, first + (part + 1) * READS // 4)
    lost = sum(check(seed, tied_order, kinds) for seed in seeds)
    # One read in 1,300 is lost in these ways. Of new ones, some parts have more.
    assert lost <= (5 + len(seeds) // 400 if first else 0)


@pytest.mark.parametrize("seed", [55_512_347_864, 55_512_348_772, 55_512_351_429, 141_293_820_214])
def test_a_static_list_is_never_an_error_if_the_server_grants_pages_longer_than_its_ties(seed: int) -> None:
    """Newest first, in pages shorter than a tie: no reading in larger pages has had all rows but several together."""
    assert not check(seed, "request")


def test_removed_rows_can_be_counted_in_the_place_of_hidden_ones() -> None:
    """Three of nine rows are removed between the first two pages, and others of that time take their places."""
    assert check(10_003_227, "request", ("insert", "delete"))


def test_a_list_without_ties_takes_as_many_requests_as_it_has_pages() -> None:
    for total, requests in ((7, 1), (430, 3), (450, 4), (5000, 26)):
        server = ModelServer([f"row{number}" for number in range(total)])
        read(server, page_size=200, concurrency=1)
        assert len(server.requests) == requests


def test_what_a_tied_list_costs() -> None:
    """Nothing if no tie crosses a border that matters, otherwise a look back per border and the list in one page."""
    server = ModelServer([f"row{number}" for number in range(2000)], tied=10, tied_order="request")
    assert sorted(read(server, page_size=200, concurrency=1)) == sorted(server.rows)
    assert len(server.requests) <= 11 + 10 + 2
    assert max(limit for _, limit in server.requests) > 2000


class SmallPages(ModelServer):
    """Refuses more rows than it was asked for at first."""

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        if limit > 20:
            self.requests.append((start, limit))
            return IP1ParticipantError("400")
        return super().respond(start, limit, order)


def test_a_server_may_refuse_larger_pages() -> None:
    server = SmallPages([f"row{number}" for number in range(300)], tied=5, tied_order="request")
    assert sorted(read(server, page_size=20, concurrency=3)) == sorted(server.rows)
    assert sum(limit > 20 for _, limit in server.requests) <= 3


def test_a_row_that_stays_hidden_is_an_error() -> None:
    class OneShort(ModelServer):
        """Lists the first row in the place of another one, on whatever page that is."""

        def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
            page = super().respond(start, limit, order)
            assert isinstance(page, RawPage)
            ids = ["row0" if key == "row30" else key for key in page.ids]
            return RawPage(ids, [key.encode() for key in ids], (), page.link)

    server = OneShort([f"row{number}" for number in range(60)], clamp=20)
    with pytest.raises(IP1PagingError, match=rf"^1 rows of the list could not be read, .* {MAX_PASSES + 1} times"):
        read(server, page_size=20, concurrency=1)


@pytest.mark.parametrize("tied", [2, 3, 10, 60])
@pytest.mark.parametrize("seed", range(10))
def test_a_window_that_ends_early_has_every_row_above_its_end(tied: int, seed: int) -> None:
    """Newest first, whatever is missing is found before the page is handed out with which the reader has enough."""
    choose = random.Random(seed)
    total, page_size = choose.randint(100, 400), choose.randint(5, 40)
    server = ModelServer([f"row{n}" for n in range(total)], order="DESC", tied=tied, tied_order="request")
    oldest = total - choose.randint(20, 90)
    delivered: set[str] = set()
    ahead = read_ahead([a_list(order="DESC")], page_size, 1)
    for page in iter_pages(ahead, server):
        delivered.update(page)
        # A reader stops at the first row that is older than all rows of the time that it wants.
        if any(int(key[3:]) // tied < oldest // tied for key in page):
            break
    assert {f"row{n}" for n in range(oldest // tied * tied, total)} <= delivered


@pytest.mark.parametrize("tied_order", ["request", "time"])
@pytest.mark.parametrize("part", range(4))
def test_a_window_on_a_server_that_caps_pages_below_a_tie(tied_order: TiedOrder, part: int) -> None:
    """No page has the whole window. Only a tie longer than a page may hide a row, which is an error."""
    errors = 0
    for seed in range(part * 25, (part + 1) * 25):
        choose = random.Random(seed)
        total, tied = choose.randint(100, 400), choose.choice([2, 10, 60])
        clamp, page_size = choose.choice([10_000, choose.randint(5, 40), choose.randint(50, 90)]), choose.randint(5, 60)
        server = ModelServer(
            [f"row{n}" for n in range(total)],
            order="DESC",
            tied=tied,
            tied_order=tied_order,
            clamp=clamp,
            link_style=choose.choice(["rfc8288", "none"]),
        )
        oldest = total - choose.randint(20, 90)
        delivered: set[str] = set()
        try:
            for page in iter_pages(read_ahead([a_list(order="DESC")], page_size, choose.choice([1, 4])), server):
                assert delivered.isdisjoint(page), (seed, "twice")
                delivered.update(page)
                if any(int(key[3:]) // tied < oldest // tied for key in page):
                    break
        except IP1PagingError:
            assert min(clamp, page_size) <= tied, (seed, "an error, although each tie fits on a page")
            errors += 1
        else:
            assert {f"row{n}" for n in range(oldest // tied * tied, total)} <= delivered, (seed, "lost")
    assert errors <= 2


@pytest.mark.parametrize("arriving", [1, 2])
def test_a_row_that_arrives_is_not_counted_in_the_place_of_a_hidden_one(arriving: int) -> None:
    """Rows of the same second in their ids: the page is requested again after rows were found at the head."""

    class OneDay(ModelServer):
        def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
            page = super().respond(start, limit, order)
            assert isinstance(page, RawPage)
            ids = [f"{int(key[3:]) // self.tied:08x}{int(key[3:]):016x}" for key in page.ids]
            return RawPage(ids, [key.encode() for key in ids], (), page.link)

    for seed in range(40):
        choose = random.Random(seed)
        total = choose.randint(60, 200)

        def changes(server: ModelServer, request: int, total: int = total, at: int = choose.randint(1, 8)) -> None:
            if request == at:
                server.rows += [f"row{total + number}" for number in range(arriving)]

        server = OneDay([f"row{n}" for n in range(total)], order="DESC", tied=3, tied_order="request", changes=changes)
        delivered = {
            int(key[8:], 16)
            for page in itertools.islice(iter_pages(read_ahead([a_list(order="DESC")], 9, 1), server), 8)
            for key in page
        }
        last = min(delivered) // 3 * 3 + 3
        assert set(range(last, total)) <= delivered, seed


@pytest.mark.parametrize("total", [100, 116, 124, 128, 132])
def test_a_removed_row_is_not_counted_in_the_place_of_a_hidden_one(total: int) -> None:
    """Newest first. The first page was read when its newest row is removed; another row hides at the next border."""

    def changes(server: ModelServer, request: int) -> None:
        if request == 1:
            server.delete(total - 1, 1)

    server = ModelServer([f"row{n}" for n in range(total)], order="DESC", tied=5, tied_order="request", changes=changes)
    oldest = (total - 60) // 5
    delivered: set[str] = set()
    for page in iter_pages(read_ahead([a_list(order="DESC")], 19, 1), server):
        assert delivered.isdisjoint(page)
        delivered.update(page)
        if any(int(key[3:]) // 5 < oldest for key in page):
            break
    assert {f"row{n}" for n in range(oldest * 5, total)} <= delivered


def iter_pages(ahead, server):  # type: ignore[no-untyped-def]
    """Yield the ids of each page, as the clients do: newest first, nothing is requested before a page is taken."""
    pending = []
    for step in ahead.steps():
        if step is None:
            request = pending.pop(0)
            ahead.receive(request, server.respond(request.start, request.limit, request.order))
        elif hasattr(step, "ids"):
            yield step.ids
        else:
            pending.append(step)


def test_rows_that_move_while_pages_are_in_flight() -> None:
    """20 rows in pages of 4. The response for the third page is from before the one for the second."""
    for hop in range(1, 4):
        for place in range(3, 12):
            rows = [f"row{number}" for number in range(20)]
            server = ModelServer(list(rows), link_style="rfc8288")
            ahead = read_ahead([a_list()], 4, 3)
            delivered: list[str] = []
            moved = False
            while not ahead.done:
                requests = ahead.next_requests()
                # The later pages are read first.
                responses = []
                for request in sorted(requests, key=lambda request: -request.start):
                    responses.append((request, server.respond(request.start, request.limit, request.order)))
                    if len(requests) > 1 and not moved:
                        server.rows.insert(place + hop, server.rows.pop(place))
                        moved = True
                for request, outcome in responses:
                    ahead.receive(request, outcome)
                while (page := ahead.next_page()) is not None:
                    delivered += page.ids
            assert sorted(delivered) == sorted(rows), (hop, place)


def test_many_moves_of_tied_rows_at_any_concurrency() -> None:
    for concurrency in (1, 4, 8):
        for seed in range(6):
            choose = random.Random(seed)

            def changes(server: ModelServer, request: int, choose: random.Random = choose) -> None:
                if request < 20:
                    place = choose.randrange(len(server.rows))
                    row = server.rows.pop(place)
                    server.rows.insert(max(place + choose.randint(-99, 99), 0), row)

            server = ModelServer([f"row{number}" for number in range(2000)], changes=changes)
            delivered = read(server, 200, concurrency, choose)
            assert sorted(delivered) == sorted(server.rows)


def test_pages_of_a_list_with_ties_are_numbered() -> None:
    server = ModelServer([f"row{number}" for number in range(300)], tied=100, tied_order="request")
    pages = pages_of(read_ahead([a_list()], 20, 3), {None: server}, 3)
    assert [page.number for page in pages] == [*range(len(pages))]
