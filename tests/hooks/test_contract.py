# SPDX-License-Identifier: Apache-2.0
"""What the hooks promise to DAG authors, against the sandbox, for both hooks alike."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests

from airflow_provider_ip1 import __version__
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1NotFoundError,
    IP1ParticipantError,
)
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, NAME, NAME_WITH_SPACE, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import CONN_ID, Client, RawServer, SyncClient, send

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]


def raws(messages: list[Message]) -> list[bytes]:
    return [bytes(message.raw_json) for message in messages]


@pytest.mark.parametrize("direction", [None, "mt", "mo"])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_all_messages_in_order_byte_for_byte(
    serve: Serve, make_client: MakeClient, direction: str | None, order: str
) -> None:
    server = serve(messages=130)
    got = list(make_client().iterate("iter_messages", MAIN, direction=direction, order=order, page_size=20))
    there = server.conversation_bytes(MAIN, direction)
    assert raws(got) == (there if order == "ASC" else there[::-1])
    if direction is not None:
        assert {message.direction for message in got} == {direction}
    asked = [request for request in server.requests if request.path.startswith("/v2/conversations/")]
    assert {request.path for request in asked} == {f"/v2/conversations/{MAIN}" + (f"/{direction}" if direction else "")}
    assert {request.query["order"] for request in asked} == {order}


def test_pages_are_numbered_and_hold_each_row_once(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=75)
    pages = list(make_client().iterate("iter_pages", f"+{MAIN}", page_size=20))
    assert [page.number for page in pages] == list(range(len(pages)))
    assert [bytes(raw) for page in pages for raw in page.raws] == server.conversation_bytes()
    assert {page.participant for page in pages} == {MAIN}
    assert [message.id for page in pages for message in page.messages] == [key for page in pages for key in page.ids]


@pytest.mark.parametrize("participant", [NAME, NAME_WITH_SPACE, SEVEN, "+46 70-174 06 06"])
def test_participants_of_all_sorts(serve: Serve, make_client: MakeClient, participant: str) -> None:
    server = serve()
    got = raws(list(make_client().iterate("iter_messages", participant)))
    assert got and got == server.conversation_bytes(SEVEN if participant.startswith("+") else participant)


def test_an_empty_conversation_ends_at_once(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    client = make_client()
    assert list(client.iterate("iter_messages", EMPTY)) == []
    # The first 404 counts only once the server has shown that it is iP.1's API.
    assert [(request.path, request.status) for request in server.requests] == [
        (f"/v2/conversations/{EMPTY}", 404),
        ("/v2/batches", 200),
    ]
    assert list(client.iterate("iter_messages", EMPTY)) == []
    assert len(server.requests) == 3


def test_seven_messages_cost_one_request(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    assert len(list(make_client().iterate("iter_messages", SEVEN))) == 7
    assert len(server.requests) == 1


def test_summary(serve: Serve, make_client: MakeClient) -> None:
    serve(messages=60)
    client = make_client()
    summary = client.call("get_summary", MAIN)
    assert (summary.participant, summary.total_messages) == (MAIN, 60)
    counts = [*summary.mobile_terminated.values(), *summary.mobile_originated.values()]
    assert sum(count.messages for count in counts) == 60
    nobody = client.call("get_summary", EMPTY)
    assert (nobody.participant, nobody.total_messages, nobody.total_sms) == (EMPTY, 0, 0)


def test_batches_and_single_messages(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    batch_id = server.send([SEVEN, EMPTY], body="Hej!", reference="order-7")
    client = make_client()
    sent = list(client.iterate("iter_batch_messages", batch_id, page_size=1))
    assert {message.recipient for message in sent} == {SEVEN, EMPTY}
    assert [message.id for message in client.iterate("iter_batch_messages", batch_id, order="DESC")] == [
        message.id for message in reversed(sent)
    ]
    one = client.call("get_message", batch_id, sent[0].id)
    assert (one.id, one.batch_id, one.body, one.reference) == (sent[0].id, batch_id, "Hej!", "order-7")
    assert one.price is None or isinstance(one.price, Decimal)
    assert list(client.iterate("iter_batch_messages", "0" * 24)) == []
    with pytest.raises(IP1NotFoundError):
        client.call("get_message", batch_id, "0" * 24)


def test_test_connection(serve: Serve, make_client: MakeClient, connect: Callable[..., str]) -> None:
    server = serve()
    worked, text = make_client().call("test_connection")
    assert worked and server.url in text
    server.key = "another"
    worked, text = make_client().call("test_connection")
    assert not worked and "401" in text and "sandbox-key" not in text
    assert len(server.requests) == 2
    connect("http://api.example")
    worked, text = make_client().call("test_connection")
    assert not worked and "Allow http" in text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"participant": ""}, IP1ParticipantError),
        ({"participant": ".."}, IP1ParticipantError),
        ({"participant": MAIN, "direction": "in"}, ValueError),
        ({"participant": MAIN, "order": "random"}, ValueError),
        ({"participant": MAIN, "page_size": 0}, ValueError),
        ({"participant": MAIN, "page_size": 10_001}, ValueError),
        ({"participant": MAIN, "concurrency": 65}, ValueError),
        ({"participant": MAIN, "concurrency": True}, ValueError),
    ],
)
def test_bad_arguments_are_refused_at_the_call(
    serve: Serve, make_client: MakeClient, arguments: dict[str, Any], error: type[Exception]
) -> None:
    server = serve()
    client = make_client()
    for method in ("iter_messages", "iter_pages"):
        with pytest.raises(error):
            client.iterate(method, **arguments)
    assert not server.requests


@pytest.mark.parametrize("ids", [("", "m"), ("b", ".."), ("b", "a\nb")])
def test_bad_ids_are_refused_before_any_request(serve: Serve, make_client: MakeClient, ids: tuple[str, str]) -> None:
    server = serve()
    with pytest.raises(ValueError, match="^(batch|message)_id "):
        make_client().call("get_message", *ids)
    assert not server.requests


@pytest.mark.parametrize(
    "setting",
    [{"timeout": 0}, {"page_size": 0}, {"concurrency": 65}, {"max_attempts": 21}, {"requests_per_second": -1}],
)
@pytest.mark.parametrize("hook_type", [IP1Hook, IP1AsyncHook])
def test_bad_hook_arguments(hook_type: type[IP1Hook] | type[IP1AsyncHook], setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        hook_type(CONN_ID, **setting)


@pytest.mark.parametrize("name", ["verify", "sender", "api_key", "pagesize"])
@pytest.mark.parametrize("hook_type", [IP1Hook, IP1AsyncHook])
def test_a_hook_takes_no_other_settings(hook_type: type[IP1Hook] | type[IP1AsyncHook], name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{hook_type.__name__}\(\) .*'{name}'"):
        hook_type(CONN_ID, **{name: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["iter_messages", "iter_pages", "iter_pages_of", "iter_batch_pages"])
def test_a_method_takes_no_other_options(serve: Serve, make_client: MakeClient, method: str) -> None:
    server = serve()
    arguments = () if method == "iter_batch_pages" else (MAIN,)
    with pytest.raises(TypeError, match="'limit'"):
        make_client().iterate(method, *arguments, limit=5)
    assert server.requests == []


@pytest.mark.parametrize("hook_type", [IP1Hook, IP1AsyncHook])
def test_a_hook_looks_nothing_up_before_it_is_used(hook_type: type[IP1Hook] | type[IP1AsyncHook]) -> None:
    hook_type("no_such_connection")


def test_arguments_win_over_extras_and_extras_over_defaults(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=30, page_size=7)
    list(make_client().iterate("iter_messages", MAIN))
    list(make_client(page_size=9).iterate("iter_messages", MAIN))
    list(make_client(page_size=9).iterate("iter_messages", MAIN, page_size=11))
    limits = [request.query["limit"] for request in server.requests]
    assert list(dict.fromkeys(limits)) == ["7", "9", "11"]


def test_unknown_extras_are_named_in_one_warning(
    serve: Serve, make_client: MakeClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(pagesize=7, retries=3)
    client = make_client()
    list(client.iterate("iter_messages", SEVEN))
    client.call("get_summary", SEVEN)
    if not isinstance(client, SyncClient):
        client.call("reload_connection")
    # Airflow's own loggers write to stdout on Airflow 3 and to the root logger on Airflow 2, which may write there too.
    printed = capsys.readouterr().out
    told = printed if "has extras" in printed else caplog.text
    (warning,) = [line for line in told.splitlines() if "has extras" in line]
    assert "pagesize, retries" in warning and CONN_ID in warning


def test_a_connection_as_uri(serve: Serve, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(messages=30)
    host = f"127.0.0.1:{server.port}/http"
    uri = f"ip1://:sandbox-key@{host}?page_size=12&timeout=%5B5%2C+20%5D&requests_per_second=0&verify=True"
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", uri)
    assert len(list(make_client().iterate("iter_messages", MAIN))) == 30
    assert server.requests[0].query["limit"] == "12"


def test_bad_settings_are_an_error_that_names_extra_and_connection(serve: Serve, make_client: MakeClient) -> None:
    server = serve(page_size="many")
    with pytest.raises(IP1ConnectionError, match=f"'{CONN_ID}'.*'page_size'"):
        list(make_client().iterate("iter_messages", MAIN))
    assert not server.requests


def test_what_a_request_carries(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    list(make_client().iterate("iter_messages", SEVEN))
    headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
    airflow = importlib.metadata.version("apache-airflow")
    assert headers["user-agent"] == f"airflow-provider-ip1/{__version__} (Airflow {airflow})"
    assert "gzip" in headers["accept-encoding"]
    assert "application/json" in headers["accept"]
    assert "content-type" not in headers
    assert server.requests[0].had_key


def test_compressed_answers(connect: Callable[..., str], make_client: MakeClient) -> None:
    with SandboxServer(messages=300, compress=True) as server:
        connect(server.url)
        got = raws(list(make_client().iterate("iter_messages", MAIN)))
        assert got == server.conversation_bytes()


def test_the_session_is_one_and_the_same(serve: Serve) -> None:
    serve()
    hook = IP1Hook(CONN_ID)
    session = hook.get_conn()
    assert isinstance(session, requests.Session) and hook.get_conn() is session
    list(hook.iter_messages(SEVEN))
    assert hook.get_conn() is session
    hook.close()
    assert [message.id for message in hook.iter_messages(SEVEN)]


def test_the_session_gives_the_key_to_no_other_server(connect: Callable[..., str]) -> None:
    with RawServer(send) as server, RawServer(send) as other:
        connect(server.url)
        session = IP1Hook(CONN_ID).get_conn()
        for url in (f"{server.url}/v2/me/senders", other.url, f"http://localhost:{server.port}/"):
            assert session.get(url, timeout=10).ok
    assert [headers.get("authorization") for _, headers in server.seen] == ["Bearer sandbox-key", None]
    assert [headers.get("authorization") for _, headers in other.seen] == [None]


def test_a_key_that_was_changed_is_taken_on_reload(serve: Serve, connect: Callable[..., str]) -> None:
    from tests.hooks.hook_clients import AsyncClient

    server = serve()
    client = AsyncClient()
    try:
        client.call("get_summary", SEVEN)
        session = client.call("get_conn")
        client.call("reload_connection")
        assert client.call("get_conn") is session
        server.key = "new-key"
        connect(server.url, password="new-key")
        with pytest.raises(IP1AuthError):
            client.call("get_summary", SEVEN)
        client.call("reload_connection")
        assert client.call("get_summary", SEVEN).total_messages == 7
    finally:
        client.close()


def test_requests_are_counted(serve: Serve, make_client: MakeClient) -> None:
    server = serve("503@1")
    client = make_client()
    list(client.iterate("iter_messages", SEVEN))
    assert (client.hook.requests_sent, client.hook.retries) == (len(server.requests), 1)
    server.key = "another"
    with pytest.raises(IP1AuthError):
        client.call("get_summary", SEVEN)
    assert client.hook.requests_sent == len(server.requests)
