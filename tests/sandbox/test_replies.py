# SPDX-License-Identifier: Apache-2.0
"""Recipients reply, unsubscribe, and write by themselves."""

from __future__ import annotations

import time
from datetime import datetime

import jsonschema
import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY, GENERATED, LIVE, OWN_NUMBER, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.replies import Reply
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sandbox.plain_client import SCHEMA, Client, Clock, codes_of, messages_of, send, window


def test_recipients_reply_after_the_delivery(account: Client, clock: Clock) -> None:
    account.server.replies.add("5=Ja: tack = bra", f"{EMPTY}:2=NEJ")
    send(account, recipients=[SEVEN, EMPTY])
    account.server.replies.clear()
    send(account, recipients=[SINGLE])
    clock.now += 11.9
    assert len(account.server.conversation(EMPTY)) == 1
    clock.now += 0.1
    incoming = account.get(f"/v2/conversations/{EMPTY}/mo").json()
    assert len(account.server.conversation(SEVEN)) == 8
    clock.now += 100
    incoming += account.get(f"/v2/conversations/{SEVEN}/mo", limit=1, order="DESC").json()
    assert account.get(f"/v2/conversations/{SINGLE}", order="DESC").json()[0]["direction"] == 0
    jsonschema.validate(incoming, SCHEMA)
    assert [(message["sender"], message["recipient"], message["body"]) for message in incoming] == [
        (EMPTY, OWN_NUMBER, "NEJ"),
        (SEVEN, OWN_NUMBER, "Ja: tack = bra"),
    ]
    started = 1_800_000_000
    times = [datetime.fromisoformat(message["modified"]).timestamp() for message in incoming]
    assert times == [started + 12, started + 12.5]
    assert all("price" not in message and "reference" not in message for message in incoming)
    batch = account.get(f"/v2/batches/{incoming[0]['batchId']}").json()
    assert (batch["direction"], batch["sender"], batch["body"], batch["status"]) == ("MO", EMPTY, "NEJ", 201)
    assert messages_of(account, batch) == incoming[:1]


def test_reply_goes_to_the_number_that_sent(account: Client, clock: Clock) -> None:
    account.server.replies.add("1=Ja")
    send(account, sender=GENERATED[0])
    clock.now += 100
    assert account.server.conversation(SEVEN)[-1]["recipient"] == GENERATED[0]


def test_nobody_replies_to_a_canceled_message(account: Client, clock: Clock) -> None:
    account.server.replies.add("1=Ja")
    batch = send(account, recipients=[EMPTY], deliveryWindows=[window(clock, 3600)])
    account.request("DELETE", f"/v2/batches/{batch['id']}")
    clock.now += 100_000
    assert len(account.server.conversation(EMPTY)) == 1


def test_stop_blacklists_the_recipient(account: Client, clock: Clock) -> None:
    account.server.replies.add("1= stop ")
    send(account, recipients=[SEVEN])
    clock.now += 100
    batch = send(account, recipients=[SEVEN, EMPTY])
    clock.now += 10
    assert codes_of(account, batch) == [405, 201]
    assert account.server.blacklist == {SEVEN}
    clock.now += 100
    assert len(account.get(f"/v2/conversations/{SEVEN}/mo", limit=100).json()) == 1 + sum(
        message["direction"] for message in account.server.conversation(SEVEN)[:7]
    )


def test_blacklist_can_be_changed(account: Client, clock: Clock) -> None:
    account.server.blacklist.add(EMPTY)
    batch = send(account, recipients=[EMPTY])
    clock.now += 10
    assert codes_of(account, batch) == [405]
    account.server.blacklist.clear()
    batch = send(account, recipients=[EMPTY])
    clock.now += 10
    assert codes_of(account, batch) == [201]


def test_message_can_be_received_now(account: Client) -> None:
    message_id = account.server.receive(LIVE, "Hej!")
    message = account.server.conversation(LIVE)[-1]
    assert (message["id"], message["body"], message["statuses"][0]["code"]) == (message_id, "Hej!", 201)
    account.server.receive(LIVE, "STOP")
    assert account.server.blacklist == {LIVE}


def test_server_can_send_a_template(account: Client) -> None:
    batch_id = account.server.send({SEVEN: {"x": "1"}}, body="a{x}", reference="r")
    batch = account.get(f"/v2/batches/{batch_id}").json()
    assert (batch["templated"], batch["reference"]) == (True, "r")
    assert account.server.conversation(SEVEN)[-1]["body"] == "a1"


@pytest.mark.parametrize("spec", ["", "5", "JA", "5=", "5= ", "-1=x", "abc:1=x", "x=1"])
def test_invalid_reply_is_rejected(spec: str) -> None:
    with pytest.raises(ValueError, match="is not a reply"):
        Reply.parse(spec)
    with pytest.raises(ValueError, match="is not a reply"):
        SandboxServer(replies=[spec])


def test_real_clock_delivers_too() -> None:
    with SandboxServer(messages=0, delivery_seconds=0.1, replies=["0=Ja"]) as server:
        account = Client(server)
        batch = send(account)
        deadline = time.monotonic() + 30
        while codes_of(account, batch) != [201]:
            assert time.monotonic() < deadline
        assert server.conversation(SEVEN)[-1]["body"] == "Ja"
