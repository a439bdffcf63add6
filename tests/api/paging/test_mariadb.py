# SPDX-License-Identifier: Apache-2.0
"""
Reads from a real MariaDB, with which iP.1's older documentation compares its paging.

Its ``ORDER BY created LIMIT l OFFSET s`` lists rows of the same creation time in an order that depends on ``l`` and
``s``. The tests need the server's programs (Debian: ``apt-get install mariadb-server``) and are skipped without them;
nothing is installed for them. ``make test-mariadb`` runs them.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_ip1.api.page_body import RawPage, read_link
from airflow_provider_ip1.api.paging.read_ahead import Outcome
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1PagingError
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from dev.stack import http_server
from tests.api.paging.mariadb import IS_INSTALLED, MariaDB, running_mariadb
from tests.api.paging.model_server import ModelServer, a_list, read, read_ahead
from tests.api.paging.test_tied_lists import iter_pages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.no_cover,
    pytest.mark.skipif(not IS_INSTALLED, reason="MariaDB's server is not installed (apt-get install mariadb-server)"),
]

#: Rows, rows per creation time, page size.
CASES = [
    (10, 3, 5),
    (400, 1, 50),
    (400, 3, 50),
    (400, 5, 50),
    (700, 700, 5),
    (2000, 20, 200),
    (5000, 10, 200),
    (3000, 500, 200),
    (6000, 6000, 200),
    (9000, 3000, 1000),
]


class DatabaseServer(ModelServer):
    """A list in the database."""

    db: MariaDB
    #: Request number to rows to add (positive) or to remove (negative).
    plan: dict[int, int]
    total = 0
    lowest = 0

    def __init__(self, db: MariaDB, total: int, tied: int, *, is_indexed: bool, order: Order, link_style: str) -> None:
        super().__init__([], order=order, link_style=link_style)
        self.db, self.total, self.tied, self.plan, self.added_rows = db, total, tied, {}, total
        index = ", INDEX (created)" if is_indexed else ""
        db.rows("DROP TABLE IF EXISTS m")
        db.rows(f"CREATE TABLE m (id CHAR(24), created INT{index})")
        rows = [(f"id{number:08}", number // tied) for number in range(total)]
        random.Random(total).shuffle(rows)
        db.insert("m", rows)
        self.throughout = {key for key, _ in rows}

    def change(self, rows: int) -> None:
        """Add rows at the newest end, or remove some of any time."""
        if rows > 0:
            added = range(self.added_rows, self.added_rows + rows)
            self.db.insert("m", [(f"id{number:08}", number // self.tied) for number in added])
            self.added_rows += rows
        else:
            gone = [key for (key,) in self.db.rows(f"SELECT id FROM m ORDER BY MD5(id) LIMIT {-rows}")]  # noqa: S608
            self.db.rows("DELETE FROM m WHERE id IN ({})".format(",".join(map(repr, gone))))  # noqa: S608
            self.throughout.difference_update(gone)
        self.total += rows

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        if rows := self.plan.get(len(self.requests)):
            self.change(rows)
        self.requests.append((start, limit))
        ids = [
            row[0]
            for row in self.db.rows(
                f"SELECT id, created FROM m ORDER BY created {order or self.order} LIMIT {limit} OFFSET {start}"  # noqa: S608
            )
        ]
        return RawPage(ids, [key.encode() for key in ids], (), read_link(self.link(start, limit, self.total)))


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    # A socket's path must be short.
    with running_mariadb(tmp_path_factory.mktemp("db")) as session:
        yield session


@pytest.mark.parametrize("concurrency", [1, 4, 16])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("is_indexed", [False, True], ids=["filesort", "index"])
@pytest.mark.parametrize(("total", "tied", "page_size"), CASES)
def test_a_static_table_is_read_completely(
    db: MariaDB, total: int, tied: int, page_size: int, is_indexed: bool, order: Order, concurrency: int
) -> None:
    for link_style in ("rfc8288", "none"):
        server = DatabaseServer(db, total, tied, is_indexed=is_indexed, order=order, link_style=link_style)
        delivered = read(server, page_size, concurrency, random.Random(total))
        assert len(delivered) == len(set(delivered)), "twice"
        assert set(delivered) == server.throughout, "lost"
        if tied == 1 and link_style == "rfc8288":
            assert len(server.requests) <= total // (page_size - 1) + 2


@pytest.mark.parametrize("seed", range(40))
def test_a_table_that_changes_is_read_completely_or_it_is_an_error(db: MariaDB, seed: int) -> None:
    choose = random.Random(seed)
    total = choose.choice([50, 400, 2000])
    server = DatabaseServer(
        db,
        total,
        choose.choice([2, 5, 20, 300]),
        is_indexed=choose.random() < 0.5,
        order=choose.choice(["ASC", "DESC"]),
        link_style=choose.choice(["rfc8288", "none"]),
    )
    server.plan = {choose.randint(1, 25): choose.choice([1, 7, 60, -1, -5, -20]) for _ in range(8)}
    try:
        delivered = read(server, choose.choice([10, 50, 200]), choose.choice([1, 4, 16]), choose)
    except IP1PagingError:
        return
    assert len(delivered) == len(set(delivered)), "twice"
    assert server.throughout <= set(delivered), "lost"


@pytest.mark.parametrize("is_indexed", [False, True], ids=["filesort", "index"])
@pytest.mark.parametrize("tied", [3, 20, 150])
def test_a_window_that_ends_early_has_every_row_above_its_end(db: MariaDB, tied: int, is_indexed: bool) -> None:
    for oldest in range(100, 900, 100):
        server = DatabaseServer(db, 1000, tied, is_indexed=is_indexed, order="DESC", link_style="rfc8288")
        delivered: set[str] = set()
        for ids in iter_pages(read_ahead([a_list(order="DESC")], 50, 4), server):
            delivered.update(ids)
            if any(int(key[2:]) // tied < oldest // tied for key in ids):
                break
        assert {f"id{number:08}" for number in range(oldest // tied * tied, 1000)} <= delivered


def test_the_hook_reads_it_over_http(db: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
    server = DatabaseServer(db, 2000, 300, is_indexed=False, order="ASC", link_style="rfc8288")
    lock = threading.Lock()

    class Handler(http_server.Handler):
        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            with lock:
                page = server.respond(int(query["start"]), int(query["limit"]), query["order"])  # type: ignore[arg-type]
                link = server.link(int(query["start"]), int(query["limit"]), server.total)
            assert isinstance(page, RawPage)
            body = json.dumps([{"id": key, "recipient": "46701740605"} for key in page.ids]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Link", link or "")
            self.end_headers()
            self.wfile.write(body)

    with http_server.serving(Handler) as url:
        connection = {"conn_type": "ip1", "host": url, "password": "secret"}
        connection["extra"] = {"requests_per_second": 0}  # type: ignore[assignment]
        monkeypatch.setenv("AIRFLOW_CONN_IP1_MARIADB", json.dumps(connection))
        with IP1Hook("ip1_mariadb") as hook:
            ids = [key for page in hook.iter_pages("46701740605") for key in page.ids]
    assert sorted(ids) == sorted(server.throughout)
