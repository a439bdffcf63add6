# SPDX-License-Identifier: Apache-2.0
"""Both hooks send, list, fetch and cancel batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ip1.client import batch_search
from airflow_provider_ip1.exceptions import IP1NotFoundError, IP1SendUnknownError
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import Client

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]
NUMBER = "46701740605"


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_search, "PAUSES", (0.05, 0.1))


def send(client: Client, **arguments: Any) -> Any:
    return client.call("send_batch", **{"recipients": NUMBER, "body": "Hello", "sender": "iP1"} | arguments)


def posts(server: SandboxServer) -> int:
    return sum(request.method == "POST" for request in server.requests)


def test_sends_what_it_is_told(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    client = make_client()
    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    batch = send(
        client,
        recipients={NUMBER: {"name": "Ann"}},
        body="Hello {name}",
        reference="order 17",
        type="flash",
        datacoding="gsm",
        priority=2,
        delivery_windows=[{"opens": opens}],
        delivery_report_url="https://example.com/reports",
        tags=["a", "b"],
    )
    assert batch.id
    fetched = client.call("get_batch", batch.id)
    assert (fetched.reference, fetched.type, fetched.datacoding, fetched.priority) == ("order 17", "flash", "gsm", 2)
    assert fetched.templated is True
    assert fetched.tags == ("a", "b")
    assert [window.opens for window in fetched.delivery_windows] == [opens]
    assert fetched.raw["deliveryReportUrl"] == "https://example.com/reports"
    assert fetched.message_summary is not None
    assert server.conversation(NUMBER)[-1]["body"] == "Hello Ann"


def test_the_sender_comes_from_the_connection_unless_given(serve: Serve, make_client: MakeClient) -> None:
    serve(sender="Backup")
    client = make_client()
    assert send(client, sender=None).sender == "Backup"
    assert send(client).sender == "iP1"


def test_each_call_sends_with_a_reference_of_its_own(serve: Serve, make_client: MakeClient) -> None:
    serve()
    client = make_client()
    references = {send(client).reference for _ in range(3)}
    assert len(references) == 3


@pytest.mark.parametrize(
    "fault", ["500@1:accepted=yes,method=POST", "close@1:accepted=yes,method=POST", "sent-as=nothing"]
)
def test_finds_the_batch_if_the_response_does_not_tell(serve: Serve, make_client: MakeClient, fault: str) -> None:
    server = serve(fault)
    client = make_client()
    batch = send(client)
    listed = list(client.iterate("iter_batches"))
    assert [b.id for b in listed if b.reference == batch.reference] == [batch.id]
    assert posts(server) == 1


def test_repeats_only_what_was_refused(serve: Serve, make_client: MakeClient) -> None:
    server = serve("429@1:method=POST,retry-after=0", "503@2:method=POST")
    with pytest.raises(IP1SendUnknownError, match="It is unknown whether the SMS"):
        send(make_client())
    assert posts(server) == 2


def test_lists_batches_newest_first(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=30, page_size=7)
    client = make_client()
    ids = [send(client).id for _ in range(3)]
    newest_first = [batch.id for batch in client.iterate("iter_batches")]
    assert newest_first[:3] == ids[::-1]
    oldest_first = [batch.id for batch in client.iterate("iter_batches", order="ASC", page_size=10)]
    assert oldest_first == newest_first[::-1]
    assert len(set(newest_first)) == len(newest_first) > 30
    assert {request.query["limit"] for request in server.requests if request.method == "GET"} >= {"7", "10"}


def test_stops_listing_when_the_iterator_is_closed(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=100, page_size=10)
    batches = make_client().iterate("iter_batches")
    next(batches)
    batches.close()
    assert len(server.requests) < 10


def test_cancels_a_batch(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    client = make_client()
    batch = send(client, delivery_windows=[{"opens": datetime.now(UTC) + timedelta(days=1)}])
    assert client.call("cancel_batch", batch.id) is None
    assert server.requests[-1].method == "DELETE"


@pytest.mark.parametrize("method", ["get_batch", "cancel_batch"])
def test_a_batch_that_iP1_does_not_know(serve: Serve, make_client: MakeClient, method: str) -> None:
    serve()
    with pytest.raises(IP1NotFoundError):
        make_client().call(method, "5bcf4324f1a1d30d0c9a4aff")


@pytest.mark.parametrize(
    ("method", "arguments", "problem"),
    [
        ("get_batch", {"batch_id": ""}, "batch_id"),
        ("cancel_batch", {"batch_id": ".."}, "batch_id"),
        ("send_batch", {"recipients": NUMBER, "body": "", "sender": "iP1"}, "body"),
        ("send_batch", {"recipients": NUMBER, "body": "Hello"}, "sender"),
    ],
)
def test_checks_arguments_before_the_first_request(
    serve: Serve, make_client: MakeClient, method: str, arguments: dict[str, Any], problem: str
) -> None:
    server = serve()
    with pytest.raises(ValueError, match=problem):
        make_client().call(method, **arguments)
    assert server.requests == []


@pytest.mark.parametrize("method", ["send_batch", "send_once", "iter_batches", "get_batch", "cancel_batch"])
def test_both_hooks_take_the_same_arguments(method: str) -> None:
    sync, other = (inspect.signature(getattr(hook, method)).parameters for hook in (IP1Hook, IP1AsyncHook))
    assert list(map(str, sync.values())) == list(map(str, other.values()))
