# SPDX-License-Identifier: Apache-2.0
"""What happens at the end of a list that has fewer rows than its last page was announced for."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.exceptions import IP1PagingError
from tests.api.paging.model_server import ModelServer, read


def rows(count: int) -> list[str]:
    return [f"row{number}" for number in range(count)]


class CutServer(ModelServer):
    """Announces a last page that it does not list."""

    announced = 200

    def link(self, start: int, limit: int, total: int) -> str | None:
        return f'</x?start={self.announced}&limit=50>; rel="last"'


@pytest.mark.parametrize("announced", [121, 200])
def test_the_anchor_is_requested_again_and_then_it_is_an_error(announced: int) -> None:
    server = CutServer(rows(120))
    server.announced = announced
    with pytest.raises(IP1PagingError, match=rf"starts at row {announced}.*only 120 rows"):
        read(server, page_size=50, concurrency=1)
    assert server.starts == [0, 49, 98, 119, 119]


def test_also_if_rows_were_forgotten() -> None:
    server = CutServer(rows(2500))
    server.announced = 3000
    with pytest.raises(IP1PagingError, match=r"starts at row 3,000.*only 2,500 rows"):
        read(server, page_size=200, concurrency=1)
    assert server.starts[-2:] == [2499, 2499]


def test_the_list_may_have_moved_when_the_anchor_is_requested_again() -> None:
    """The response shows rows that do not join what was read, so the anchor is searched."""

    def changes(server: ModelServer, request: int) -> None:
        if request == 4:
            server.delete(0, 30)
            server.insert(len(server.rows), 100)

    server = CutServer(rows(120), changes=changes)
    server.announced = 160
    delivered = read(server, page_size=50, concurrency=1)
    assert delivered == [*rows(120), *(f"new{number}" for number in range(100))]
    assert server.starts[3:5] == [119, 119]


def test_a_page_that_would_begin_behind_the_last_row_may_be_empty() -> None:
    server = CutServer(rows(120))
    server.announced = 120
    assert read(server, page_size=50, concurrency=1) == rows(120)
    assert server.starts == [0, 49, 98, 119]


def inserted_in_front(count: int, inserted: int, at: int) -> ModelServer:
    def changes(server: ModelServer, request: int) -> None:
        if request == at:
            server.insert(0, inserted)

    return ModelServer(rows(count), changes=changes)


def test_rows_inserted_in_front_are_read_afterwards() -> None:
    """The end was reached, but fewer rows were delivered than the list has."""
    server = inserted_in_front(100, 50, at=1)
    assert sorted(read(server, page_size=10, concurrency=1)) == sorted(server.rows)
    assert 0 in server.starts[4:]


def test_rows_inserted_in_front_are_read_afterwards_although_the_list_is_long() -> None:
    """None of the 2,500 rows is delivered twice."""
    server = inserted_in_front(2500, 300, at=10)
    delivered = read(server, page_size=200, concurrency=1)
    assert len(delivered) == 2800
    assert sorted(delivered) == sorted(server.rows)


def test_a_list_that_shrank_is_not_incomplete() -> None:
    def changes(server: ModelServer, request: int) -> None:
        if request == 2:
            server.delete(40, 80)

    server = ModelServer([f"row{number}" for number in range(120)], changes=changes)
    assert len(read(server, page_size=20, concurrency=1)) >= 40
