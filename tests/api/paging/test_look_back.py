# SPDX-License-Identifier: Apache-2.0
"""Rows that moved to a place which was read already."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.read_ahead import Outcome
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1PagingError
from tests.api.paging.model_server import ModelServer, read


def moved(order: Order, before: list[str], after: list[str], page_size: int) -> list[str]:
    """Read a list that changes from one order of its rows to another after the first request."""

    def changes(server: ModelServer, request: int) -> None:
        if request == 1:
            server.rows = after if order == "ASC" else after[::-1]

    server = ModelServer(before if order == "ASC" else before[::-1], order=order, link_style="none", changes=changes)
    return read(server, page_size, concurrency=1)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("after", ["abdc", "adbc", "dabc", "acdb", "adcb"])
def test_rows_that_changed_places_are_delivered_once(order: Order, after: str) -> None:
    assert sorted(moved(order, [*"abcdefgh"], [*after, *"efgh"], page_size=3)) == [*"abcdefgh"]


def test_looking_back_reaches_rows_behind_a_lowered_limit() -> None:
    def changes(server: ModelServer, request: int) -> None:
        if request == 1:
            server.rows.insert(5, server.rows.pop(8))
            server.clamp = 5

    rows = [f"row{number}" for number in range(30)]
    server = ModelServer(list(rows), changes=changes)
    assert sorted(read(server, page_size=8, concurrency=1)) == sorted(rows)


def test_one_row_of_the_page_before_is_enough_to_see_it() -> None:
    """The anchor was removed, and a row moved to the front."""
    assert sorted(moved("ASC", [*"abcdef"], [*"fabde"], page_size=3)) == [*"abcdef"]


class MovingServer(ModelServer):
    """40 rows. Before the third request, a row moves up, and the server may grant fewer rows from then on."""

    clamp_then: int | None = None
    #: Requests, by their number from 0, for which the response is empty.
    empty: tuple[int, ...] = ()

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        number = len(self.requests)
        if number == 2:
            self.rows.insert(12, self.rows.pop(25))
            self.clamp = self.clamp_then or self.clamp
        outcome = super().respond(start, limit, order)
        return RawPage() if number in self.empty else outcome


def moving_server() -> MovingServer:
    return MovingServer([f"row{number}" for number in range(40)], link_style="none")


def test_the_page_before_is_requested_again() -> None:
    server = moving_server()
    assert sorted(read(server, page_size=10, concurrency=1)) == sorted(server.rows)
    assert server.starts == [0, 9, 18, 9, 27, 36, 39]


def test_two_rows_per_page() -> None:
    def changes(server: ModelServer, request: int) -> None:
        if request == 3:
            server.rows.insert(2, server.rows.pop(6))

    server = ModelServer([*"abcdefgh"], link_style="none", changes=changes)
    assert sorted(read(server, page_size=2, concurrency=1)) == [*"abcdefgh"]
    # The page after the third one repeats it, which the largest offset explains.
    assert server.starts == [0, 1, 2, 3, 999_999_999, 2, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("clamp", "look_backs"),
    [
        (9, [9]),
        (5, [9, 13]),
        (4, [9, 12, 15]),
        # No more than three.
        (2, [9, 10, 11]),
    ],
)
def test_a_lowered_limit_takes_more_requests(clamp: int, look_backs: list[int]) -> None:
    server = moving_server()
    server.clamp_then = clamp
    assert sorted(read(server, page_size=10, concurrency=1)) == sorted(server.rows)
    assert server.starts[:3] == [0, 9, 18]
    assert server.starts[3 : 3 + len(look_backs)] == look_backs
    assert server.starts[3 + len(look_backs)] > 18


@pytest.mark.parametrize("empty", [(3,), (3, 4)])
def test_an_empty_response_is_not_believed(empty: tuple[int, ...]) -> None:
    server = moving_server()
    server.empty = empty
    assert sorted(read(server, page_size=10, concurrency=1)) == sorted(server.rows)
    assert server.starts == [0, 9, 18, *[9] * (1 + len(empty)), 27, 36, 39]


def test_three_empty_responses_are_an_error() -> None:
    server = moving_server()
    server.empty = (3, 4, 5)
    with pytest.raises(IP1PagingError, match="had listed rows before"):
        read(server, page_size=10, concurrency=1)
    assert server.starts == [0, 9, 18, 9, 9, 9]
