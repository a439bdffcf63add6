# SPDX-License-Identifier: Apache-2.0
"""Which requests find the place again after the list has moved."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.api.paging import pager
from airflow_provider_ip1.api.paging.read_ahead import Outcome
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1PagingError
from tests.api.paging.model_server import ModelServer, read


def moving_server(order: Order, *, delete: tuple[int, int] = (0, 0), insert: tuple[int, int] = (0, 0)) -> ModelServer:
    """100 rows. After the first page of 10, rows are removed from an index of the list, and others added."""

    def changes(server: ModelServer, request: int) -> None:
        if request == 1:
            server.delete(*delete)
            server.insert(*insert)

    return ModelServer([f"row{number}" for number in range(100)], order=order, link_style="none", changes=changes)


def test_oldest_first_the_search_begins_towards_the_head() -> None:
    server = moving_server("ASC", delete=(0, 5))
    server.clamp_later, server.clamp_from = 3, 1
    assert read(server, page_size=10, concurrency=1) == [f"row{number}" for number in range(100)]
    assert server.starts[:3] == [0, 9, 0]


def test_newest_first_the_search_begins_towards_the_end() -> None:
    server = moving_server("DESC", insert=(100, 30))
    delivered = read(server, page_size=10, concurrency=1)
    assert [key for key in delivered if key.startswith("row")] == [f"row{number}" for number in range(99, -1, -1)]
    # The 30 rows in front are read before the page behind them counts.
    assert server.starts[:7] == [0, 9, 18, 0, 28, 0, 37]
    assert server.requests[5] == (0, 36)


def test_every_delivered_row_is_gone() -> None:
    """The list is searched to both ends, and then read again."""
    server = moving_server("ASC", delete=(0, 50))
    delivered = read(server, page_size=10, concurrency=1)
    assert delivered == [f"row{number}" for number in (*range(10), *range(50, 100))]
    assert server.starts[:10] == [0, 9, 0, 18, 28, 38, 48, 58, 0, 9]


@pytest.mark.parametrize(("order", "expected"), [("ASC", [0, 9, 0, 4]), ("DESC", [0, 9, 18, 0, 4])])
def test_an_empty_page_at_the_place_itself_is_not_the_end(order: Order, expected: list[int]) -> None:
    server = moving_server(order)
    rest = server.rows[5:10] if order == "ASC" else server.rows[90:95]

    def changes(server: ModelServer, request: int) -> None:
        if request == 1:
            server.rows = rest

    server.changes = changes
    assert len(read(server, page_size=10, concurrency=1)) == 10
    assert server.starts == expected


@pytest.mark.parametrize("most", [1, 3])
def test_the_search_has_an_end(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(pager, "MAX_SEARCH_REQUESTS", most)
    server = moving_server("ASC", delete=(0, 50))
    with pytest.raises(IP1PagingError, match="could not be found again"):
        read(server, page_size=10, concurrency=1)
    assert len(server.requests) == 2 + most


def test_looking_back_from_the_second_row() -> None:
    server = ModelServer([*"abcdef"], link_style="none")

    def changes(server: ModelServer, request: int) -> None:
        if request == 1:
            server.rows = [*"cabdef"]

    server.changes = changes
    assert sorted(read(server, page_size=2, concurrency=1)) == [*"abcdef"]


def test_two_rows_per_page_are_searched_row_by_row() -> None:
    server = ModelServer([f"row{number}" for number in range(20)], link_style="none")

    def changes(server: ModelServer, request: int) -> None:
        if request == 3:
            server.delete(0, 3)

    server.changes = changes
    assert read(server, page_size=2, concurrency=1) == [f"row{number}" for number in range(20)]
    assert server.starts[:8] == [0, 1, 2, 3, 2, 4, 0, 1]


def test_a_list_that_is_empty_when_it_is_read_from_the_start_again_is_an_error() -> None:
    """No delivered row was found, so the list is read from its start, where it had rows a moment ago."""
    states: list[list[str]] = [[f"row{number}" for number in range(20)], [f"other{number}" for number in range(10)], []]

    class Vanishing(ModelServer):
        def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
            self.rows = states[min(sum(start == 0 for start in self.starts), 2) if start == 0 else 1]
            return super().respond(start, limit, order)

    server = Vanishing(states[0], link_style="none")
    with pytest.raises(IP1PagingError, match="empty list although it had listed rows before"):
        read(server, page_size=20, concurrency=1)
    assert server.starts.count(0) == 3
