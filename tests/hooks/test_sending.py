# SPDX-License-Identifier: Apache-2.0
"""Sending with both hooks: what leads to a second request, and what an error knows about the first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.client import send_once
from airflow_provider_ip1.exceptions import IP1ParticipantError, IP1ReferenceError, IP1SendUnknownError
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.api.test_phone import NOT_A_NUMBER
from tests.hooks.hook_clients import Client
from tests.operators.sent_batches import NUMBER, OTHER, TEXT, posts

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_once, "PAUSES", (0.05, 0.1))


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
