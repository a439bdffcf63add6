# SPDX-License-Identifier: Apache-2.0
"""Sent batches: their messages, how the account lists them, and when they can be canceled."""

from __future__ import annotations

from datetime import datetime

import jsonschema
import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from tests.sandbox.plain_client import ORDER, SCHEMA, Client, Clock, codes_of, errors_of, messages_of, send, window


def test_sent_messages_appear_in_batch_and_conversation(account: Client) -> None:
    batch = send(account, recipients=[SEVEN, EMPTY], reference="r1")
    messages = messages_of(account, batch)
    jsonschema.validate(messages, SCHEMA)
    assert [(m["recipient"], m["sender"], m["body"], m["reference"]) for m in messages] == [
        (SEVEN, "Skolan", "Välkommen 🎂", "r1"),
        (EMPTY, "Skolan", "Välkommen 🎂", "r1"),
    ]
    assert account.server.conversation(SEVEN)[-1] == messages[0]
    assert account.server.conversation(EMPTY) == messages[1:]
    assert account.get(f"/v2/conversations/{EMPTY}/summary").json()["mobileTerminatedMessages"] == {
        "101": {"messages": 1, "sms": 1}
    }


def test_messages_pass_through_their_statuses(account: Client, clock: Clock) -> None:
    batch = send(account)
    seen = []
    for _ in range(12):
        seen += codes_of(account, batch)
        clock.now += 1
    assert list(dict.fromkeys(seen)) == [101, 102, 110, 112, 201]
    (message,) = messages_of(account, batch)
    history = account.get(f"/v2/batches/{batch['id']}/messages/{message['id']}").json()["statuses"]
    assert [(status["code"], status["duration"]) for status in history] == [
        (101, 0), (102, 0), (110, 0), (112, 0), (201, 1)
    ]  # fmt: skip


def test_batch_has_the_documented_fields(account: Client, clock: Clock) -> None:
    order = {
        "recipients": [SEVEN, EMPTY], "type": "Flash", "datacoding": "UCS", "priority": 2, "reference": "r2",
        "tags": ["a", "b"], "deliveryReportUrl": "https://example.com/dlr",
    }  # fmt: skip
    batch = send(account, **order)
    expected = {
        "sender": "Skolan", "body": "Välkommen 🎂", "owner": "ip1-00000", "direction": "MT", "type": "flash",
        "datacoding": "ucs", "priority": 2, "templated": False, "deliveryWindows": [], "status": 101,
        "reference": "r2", "tags": ["a", "b"], "deliveryReportUrl": "https://example.com/dlr",
    }  # fmt: skip
    summaries = {
        "priceSummary": {"total": 0.9, "currency": "SEK", "average": 0.45},
        "messageSummary": {"101": {"messages": 2, "sms": 2}},
    }
    assert batch == {"id": batch["id"], **expected, **summaries}
    assert account.get(f"/v2/batches/{batch['id']}").json() == batch
    assert account.get("/v2/batches", order="DESC", limit=1).json() == [{"id": batch["id"], **expected}]
    assert {(message["type"], message["priority"]) for message in messages_of(account, batch)} == {(0, 2)}
    clock.now += 10
    later = account.get(f"/v2/batches/{batch['id']}").json()
    assert (later["status"], later["messageSummary"]) == (201, {"201": {"messages": 2, "sms": 2}})


def test_left_out_fields_have_the_documented_defaults(account: Client) -> None:
    batch = send(account)
    names = ("type", "datacoding", "priority", "templated", "deliveryWindows", "reference", "tags")
    assert [batch[name] for name in names] == ["sms", "ucs", 1, False, [], None, []]
    assert send(account, priority=None, type=None)["priority"] == 1
    assert "deliveryReportUrl" not in batch


def test_template_gets_values_of_recipient_then_default_then_stays(account: Client) -> None:
    batch = send(
        account,
        body="Hej {name}! {greeting} {unknown} {}",
        recipients={SEVEN: {"name": "Åsa"}, EMPTY: {}, "default": {"name": "du", "greeting": "Tack!"}},
    )
    assert (batch["templated"], batch["body"]) == (True, "Hej {name}! {greeting} {unknown} {}")
    assert {message["recipient"]: message["body"] for message in messages_of(account, batch)} == {
        SEVEN: "Hej Åsa! Tack! {unknown} {}",
        EMPTY: "Hej du! Tack! {unknown} {}",
    }


def test_placeholder_that_only_others_have_is_empty(account: Client) -> None:
    """As iP.1 documents for version 1."""
    batch = send(account, body="Hej {name}{nobody}!", recipients={SEVEN: {"name": "Åsa"}, EMPTY: {}})
    assert {message["recipient"]: message["body"] for message in messages_of(account, batch)} == {
        SEVEN: "Hej Åsa{nobody}!",
        EMPTY: "Hej {nobody}!",
    }


def test_repeated_recipient_gets_one_message(account: Client) -> None:
    assert len(messages_of(account, send(account, recipients=[SEVEN, SEVEN]))) == 1


def test_gsm_rejects_text_that_needs_ucs(account: Client) -> None:
    order = {**ORDER, "datacoding": "gsm"}
    assert errors_of(account.post(order)) == ["body"]
    assert send(account, body="Hej {}", datacoding="gsm")["datacoding"] == "gsm"
    template = {"body": "Hej {name}", "recipients": {SEVEN: {"name": "🎂"}, EMPTY: {"name": "Bo"}}}
    assert errors_of(account.post({**order, **template})) == ["body"]


# The list of batches


def test_account_lists_the_batch_of_every_message(account: Client) -> None:
    send(account)
    listed = account.get("/v2/batches", limit=1000).json()
    ids = [batch["id"] for batch in listed]
    assert len(set(ids)) == len(ids)
    expected = set()
    for participant in list(account.server.sandbox.store.conversations):
        expected |= {message["batchId"] for message in account.server.conversation(participant)}
    assert set(ids) == expected
    found = [message["id"] for batch in listed for message in messages_of(account, batch)]
    assert len(set(found)) == len(found) == 20 + 7 + 1 + 12 + 3 + 128 + 1


def test_listed_batch_agrees_with_its_messages(account: Client) -> None:
    for listed in account.get("/v2/batches", limit=43).json():
        (message,) = messages_of(account, listed)
        whole = account.get(f"/v2/batches/{listed['id']}").json()
        assert {**listed, "priceSummary": whole["priceSummary"], "messageSummary": whole["messageSummary"]} == whole
        code = message["statuses"][0]["code"]
        assert whole["messageSummary"] == {str(code): {"messages": 1, "sms": message["segments"]}}
        assert (listed["status"], listed["sender"], listed["body"]) == (code, message["sender"], message["body"])
        assert listed["direction"] == ("MO" if message["direction"] else "MT")
        assert listed["reference"] == message.get("reference")
        assert whole["priceSummary"]["total"] == message.get("price", 0)


def test_batches_are_listed_by_creation_and_paged(account: Client) -> None:
    whole = [batch["id"] for batch in account.get("/v2/batches", limit=1000).json()]
    demo = [batch_id for batch_id, _ in DEMO_BATCHES.values()]
    assert whole[-len(demo) :] == demo
    created = [int(batch_id[:8], 16) for batch_id in whole[: -len(demo)]]
    assert created == sorted(created)
    assert len(account.get("/v2/batches").json()) == 50
    pages = [account.get("/v2/batches", start=start, limit=20).json() for start in range(0, len(whole), 20)]
    assert [batch["id"] for page in pages for batch in page] == whole
    newest = account.get("/v2/batches", order="DESC", limit=5)
    assert [batch["id"] for batch in newest.json()] == whole[:-6:-1]
    assert "start=5&limit=5&order=DESC" in newest.links["next"]["url"]


def test_list_follows_changes(account: Client) -> None:
    before = {batch["id"] for batch in account.get("/v2/batches", limit=1000).json()}
    account.server.insert(count=2)
    account.server.delete(count=1)
    sent, received = send(account)["id"], account.server.receive(SEVEN, "Ja")
    after = {batch["id"] for batch in account.get("/v2/batches", limit=1000).json()}
    assert len(after - before) == 4
    assert len(before - after) == 1
    assert {sent, account.server.conversation(SEVEN)[-1]["batchId"]} < after - before
    assert account.server.conversation(SEVEN)[-1]["id"] == received


def test_unknown_batch_is_404(account: Client) -> None:
    for batch_id in ("69000000c0000000000000ff", "nothing", "6900000fb00000000000000f"):
        assert account.get(f"/v2/batches/{batch_id}").status_code == 404
        assert account.request("DELETE", f"/v2/batches/{batch_id}").status_code == 404


def test_senders_are_an_alphabetical_list(account: Client) -> None:
    senders = account.get("/v2/me/senders").json()
    assert [set(sender) for sender in senders] == [{"sender", "created"}] * len(senders)
    names = [sender["sender"] for sender in senders]
    assert names == sorted(names) and len(names) > 3


# Delivery windows, and canceling


def test_future_batch_waits_for_its_window(account: Client, clock: Clock) -> None:
    batch = send(account, deliveryWindows=[window(clock, -100, -50), window(clock, 3600, 7200)])
    assert [set(each) for each in batch["deliveryWindows"]] == [{"opens", "closes"}] * 2
    clock.now += 3600
    assert codes_of(account, batch) == [102]
    clock.now += 5
    assert codes_of(account, batch) == [112]
    clock.now += 5
    assert codes_of(account, batch) == [201]


def test_window_without_an_end_is_open_for_a_week(account: Client, clock: Clock) -> None:
    (shown,) = send(account, deliveryWindows=[window(clock, 60)])["deliveryWindows"]
    opens, closes = (datetime.fromisoformat(shown[name]) for name in ("opens", "closes"))
    assert (closes - opens).days == 7


def test_future_batch_can_be_canceled(account: Client, clock: Clock) -> None:
    batch = send(account, recipients=[SEVEN, EMPTY], deliveryWindows=[window(clock, 3600)])
    clock.now += 60
    response = account.request("DELETE", f"/v2/batches/{batch['id']}")
    assert (response.status_code, response.content) == (204, b"")
    clock.now += 7200
    assert codes_of(account, batch) == [203, 203]
    message = account.server.conversation(EMPTY)[0]
    history = account.get(f"/v2/batches/{batch['id']}/messages/{message['id']}").json()["statuses"]
    assert [status["code"] for status in history] == [101, 102, 203]
    assert account.get(f"/v2/batches/{batch['id']}").json()["status"] == 203
    assert account.request("DELETE", f"/v2/batches/{batch['id']}").status_code == 409


@pytest.mark.parametrize("seconds", [3, 10])
def test_batch_that_is_being_sent_cannot_be_canceled(account: Client, clock: Clock, seconds: int) -> None:
    batch = send(account)
    clock.now += seconds
    assert account.request("DELETE", f"/v2/batches/{batch['id']}").status_code == 409
    clock.now += 10
    assert codes_of(account, batch) == [201]


def test_batch_of_the_past_cannot_be_canceled(account: Client) -> None:
    batch_id = account.server.conversation()[0]["batchId"]
    assert account.request("DELETE", f"/v2/batches/{batch_id}").status_code == 409


def test_fields_of_a_message_can_be_overridden(account: Client) -> None:
    before = account.server.conversation()
    account.server.override(3, modified="0001-01-01T00:00:00", odd=[1])
    after = account.get(f"/v2/conversations/{MAIN}").json()
    assert after[3] == {**before[3], "modified": "0001-01-01T00:00:00", "odd": [1]}
    assert after[:3] + after[4:] == before[:3] + before[4:]
    path = f"/v2/batches/{before[3]['batchId']}/messages"
    assert account.get(path).json() == [after[3]]
    assert account.get(f"{path}/{before[3]['id']}").json()["odd"] == [1]
