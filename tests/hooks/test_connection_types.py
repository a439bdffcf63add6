# SPDX-License-Identifier: Apache-2.0
"""The password of another service's connection never leaves Airflow, whatever is given its id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.exceptions import IP1ConnectionError
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.notifications.ip1 import IP1Notifier
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from tests.hooks.hook_clients import CONN_ID, Client, RawServer, send

MakeClient = Callable[..., Client]
SECRET = "wJalrXUtnFEMI-of-another-service"


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(send) as server:
        yield server
    assert server.seen == []


def connect(monkeypatch: pytest.MonkeyPatch, url: str, conn_type: str | None) -> None:
    connection = {"login": "AKIA", "password": SECRET, "host": url}
    if conn_type is not None:
        connection["conn_type"] = conn_type
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))


OUTGOING = OutgoingBatch(recipients="46701740605", body="hello", sender="iP1", reference="a")
CALLS: dict[str, Callable[[Client], object]] = {
    "iter_messages": lambda client: next(client.iterate("iter_messages", MAIN)),
    "iter_pages": lambda client: next(client.iterate("iter_pages", MAIN)),
    "iter_pages_of": lambda client: next(client.iterate("iter_pages_of", [MAIN])),
    "iter_batch_messages": lambda client: next(client.iterate("iter_batch_messages", "b")),
    "iter_batch_pages": lambda client: next(client.iterate("iter_batch_pages")),
    "iter_participants": lambda client: next(client.iterate("iter_participants")),
    "iter_batches": lambda client: next(client.iterate("iter_batches")),
    "iter_senders": lambda client: next(client.iterate("iter_senders")),
    "iter_blacklist": lambda client: next(client.iterate("iter_blacklist")),
    "get_summary": lambda client: client.call("get_summary", MAIN),
    "get_message": lambda client: client.call("get_message", "b", "m"),
    "get_batch": lambda client: client.call("get_batch", "b"),
    "cancel_batch": lambda client: client.call("cancel_batch", "b"),
    "send_batch": lambda client: client.call("send_batch", recipients="46701740605", body="hello", sender="iP1"),
    "send_once": lambda client: client.call("send_once", OUTGOING),
    "get_conn": lambda client: client.call("get_conn"),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_method_of_a_hook(
    server: RawServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    connect(monkeypatch, server.url, "aws")
    with pytest.raises(IP1ConnectionError, match="'ip1_test' has the type 'aws', not 'ip1'.*conn_type"):
        CALLS[call](make_client())


@pytest.mark.parametrize("conn_type", ["aws", "postgres", "http", "https", "generic", "IP1", "", None])
def test_every_other_type(
    server: RawServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, conn_type: str | None
) -> None:
    connect(monkeypatch, server.url, conn_type)
    client = make_client()
    found = f"the type '{conn_type}'" if conn_type else "no type"
    with pytest.raises(IP1ConnectionError, match=f"^Connection 'ip1_test' has {found}, not 'ip1'") as caught:
        client.call("get_summary", MAIN)
    worked, text = client.call("test_connection")
    assert not worked and f"This connection has {found}, not 'ip1'" in text and SECRET not in text
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["aws://AKIA:{}@127.0.0.1:{}", "postgres://me:{}@127.0.0.1:{}", "http://:{}@127.0.0.1:{}/http"]
)
def test_connections_in_uri_form(
    server: RawServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", uri.format(SECRET, server.port))
    with pytest.raises(IP1ConnectionError, match="not 'ip1'"):
        make_client().call("get_summary", MAIN)


def notify(*, is_async: bool) -> object:
    notifier = IP1Notifier(body="hello", recipients="46701740605", sender="iP1", ip1_conn_id=CONN_ID)
    return asyncio.run(notifier.async_notify({})) if is_async else notifier.notify({})


SMS: dict[str, Any] = {"task_id": "t", "ip1_conn_id": CONN_ID}
OBJECT: dict[str, Any] = {"s3_bucket": "lake", "s3_key": "a.jsonl"}
TASKS: dict[str, Callable[[], object]] = {
    "SendSmsOperator": lambda: SendSmsOperator(recipients="46701740605", body="hello", sender="iP1", **SMS).execute({}),
    "ConversationToS3Operator": lambda: ConversationToS3Operator(participant=MAIN, **OBJECT, **SMS).execute({}),
    "MessagesToS3Operator": lambda: MessagesToS3Operator(**OBJECT, **SMS).execute({}),
    "export_conversations": lambda: export_conversations(MAIN, **OBJECT, ip1_conn_id=CONN_ID),
    "export_conversations-hook": lambda: export_conversations(MAIN, **OBJECT, hook=IP1Hook(CONN_ID)),
    "MessageStatusSensor": lambda: MessageStatusSensor(batch_id="b", **SMS).execute({}),
    "IncomingSmsSensor": lambda: IncomingSmsSensor(participant=MAIN, **SMS).execute({}),
    "MessageStatusSensor-deferrable": lambda: MessageStatusSensor(batch_id="b", deferrable=True, **SMS).execute({}),
    "IncomingSmsSensor-deferrable": lambda: IncomingSmsSensor(participant=MAIN, deferrable=True, **SMS).execute({}),
    "notify": lambda: notify(is_async=False),
    "async_notify": lambda: notify(is_async=True),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task(server: RawServer, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    connect(monkeypatch, server.url, "aws")
    with pytest.raises(IP1ConnectionError, match="'ip1_test' has the type 'aws', not 'ip1'"):
        TASKS[task]()
