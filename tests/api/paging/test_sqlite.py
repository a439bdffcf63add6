# SPDX-License-Identifier: Apache-2.0
"""Reads from SQLite with MariaDB's query, as a second opinion from another database."""

from __future__ import annotations

import random
import sqlite3

import pytest

from airflow_provider_ip1.api.page_body import RawPage, read_link
from airflow_provider_ip1.api.paging.read_ahead import Outcome
from airflow_provider_ip1.api.requests import Order
from tests.api.paging.model_server import ModelServer, a_list, read, read_ahead
from tests.api.paging.test_tied_lists import iter_pages


class SqliteServer(ModelServer):
    """A list in a table without a key, whose rows were inserted in no order."""

    def __init__(self, total: int, tied: int, order: Order, *, is_indexed: bool) -> None:
        super().__init__([], order=order)
        self.db = sqlite3.connect(":memory:")
        self.db.execute("CREATE TABLE m (id TEXT, created INTEGER)")
        rows = [(f"row{number}", number // tied) for number in range(total)]
        random.Random(total).shuffle(rows)
        self.db.executemany("INSERT INTO m VALUES (?, ?)", rows)
        if is_indexed:
            self.db.execute("CREATE INDEX by_created ON m (created)")
        self.total = total
        self.throughout = {key for key, _ in rows}

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        self.requests.append((start, limit))
        query = f"SELECT id FROM m ORDER BY created {order or self.order} LIMIT ? OFFSET ?"  # noqa: S608
        ids = [key for (key,) in self.db.execute(query, (limit, start))]
        return RawPage(ids, [key.encode() for key in ids], (), read_link(self.link(start, limit, self.total)))


@pytest.mark.parametrize("is_indexed", [False, True], ids=["sorted", "index"])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize(("total", "tied", "page_size"), [(10, 3, 5), (400, 5, 50), (700, 700, 5), (3000, 500, 200)])
def test_a_table_is_read_completely(total: int, tied: int, page_size: int, order: Order, is_indexed: bool) -> None:
    for concurrency in (1, 4, 16):
        server = SqliteServer(total, tied, order, is_indexed=is_indexed)
        delivered = read(server, page_size, concurrency, random.Random(total))
        assert len(delivered) == len(set(delivered)), "twice"
        assert set(delivered) == server.throughout, "lost"


@pytest.mark.parametrize("is_indexed", [False, True], ids=["sorted", "index"])
@pytest.mark.parametrize("tied", [3, 20, 150])
def test_a_window_that_ends_early_has_every_row_above_its_end(tied: int, is_indexed: bool) -> None:
    for oldest in range(100, 900, 200):
        server = SqliteServer(1000, tied, "DESC", is_indexed=is_indexed)
        delivered: set[str] = set()
        for ids in iter_pages(read_ahead([a_list(order="DESC")], 50, 4), server):
            delivered.update(ids)
            if any(int(key[3:]) // tied < oldest // tied for key in ids):
                break
        assert {f"row{number}" for number in range(oldest // tied * tied, 1000)} <= delivered
