# SPDX-License-Identifier: Apache-2.0
"""Sending with both hooks: what leads to a second request, and what an error knows about the first."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.client import batch_search
from airflow_provider_ip1.exceptions import IP1ParticipantError, IP1ReferenceError, IP1SendUnknownError
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.api.test_phone import NOT_A_NUMBER
from tests.hooks.hook_clients import Client, RawServer, SyncClient, send as send_response
from tests.operators.sent_batches import NUMBER, OTHER, TEXT, posts

Connect = Callable[..., str]
Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_search, "PAUSES", (0.05, 0.1))


def send(client: Client, **arguments: Any) -> Any:
    return client.call("send_batch", **{"recipients": NUMBER, "body": TEXT, "sender": "iP1"} | arguments)


@pytest.mark.parametrize("fault", ["truncate", "truncate:chunked=yes", "badjson", "html", "empty"])
def test_the_error_knows_that_the_server_has_accepted(serve: Serve, make_client: MakeClient, fault: str) -> None:
    server = serve(f"{fault}{',' if ':' in fault else ':'}method=POST", "list-lag=60", max_attempts=4)
    with pytest.raises(IP1SendUnknownError) as raised:
        send(make_client())
    assert raised.value.was_accepted
    assert posts(server) == 1


@pytest.mark.parametrize("fault", ["500", "404:body=text", "404", "408", "reset", "close", "redirect:to=/x,status=307"])
def test_an_unknown_outcome_is_not_repeated(serve: Serve, make_client: MakeClient, fault: str) -> None:
    server = serve(f"{fault}{',' if ':' in fault else ':'}method=POST", max_attempts=4)
    with pytest.raises(IP1SendUnknownError) as raised:
        send(make_client())
    assert not raised.value.was_accepted
    assert posts(server) == 1


@pytest.mark.parametrize("fault", ["500", "404:body=text", "404", "408", "reset", "close"])
def test_a_batch_that_was_accepted_is_found(serve: Serve, make_client: MakeClient, fault: str) -> None:
    server = serve(f"{fault}{',' if ':' in fault else ':'}accepted=yes,method=POST", max_attempts=4)
    assert send(make_client(), reference="order-17").reference == "order-17"
    assert posts(server) == 1


def test_the_reference_of_a_batch_has_32_characters(serve: Serve, make_client: MakeClient) -> None:
    serve("cut-reference=32")
    client = make_client()
    references = {send(client).reference for _ in range(2)}
    assert [len(reference) for reference in references] == [32, 32]


def test_looks_for_what_an_earlier_try_has_sent(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    client = make_client()
    arguments: dict[str, Any] = {"recipients": [NUMBER, OTHER], "body": "x" * 200, "sender": "iP1", "reference": "17"}
    first = client.call("send_once", OutgoingBatch(**arguments), check_sent=True)
    again = client.call("send_once", OutgoingBatch(**arguments | {"body": "short"}), check_sent=True)
    assert (first.reused, first.recipients, first.segments) == (False, 2, 2)
    assert (again.reused, again.recipients, again.segments, again.batch.id) == (True, 2, 2, first.batch.id)
    with pytest.raises(IP1ReferenceError, match="has another text"):
        client.call("send_once", OutgoingBatch(**arguments | {"body": "short"}), check_sent=True, is_mapped=True)
    with pytest.raises(IP1ReferenceError, match="has other recipients"):
        client.call("send_once", OutgoingBatch(**arguments | {"recipients": OTHER}), check_sent=True)
    server.faults.add("503:method=GET")
    with pytest.raises(IP1SendUnknownError, match="whether an earlier try has sent"):
        client.call("send_once", OutgoingBatch(**arguments), check_sent=True)
    assert posts(server) == 1


def test_only_what_is_clearly_one_number_is_requested(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    client = make_client()
    for written in NOT_A_NUMBER:
        for ask in (
            partial(client.call, "get_summary", written),
            lambda written=written: list(client.iterate("iter_messages", written)),
            lambda written=written: list(client.iterate("iter_pages_of", [NUMBER, written])),
            partial(send, client, recipients=[NUMBER, written]),
        ):
            with pytest.raises(IP1ParticipantError, match="is not a phone number|digits"):
                ask()
    assert server.requests == []


def test_a_batch_whose_messages_are_not_listed_yet_may_be_the_one(connect: Connect, make_client: MakeClient) -> None:
    """Another reference would send the SMS again, so the error does not ask for one."""
    batch = {"id": "b1", "reference": "order-17", "sender": "iP1", "direction": "mt", "body": TEXT}

    def answer(request: BaseHTTPRequestHandler) -> None:
        send_response(request, body=json.dumps([] if "/b1/" in request.path else [batch]).encode())

    outgoing = OutgoingBatch(recipients=NUMBER, body=TEXT, sender="iP1", reference="order-17")
    with RawServer(answer) as server:
        connect(server.url)
        with pytest.raises(IP1SendUnknownError, match="This try has sent nothing.*no messages of it yet"):
            make_client().call("send_once", outgoing, check_sent=True)


@pytest.mark.parametrize(
    "head",
    [
        b"201 Created\r\nContent-Length: many\r\n\r\n",
        b"200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        b"202 Accepted\r\nno colon\r\n\r\n",
        b"201 Created\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n",
        b"201 Created\r\nContent-Type: application/json\r\n",
        b"201 Created\r\n",
    ],
)
def test_a_2xx_counts_as_accepted_although_its_headers_cannot_be_read(connect: Connect, head: bytes) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.command == "GET":
            return send_response(request)
        request.rfile.read(int(request.headers["Content-Length"]))
        request.close_connection = True
        request.wfile.write(b"HTTP/1.1 " + head)

    with RawServer(answer) as server, closing(SyncClient()) as client:
        connect(server.url, max_attempts=4)
        with pytest.raises(IP1SendUnknownError) as raised:
            send(client)
    assert raised.value.was_accepted


@pytest.mark.parametrize("handled", [ConnectionRefusedError(111, "another server"), socket.gaierror(-2, "a name")])
def test_an_error_that_the_caller_handles_does_not_prove_that_nothing_was_sent(
    serve: Serve, make_client: MakeClient, handled: OSError
) -> None:
    """Such as an alert in the ``except`` of a task that cannot reach its database."""
    server = serve("close:method=POST", max_attempts=4)
    client = make_client()
    with pytest.raises(IP1SendUnknownError) as raised:
        try:
            raise handled
        except OSError:
            send(client)
    assert posts(server) == 1
    assert "another server" not in str(raised.value)


@pytest.mark.parametrize(
    ("sender", "warning"),
    [
        ("iP1sms", ""),
        ("Verkstaden", ""),
        ("Backup", ' Warning about "Sender": Sender Backup is not registered. Registered senders: '),
        (NUMBER, ' Warning about "Sender": Sender 46***05 is not registered. Registered senders: '),
    ],
)
def test_the_test_of_a_connection_warns_about_a_sender_that_is_not_registered(
    serve: Serve, make_client: MakeClient, sender: str, warning: str
) -> None:
    server = serve(sender=sender)
    worked, text = make_client().call("test_connection")
    assert worked
    begin = f"{server.url} accepted the API key."
    assert text.startswith(begin + warning) if warning else text == begin
    assert NUMBER not in text
