# SPDX-License-Identifier: Apache-2.0
"""Responses that are not iP.1's: they must never pass for "no messages" or for the end of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.request import Request, urlopen

import pytest

from airflow_provider_ip1.exceptions import (
    IP1ConnectionError,
    IP1NotFoundError,
    IP1PagingError,
    IP1ParticipantError,
    IP1ResponseError,
)
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import Client, RawServer, send

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]
Connect = Callable[..., str]


def not_found(body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda request: send(request, 404, body, **headers)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"title": "Not Found"}'])
def test_a_server_that_has_no_path_of_iP1_is_not_an_empty_account(
    connect: Connect, make_client: MakeClient, body: bytes
) -> None:
    with RawServer(not_found(body)) as server:
        connect(server.url)
        client = make_client()
        for call in (
            lambda: list(client.iterate("iter_messages", MAIN)),
            lambda: client.call("get_summary", MAIN),
            lambda: client.call("get_message", "b", "m"),
        ):
            with pytest.raises(IP1ConnectionError, match="does not seem to be iP.1's API") as caught:
                call()
            assert server.url in str(caught.value)
        worked, text = client.call("test_connection")
    assert not worked and server.url in text


def test_a_404_for_batches_is_no_proof_against_iP1(connect: Connect, make_client: MakeClient) -> None:
    """An account without batches may answer 404 there, so the senders decide."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        send(request, 200 if request.path.startswith("/v2/me/senders") else 404)

    with RawServer(respond) as server:
        connect(server.url)
        client = make_client()
        assert list(client.iterate("iter_messages", MAIN)) == []
        assert client.call("test_connection")[0]
        with pytest.raises(IP1NotFoundError):
            client.call("get_message", "b", "m")
    paths = [path.partition("?")[0] for path, _ in server.seen]
    assert paths[:3] == [f"/v2/conversations/{MAIN}", "/v2/batches", "/v2/me/senders"]


@pytest.mark.parametrize("control", [b"<html>", b'{"batches": []}', b"null", b""])
def test_only_an_array_proves_that_the_server_is_iP1(connect: Connect, make_client: MakeClient, control: bytes) -> None:
    def respond(request: BaseHTTPRequestHandler) -> None:
        is_control = request.path.startswith(("/v2/batches", "/v2/me"))
        send(request, 200 if is_control else 404, control if is_control else b"")

    with RawServer(respond) as server:
        connect(server.url, max_attempts=2)
        with pytest.raises(IP1ResponseError):
            list(make_client().iterate("iter_messages", MAIN))


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/V2"])
def test_a_base_url_that_ends_in_v2_is_corrected(
    serve: Serve, make_client: MakeClient, connect: Connect, path: str
) -> None:
    server = serve()
    connect(server.url + path)
    client = make_client()
    assert client.call("test_connection")[0]
    assert len(list(client.iterate("iter_messages", SEVEN))) == 7


@contextmanager
def failing_over(sandbox: SandboxServer, instead: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[RawServer]:
    """Pass five requests on to the sandbox. From the 6th on, another server responds."""
    requests = 0

    def respond(request: BaseHTTPRequestHandler) -> None:
        nonlocal requests
        requests += 1
        if requests > 5:
            instead(request)
            return
        passed_on = Request(sandbox.url + request.path, headers={"Authorization": request.headers["Authorization"]})
        with urlopen(passed_on) as response:
            send(request, 200, response.read(), Link=response.headers["Link"])

    with RawServer(respond) as server:
        yield server


def test_an_ingress_that_takes_over_ends_in_an_error(connect: Connect, make_client: MakeClient) -> None:
    instead = not_found(b"default backend - 404", Content_Type="text/plain")
    read = 0
    with SandboxServer(messages=300) as sandbox, failing_over(sandbox, instead) as server:
        connect(server.url, max_attempts=2)
        with pytest.raises(IP1ResponseError, match="does not come from iP.1's API"):
            for _ in make_client().iterate("iter_messages", MAIN, page_size=20):
                read += 1
    assert 0 < read < 300


@pytest.mark.parametrize("status", [200, 404])
def test_an_empty_list_after_messages_is_an_error(connect: Connect, make_client: MakeClient, status: int) -> None:
    """A cache or a wrong backend that lists nothing any more must not end the list."""
    instead = lambda request: send(request, status)  # noqa: E731
    with SandboxServer(messages=300) as sandbox, failing_over(sandbox, instead) as server:
        connect(server.url)
        with pytest.raises(IP1PagingError, match="had listed rows before"):
            list(make_client().iterate("iter_messages", MAIN, page_size=20))


@pytest.mark.parametrize("number", ["070-174 06 05", "0701740605", "(0)70-174 06 05"])
def test_a_number_without_country_code_is_refused_before_any_request(
    serve: Serve, make_client: MakeClient, number: str
) -> None:
    server = serve()
    client = make_client()
    with pytest.raises(IP1ParticipantError, match="country code"):
        list(client.iterate("iter_messages", number))
    with pytest.raises(IP1ParticipantError, match="country code"):
        client.call("get_summary", number)
    assert server.requests == []


def test_international_notations_read_the_conversation(serve: Serve, make_client: MakeClient) -> None:
    serve()
    client = make_client()
    for number in (f"00{SEVEN}", f"+46 (0){SEVEN[2:]}", f"0046-{SEVEN[2:]}"):
        assert len(list(client.iterate("iter_messages", number))) == 7
    assert list(client.iterate("iter_messages", EMPTY)) == []
