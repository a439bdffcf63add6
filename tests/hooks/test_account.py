# SPDX-License-Identifier: Apache-2.0
"""Both hooks read all messages of an account, batch by batch."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1AuthError, IP1ConnectionError, IP1ResponseError
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, NAME, NAME_WITH_SPACE, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import Client, RawServer, send

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]


def everything(server: SandboxServer) -> dict[str, bytes]:
    """Message id -> JSON of every message in every conversation of the sandbox."""
    return {
        json.loads(raw)["id"]: raw
        for participant in server.sandbox.store.conversations
        for raw in server.conversation_bytes(participant)
    }


@pytest.fixture
def settled(connect: Callable[..., str]) -> Iterator[SandboxServer]:
    """An account with batches of 1 to 120 messages, whose statuses do not change during the test."""
    now = [1_800_000_000.0]
    with SandboxServer(messages=300, clock=lambda: now[0]) as server:
        now[0] += 3600
        connect(server.url)
        yield server


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_every_message_of_the_account_once_byte_for_byte(
    settled: SandboxServer, make_client: MakeClient, order: str
) -> None:
    pages = list(make_client().iterate("iter_batch_pages", order=order))
    delivered = {key: bytes(raw) for page in pages for key, raw in zip(page.ids, page.raws, strict=True)}
    assert delivered == everything(settled)
    assert sum(map(len, pages)) == len(delivered) > 400
    batches = list(dict.fromkeys(page.batch.id for page in pages))
    assert batches == [batch.id for batch in make_client().iterate("iter_batches", order=order)]
    assert {message.batch_id == page.batch.id for page in pages for message in page.messages} == {True}


def test_the_requests_are_one_for_each_batch_and_few_for_the_list(
    settled: SandboxServer, make_client: MakeClient
) -> None:
    pages = make_client().iterate("iter_batch_pages", concurrency=8)
    count = len({page.batch.id for page in pages})
    lists = [request for request in settled.requests if request.path == "/v2/batches"]
    # The batch of 120 messages needs a second request: fewer rows than the limit may be a lowered limit.
    assert len(settled.requests) - len(lists) == count + 1 > 320
    assert len(lists) == 3
    assert settled.max_in_flight <= 8


@pytest.mark.parametrize("direction", ["mt", "mo"])
def test_batches_of_one_direction(settled: SandboxServer, make_client: MakeClient, direction: str) -> None:
    pages = list(make_client().iterate("iter_batch_pages", direction=direction))
    messages = [message for page in pages for message in page.messages]
    assert {message.direction for message in messages} == {direction}
    other = [m for page in make_client().iterate("iter_batch_pages") for m in page.messages if m.direction != direction]
    assert len(messages) + len(other) == len(everything(settled))
    assert min(len(messages), len(other)) > 50


def test_the_rest_of_a_batch_can_be_skipped(settled: SandboxServer, make_client: MakeClient) -> None:
    pages = make_client().iterate("iter_batch_pages", page_size=50, order="DESC")
    large = []
    for page in pages:
        if page.batch.reference == "demo-large":
            large.append(page)
            pages.skip_rest()
    assert [len(page) for page in large] == [50]


def test_newest_batch_first_a_large_batch_is_read_ahead_too(serve: Serve, make_client: MakeClient) -> None:
    # The pages that are requested ahead stay in flight until all of them have surely arrived.
    server = serve("slow@3-12:seconds=1")
    server.send([MAIN, *map(str, range(46701740610, 46701740700))], "Hej!")
    pages = iter(make_client(concurrency=4).iterate("iter_batch_pages", page_size=10, order="DESC"))
    assert [len(next(pages)) for _ in range(10)] == [10, *[9] * 9]
    assert server.max_in_flight == 4


def test_closing_stops_the_read(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=1000)
    pages = make_client(concurrency=4).iterate("iter_batch_pages")
    next(pages)
    pages.close()
    assert len(server.requests) < 200


def test_an_account_without_batches(connect: Callable[..., str], make_client: MakeClient) -> None:
    """iP.1's other list proves that the 404 is iP.1's."""

    def answer(request: Any) -> None:
        is_list_of_senders = request.path.startswith("/v2/me/senders")
        send(request, 200 if is_list_of_senders else 404, b"[]" if is_list_of_senders else b"")

    with RawServer(answer) as server:
        connect(server.url)
        client = make_client()
        assert list(client.iterate("iter_batch_pages")) == []
        assert list(client.iterate("iter_participants")) == []


def test_another_server_is_not_an_empty_account(connect: Callable[..., str], make_client: MakeClient) -> None:
    with RawServer(lambda request: send(request, 404, b"")) as server:
        connect(server.url)
        with pytest.raises(IP1ConnectionError, match="does not seem to be iP.1's API"):
            list(make_client().iterate("iter_batch_pages"))


def test_an_error_reaches_the_caller(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    server.key = "another"
    with pytest.raises(IP1AuthError):
        list(make_client().iterate("iter_batch_pages"))
    with pytest.raises(IP1AuthError):
        list(make_client().iterate("iter_participants"))


@pytest.mark.parametrize("arguments", [{"direction": "x"}, {"order": "x"}, {"page_size": 0}, {"concurrency": 65}])
def test_arguments_are_checked_before_the_first_request(
    serve: Serve, make_client: MakeClient, arguments: dict[str, Any]
) -> None:
    server = serve()
    with pytest.raises(ValueError, match=next(iter(arguments))):
        make_client().iterate("iter_batch_pages", **arguments)
    with pytest.raises(ValueError, match="since"):
        make_client().iterate("iter_participants", since="soon")
    assert server.requests == []


@pytest.mark.parametrize("method", ["iter_batch_pages", "iter_participants"])
def test_both_hooks_take_the_same_arguments(method: str) -> None:
    sync, other = (inspect.signature(getattr(hook, method)).parameters for hook in (IP1Hook, IP1AsyncHook))
    assert list(map(str, sync.values())) == list(map(str, other.values()))


# -- participants


def test_each_participant_once(settled: SandboxServer, make_client: MakeClient) -> None:
    participants = list(make_client().iterate("iter_participants"))
    assert len(participants) == len(set(participants))
    there = {key for key, conversation in settled.sandbox.store.conversations.items() if conversation.rows}
    assert set(participants) == there > {MAIN, SEVEN, SINGLE, NAME, NAME_WITH_SPACE}
    assert EMPTY not in participants


def test_participants_since_a_time_read_only_new_batches(
    serve: Serve, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(messages=3000)
    # All batches of the past end on November 1st; the demo batches are on their way now.
    since = datetime.now(UTC) - timedelta(hours=1)
    server.sandbox.store.receive(EMPTY, "Hej!")
    with caplog.at_level(logging.DEBUG):
        participants = list(make_client().iterate("iter_participants", since=since))
    assert participants[0] == EMPTY
    assert MAIN not in participants and len(participants) == 122
    assert len(server.requests) < 150
    assert not any(number in caplog.text for number in participants)


def test_an_unknown_direction_is_an_error(connect: Callable[..., str], make_client: MakeClient) -> None:
    message = {"id": "m", "sender": "46701740605", "recipient": "46701740606", "direction": 0}

    def answer(request: Any) -> None:
        rows = [message] if "/messages" in request.path else [{"id": "b", "direction": 0}]
        send(request, 200, json.dumps(rows).encode(), Link='<?start=0&limit=200>; rel="last"')

    with RawServer(answer) as server:
        connect(server.url)
        with pytest.raises(IP1ResponseError, match="whether it was sent or received"):
            list(make_client().iterate("iter_participants"))
