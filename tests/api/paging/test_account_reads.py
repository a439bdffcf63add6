# SPDX-License-Identifier: Apache-2.0
"""Reads of all messages of an account, whose batches come and go meanwhile."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import AccountMessages, account_messages
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import Outcome, ReadAhead
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError
from tests.api.paging.model_server import ModelServer, name_of, pages_of
from tests.api.paging.test_misbehaving_servers import COMMON, READS, MisbehavingServer, servers


def as_batches(outcome: Outcome) -> Outcome:
    """The rows of a list of batches."""
    if not isinstance(outcome, RawPage):
        return outcome
    return replace(outcome, raws=[json.dumps({"id": key, "direction": "MT"}).encode() for key in outcome.ids])


@dataclass
class BatchServer(ModelServer):
    """A list of batches."""

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        return as_batches(super().respond(start, limit, order))


class MisbehavingBatchServer(MisbehavingServer):
    """A list of batches that come and go."""

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        return as_batches(super().respond(start, limit, order))


class Account(Mapping[str | None, ModelServer]):
    """
    The lists of an account: the batches, and the messages of each batch that exists, 0 to 9 of them.

    :param batches: the list of batches.
    :param sizes: batch -> number of messages, for batches that differ from that.
    """

    def __init__(self, batches: ModelServer, sizes: Mapping[str, int] | None = None) -> None:
        self.batches = batches
        self.sizes = sizes or {}
        self.read: dict[str, ModelServer] = {}

    def __getitem__(self, name: str | None) -> ModelServer:
        if name is None:
            return self.batches
        if name not in self.batches.rows:
            # iP.1 responds with 404 for a batch that was deleted.
            return ModelServer([])
        return self.read.setdefault(name, ModelServer(self.messages_of(name)))

    def messages_of(self, batch: str) -> list[str]:
        return [f"{batch}/{number}" for number in range(self.sizes.get(batch, zlib.crc32(batch.encode()) % 10))]

    def __iter__(self) -> Iterator[str | None]:
        return iter([None, *self.batches.rows])

    def __len__(self) -> int:
        return len(self.batches.rows) + 1


def ahead_of(account: Account, page_size: int, concurrency: int, batches_per_page: int | None = None) -> ReadAhead:
    messages = account_messages(order=account.batches.order)
    if batches_per_page is not None:
        messages = AccountMessages(replace(messages.batches, page_size=batches_per_page))
    return ReadAhead(messages, page_size=page_size, concurrency=concurrency)


def read(account: Account, *, page_size: int = 200, concurrency: int = 4) -> list[Page]:
    return pages_of(ahead_of(account, page_size, concurrency), account, concurrency)


@settings(COMMON, max_examples=max(READS // 4, 1))
@given(servers(("insert", "delete", "repeat"), is_stale=True))
def test_batches_that_come_and_go(scenario: tuple[MisbehavingServer, int, int, random.Random]) -> None:
    """Each message of a batch that is listed throughout appears once, or the read ends in an error."""
    server, page_size, concurrency, shuffle = scenario
    server.__class__ = MisbehavingBatchServer
    account = Account(server)
    ahead = ahead_of(account, page_size, concurrency, batches_per_page=page_size)
    try:
        pages = pages_of(ahead, account, concurrency, shuffle)
    except (IP1PagingError, IP1ResponseError):
        return
    delivered = [key for page in pages for key in page.ids]
    assert len(delivered) == len(set(delivered)), "delivered twice"
    # A batch may come late, if others have come or gone.
    for batch in server.throughout:
        found = [key for key in delivered if key.startswith(f"{batch}/")]
        assert found == account.messages_of(batch), "lost, or out of order"


def test_that_property_would_notice_a_lost_message() -> None:
    account = Account(BatchServer([f"batch{number}" for number in range(30)]))
    pages = read(account)
    delivered = [key for page in pages for key in page.ids]
    assert delivered == [key for batch in account.batches.rows for key in account.messages_of(batch)]
    assert len(delivered) > 90


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_the_messages_of_each_batch_are_read_oldest_first(order: str) -> None:
    batches = BatchServer(["a", "b", "c"], order=order)  # type: ignore[arg-type]
    account = Account(batches, {"a": 3, "b": 0, "c": 2})
    pages = read(account)
    expected = ["a/0", "a/1", "a/2", "c/0", "c/1"] if order == "ASC" else ["c/0", "c/1", "a/0", "a/1", "a/2"]
    assert [key for page in pages for key in page.ids] == expected
    assert [page.batch and page.batch.id for page in pages] == [page.ids[0][0] for page in pages]
    assert {page.direction for page in pages} == {"mt"}
    assert {page.participant for page in pages} == {None}


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_a_batch_of_one_message_costs_one_request(concurrency: int) -> None:
    names = [f"batch{number}" for number in range(2000)]
    account = Account(BatchServer(names), dict.fromkeys(names, 1))
    assert len(read(account, concurrency=concurrency)) == 2000
    assert {len(server.requests) for server in account.read.values()} == {1}
    # A page of 200 repeats one batch of the page before.
    assert len(account.batches.requests) == 11


def test_the_window_is_full_while_there_is_something_to_request() -> None:
    """Each response is here before the next request, so whatever is requested at a time is what the window allows."""
    names = [f"batch{number}" for number in range(1000)]
    account = Account(BatchServer(names), dict.fromkeys(names, 1))
    ahead = ahead_of(account, 200, 8)
    rounds = []
    while not ahead.done:
        requests = ahead.next_requests()
        rounds.append(len(requests))
        for request in requests:
            ahead.receive(request, account[name_of(request)].respond(request.start, request.limit))
        while ahead.next_page() is not None:
            pass
    assert sum(rounds) == 1000 + 6
    # The first page of batches is requested alone.
    assert rounds[0] == 1
    assert set(rounds[1:-1]) == {8}


@pytest.mark.no_cover
def test_only_the_batches_of_about_one_page_are_in_memory() -> None:
    names = [f"batch{number}" for number in range(5000)]
    account = Account(BatchServer(names), dict.fromkeys(names, 1))
    ahead = ahead_of(account, 200, 4)
    read_ahead, handed_out = 0, 0
    while not ahead.done:
        for request in ahead.next_requests():
            ahead.receive(request, account[name_of(request)].respond(request.start, request.limit))
        if ahead.next_page() is not None:
            handed_out += 1
        listed = len(account.batches.requests) * 199 + 1
        read_ahead = max(read_ahead, listed - handed_out)
    assert handed_out == 5000
    # One page, those that are fewer than what 4 requests in flight may need, and the pages that wait to be handed out.
    assert read_ahead <= 200 + 16 * 4 + 16 * 4 + 4


def test_an_error_in_the_list_of_batches_comes_after_the_messages_before_it() -> None:
    class Failing(BatchServer):
        def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
            outcome = super().respond(start, limit, order)
            return outcome if start == 0 else IP1ResponseError("It is broken.")

    names = [f"batch{number}" for number in range(300)]
    account = Account(Failing(names), dict.fromkeys(names, 1))
    ahead = ahead_of(account, 200, 4)
    pages = []
    with pytest.raises(IP1ResponseError, match="It is broken"):
        while not ahead.done:
            for request in ahead.next_requests():
                ahead.receive(request, account[name_of(request)].respond(request.start, request.limit))
            while (page := ahead.next_page()) is not None:
                pages.append(page)
    assert [page.batch and page.batch.id for page in pages] == names[:200]
    assert ahead.lists_read == 200


def test_an_account_without_batches_is_empty() -> None:
    account = Account(BatchServer([]))
    ahead = ahead_of(account, 200, 4)
    assert pages_of(ahead, account, 4) == []
    assert ahead.lists_read == 0


def test_batches_without_messages_count_as_read() -> None:
    account = Account(BatchServer(["a", "b", "c"]), {"a": 0, "b": 1, "c": 0})
    ahead = ahead_of(account, 200, 4)
    assert len(pages_of(ahead, account, 4)) == 1
    assert ahead.lists_read == 3


@pytest.mark.parametrize(
    ("wanted", "read_batches"), [("mt", ["sent", "unknown"]), ("MO", ["received", "unknown"]), (None, None)]
)
def test_batches_of_the_other_direction_are_left_out(wanted: str | None, read_batches: list[str] | None) -> None:
    class Mixed(ModelServer):
        def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
            outcome = super().respond(start, limit, order)
            assert isinstance(outcome, RawPage)
            directions = {"sent": "MT", "received": "mo", "unknown": 1}
            raws = [json.dumps({"id": key, "direction": directions[key]}).encode() for key in outcome.ids]
            return replace(outcome, raws=raws)

    names = ["sent", "received", "unknown"]
    account = Account(Mixed(names), dict.fromkeys(names, 1))
    ahead = ReadAhead(account_messages(direction=wanted), page_size=200, concurrency=4)
    pages = pages_of(ahead, account, 4)
    assert [page.batch and page.batch.id for page in pages] == (read_batches or names)
    assert [page.direction for page in pages if page.batch and page.batch.id == "unknown"] == [None]


@pytest.mark.parametrize("arguments", [{"direction": "in"}, {"order": "up"}, {"page_size": 0}])
def test_arguments_are_checked(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        account_messages(**arguments)  # type: ignore[arg-type]


def test_the_size_of_its_pages() -> None:
    batches = BatchServer([f"batch{number}" for number in range(30)])
    read(Account(batches), page_size=70)
    assert {limit for _, limit in batches.requests} == {200}
