# SPDX-License-Identifier: Apache-2.0
"""Sending, canceling and replying: what the account and its recipients do while the sandbox runs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import jsonschema
import pytest
import requests

from airflow_provider_ip1.sandbox.participants import EMPTY, GENERATED, LIVE, MAIN, OWN_NUMBER, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.replies import Reply
from airflow_provider_ip1.sandbox.send_request import MAX_RECIPIENTS
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from tests.sandbox.plain_client import Client, Clock

SCHEMA = json.loads(
    resources.files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text()
)
ORDER = {"sender": "Skolan", "recipients": [SEVEN], "body": "Välkommen 🎂"}


@pytest.fixture
def client(clock: Clock) -> Iterator[Client]:
    """A client of a sandbox that delivers a message in 10 seconds of the test's clock."""
    with SandboxServer(messages=20, delivery_seconds=10, clock=clock) as server:
        yield Client(server)


def send(client: Client, **fields: Any) -> dict[str, Any]:
    response = client.post({**ORDER, **fields})
    assert response.status_code == 201, response.text
    batch: dict[str, Any] = response.json()
    return batch


def messages_of(client: Client, batch: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = client.get(f"/v2/batches/{batch['id']}/messages", limit=1000).json()
    return messages


def codes_of(client: Client, batch: dict[str, Any]) -> list[int]:
    return [message["statuses"][0]["code"] for message in messages_of(client, batch)]


def errors_of(response: requests.Response) -> list[str]:
    assert response.status_code == 400, response.text
    return list(response.json()["errors"])


# Sending


def test_sent_messages_appear_in_batch_and_conversation(client: Client) -> None:
    batch = send(client, recipients=[SEVEN, EMPTY], reference="r1")
    messages = messages_of(client, batch)
    jsonschema.validate(messages, SCHEMA)
    assert [(m["recipient"], m["sender"], m["body"], m["reference"]) for m in messages] == [
        (SEVEN, "Skolan", "Välkommen 🎂", "r1"),
        (EMPTY, "Skolan", "Välkommen 🎂", "r1"),
    ]
    assert client.server.conversation(SEVEN)[-1] == messages[0]
    assert client.server.conversation(EMPTY) == messages[1:]
    assert client.get(f"/v2/conversations/{EMPTY}/summary").json()["mobileTerminatedMessages"] == {
        "101": {"messages": 1, "sms": 1}
    }


def test_messages_pass_through_their_statuses(client: Client, clock: Clock) -> None:
    batch = send(client)
    seen = []
    for _ in range(12):
        seen += codes_of(client, batch)
        clock.now += 1
    assert list(dict.fromkeys(seen)) == [101, 102, 110, 112, 201]
    (message,) = messages_of(client, batch)
    history = client.get(f"/v2/batches/{batch['id']}/messages/{message['id']}").json()["statuses"]
    assert [(status["code"], status["duration"]) for status in history] == [
        (101, 0), (102, 0), (110, 0), (112, 0), (201, 1)
    ]  # fmt: skip


def test_batch_has_the_documented_fields(client: Client, clock: Clock) -> None:
    order = {
        "recipients": [SEVEN, EMPTY], "type": "Flash", "datacoding": "UCS", "priority": 2, "reference": "r2",
        "tags": ["a", "b"], "deliveryReportUrl": "https://example.com/dlr",
    }  # fmt: skip
    batch = send(client, **order)
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
    assert client.get(f"/v2/batches/{batch['id']}").json() == batch
    assert client.get("/v2/batches", order="DESC", limit=1).json() == [{"id": batch["id"], **expected}]
    assert {(message["type"], message["priority"]) for message in messages_of(client, batch)} == {(0, 2)}
    clock.now += 10
    later = client.get(f"/v2/batches/{batch['id']}").json()
    assert (later["status"], later["messageSummary"]) == (201, {"201": {"messages": 2, "sms": 2}})


def test_template_gets_values_of_recipient_then_default_then_stays(client: Client) -> None:
    batch = send(
        client,
        body="Hej {name}! {greeting} {unknown} {}",
        recipients={SEVEN: {"name": "Åsa"}, EMPTY: {}, "default": {"name": "du", "greeting": "Tack!"}},
    )
    assert (batch["templated"], batch["body"]) == (True, "Hej {name}! {greeting} {unknown} {}")
    assert {message["recipient"]: message["body"] for message in messages_of(client, batch)} == {
        SEVEN: "Hej Åsa! Tack! {unknown} {}",
        EMPTY: "Hej du! Tack! {unknown} {}",
    }


def test_repeated_recipient_gets_one_message(client: Client) -> None:
    assert len(messages_of(client, send(client, recipients=[SEVEN, SEVEN]))) == 1


def test_gsm_rejects_text_that_needs_ucs(client: Client) -> None:
    order = {**ORDER, "datacoding": "gsm"}
    assert errors_of(client.post(order)) == ["body"]
    assert send(client, body="Hej {}", datacoding="gsm")["datacoding"] == "gsm"
    template = {"body": "Hej {name}", "recipients": {SEVEN: {"name": "🎂"}, EMPTY: {"name": "Bo"}}}
    assert errors_of(client.post({**order, **template})) == ["body"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("sender", value) for value in ("no+name", "ab", "TwelveLetter", "1" * 16, "Min skola", None, 1)),
        *(("recipients", value) for value in ([], {}, {"default": {}}, ["Name"], ["+46701740605"], ["1" * 16], "4", [1],
                                              {SEVEN: "text"}, {SEVEN: {"name": 1}})),
        *(("body", value) for value in (" ", "", "x" * 2001, None, 1)),
        ("type", "mms"), ("datacoding", "binary"), ("priority", 3), ("priority", True), ("reference", 1),
        ("tags", "a"), ("tags", [1]), ("deliveryReportUrl", "ftp://x"),
        *(("deliveryWindows", value) for value in ("now", [1], [{}], [{"opens": "soon"}], [{"opens": 1}],
          [{"opens": "2027-02-01T00:00:00Z", "closes": "2027-01-31T00:00:00Z"}],
          [{"opens": "2027-02-01T00:00:00Z", "closes": "2027-02-01T00:00:00Z"}],
          [{"opens": "2020-01-01T00:00:00Z"}], [{"opens": "9999-12-31T00:00:00Z"}],
          [{"opens": "0001-01-01T00:00:00+14:00"}])),
    ],
)  # fmt: skip
def test_invalid_field_is_400_with_its_name(client: Client, field: str, value: object) -> None:
    assert errors_of(client.post({**ORDER, field: value})) == [field]
    assert len(client.server.conversation(SEVEN)) == 7


def test_text_must_fit_after_templating(client: Client) -> None:
    too_long = {"body": "{x}" * 30, "recipients": {SEVEN: {"x": "y" * 100}}}
    assert errors_of(client.post({**ORDER, **too_long})) == ["body"]
    assert errors_of(client.post({**ORDER, "body": "{x}", "recipients": {SEVEN: {"x": " "}}})) == ["body"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'{"sender": ', "application/json"),
        (b'{"sender": NaN}', "application/json"),
        (b'{"body": "\xff"}', "application/json"),
        (b'{"body": "\\ud800"}', "application/json"),
        (b'{"x": 1e999}', "application/json"),
        (b'{"x": ' + b"9" * 6000 + b"}", "application/json"),
        (b"[" * 400_000, "application/json"),
        (b'{"x":' * 100_000, "application/json"),
        (json.dumps(ORDER).encode(), "application/json; charset=nope"),
    ],
)
def test_unreadable_request_is_400(client: Client, body: bytes, content_type: str) -> None:
    response = client.request("POST", "/v2/batches", data=body, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert len(client.server.conversation(SEVEN)) == 7


def test_body_without_its_announced_encoding_is_400(client: Client) -> None:
    assert client.post(ORDER, headers={"Content-Encoding": "gzip"}).status_code == 400


def test_another_charset_is_read(client: Client) -> None:
    body = json.dumps({**ORDER, "body": "Välkommen"}, ensure_ascii=False).encode("latin-1")
    headers = {"Content-Type": "application/json; charset=iso-8859-1"}
    assert client.request("POST", "/v2/batches", data=body, headers=headers).json()["body"] == "Välkommen"


def test_request_of_more_than_a_mebibyte_is_413(client: Client) -> None:
    assert client.post({**ORDER, "tags": ["x" * 2**20]}).status_code == 413


def test_too_many_recipients_are_400(client: Client) -> None:
    assert errors_of(client.post({**ORDER, "recipients": numbers(16_000)})) == ["recipients"]


def numbers(count: int) -> list[str]:
    """Numbers that nobody has: they are too short for a country code and a subscriber."""
    return [f"{number:06}" for number in range(count)]


def test_largest_batch_is_accepted(client: Client) -> None:
    batch = send(client, recipients=numbers(MAX_RECIPIENTS))
    assert batch["messageSummary"] == {"101": {"messages": MAX_RECIPIENTS, "sms": MAX_RECIPIENTS}}
    assert len(client.get(f"/v2/batches/{batch['id']}/messages", limit=10_000).json()) == MAX_RECIPIENTS


@pytest.mark.parametrize("name", ["send", "batch_ids"])
def test_slow_work_does_not_block_other_requests(client: Client, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What takes long with many recipients or batches runs beside the event loop."""
    store, is_free, results = client.server.sandbox.store, threading.Event(), []
    work = getattr(store, name)

    def wait_and_work(*arguments: Any) -> Any:
        with store._lock:
            assert is_free.wait(30)
            return work(*arguments)

    def request() -> None:
        response = client.post(ORDER) if name == "send" else client.get("/v2/batches")
        results.append(response.status_code)

    monkeypatch.setattr(store, name, wait_and_work)
    thread = threading.Thread(target=request)
    thread.start()
    while client.server.in_flight == 0:
        pass
    assert Client(client.server).get("/v2/me/senders").status_code == 200
    is_free.set()
    thread.join(30)
    assert results == [201 if name == "send" else 200]


# The list of batches


def test_account_lists_the_batch_of_every_message(client: Client) -> None:
    send(client)
    listed = client.get("/v2/batches", limit=1000).json()
    ids = [batch["id"] for batch in listed]
    assert len(set(ids)) == len(ids)
    expected = set()
    for participant in list(client.server.sandbox.store.conversations):
        expected |= {message["batchId"] for message in client.server.conversation(participant)}
    assert set(ids) == expected
    found = [message["id"] for batch in listed for message in messages_of(client, batch)]
    assert len(set(found)) == len(found) == 20 + 7 + 1 + 12 + 3 + 128 + 1


def test_listed_batch_agrees_with_its_messages(client: Client) -> None:
    for listed in client.get("/v2/batches", limit=43).json():
        (message,) = messages_of(client, listed)
        whole = client.get(f"/v2/batches/{listed['id']}").json()
        assert {**listed, "priceSummary": whole["priceSummary"], "messageSummary": whole["messageSummary"]} == whole
        code = message["statuses"][0]["code"]
        assert whole["messageSummary"] == {str(code): {"messages": 1, "sms": message["segments"]}}
        assert (listed["status"], listed["sender"], listed["body"]) == (code, message["sender"], message["body"])
        assert listed["direction"] == ("MO" if message["direction"] else "MT")
        assert listed["reference"] == message.get("reference")
        assert whole["priceSummary"]["total"] == message.get("price", 0)


def test_batches_are_listed_by_creation_and_paged(client: Client) -> None:
    whole = [batch["id"] for batch in client.get("/v2/batches", limit=1000).json()]
    demo = [batch_id for batch_id, _ in DEMO_BATCHES.values()]
    assert whole[-len(demo) :] == demo
    created = [int(batch_id[:8], 16) for batch_id in whole[: -len(demo)]]
    assert created == sorted(created)
    assert len(client.get("/v2/batches").json()) == 50
    pages = [client.get("/v2/batches", start=start, limit=20).json() for start in range(0, len(whole), 20)]
    assert [batch["id"] for page in pages for batch in page] == whole
    newest = client.get("/v2/batches", order="DESC", limit=5)
    assert [batch["id"] for batch in newest.json()] == whole[:-6:-1]
    assert "start=5&limit=5&order=DESC" in newest.links["next"]["url"]


def test_list_follows_changes(client: Client) -> None:
    before = {batch["id"] for batch in client.get("/v2/batches", limit=1000).json()}
    client.server.insert(count=2)
    client.server.delete(count=1)
    sent, received = send(client)["id"], client.server.receive(SEVEN, "Ja")
    after = {batch["id"] for batch in client.get("/v2/batches", limit=1000).json()}
    assert len(after - before) == 4
    assert len(before - after) == 1
    assert {sent, client.server.conversation(SEVEN)[-1]["batchId"]} < after - before
    assert client.server.conversation(SEVEN)[-1]["id"] == received


def test_unknown_batch_is_404(client: Client) -> None:
    for batch_id in ("69000000c0000000000000ff", "nothing", "6900000fb00000000000000f"):
        assert client.get(f"/v2/batches/{batch_id}").status_code == 404
        assert client.request("DELETE", f"/v2/batches/{batch_id}").status_code == 404


def test_senders_are_an_alphabetical_list(client: Client) -> None:
    senders = client.get("/v2/me/senders").json()
    assert [set(sender) for sender in senders] == [{"sender", "created"}] * len(senders)
    names = [sender["sender"] for sender in senders]
    assert names == sorted(names) and len(names) > 3


# Delivery windows, and canceling


def window(clock: Clock, opens: float, closes: float | None = None) -> dict[str, str]:
    times = {"opens": opens} | ({} if closes is None else {"closes": closes})
    return {
        name: datetime.fromtimestamp(clock.now + after, UTC).isoformat().replace("+00:00", "Z")
        for name, after in times.items()
    }


def test_future_batch_waits_for_its_window(client: Client, clock: Clock) -> None:
    batch = send(client, deliveryWindows=[window(clock, -100, -50), window(clock, 3600, 7200)])
    assert [set(each) for each in batch["deliveryWindows"]] == [{"opens", "closes"}] * 2
    clock.now += 3600
    assert codes_of(client, batch) == [102]
    clock.now += 5
    assert codes_of(client, batch) == [112]
    clock.now += 5
    assert codes_of(client, batch) == [201]


def test_window_without_an_end_is_open_for_a_week(client: Client, clock: Clock) -> None:
    (shown,) = send(client, deliveryWindows=[window(clock, 60)])["deliveryWindows"]
    opens, closes = (datetime.fromisoformat(shown[name]) for name in ("opens", "closes"))
    assert (closes - opens).days == 7


def test_future_batch_can_be_canceled(client: Client, clock: Clock) -> None:
    batch = send(client, recipients=[SEVEN, EMPTY], deliveryWindows=[window(clock, 3600)])
    clock.now += 60
    response = client.request("DELETE", f"/v2/batches/{batch['id']}")
    assert (response.status_code, response.content) == (204, b"")
    clock.now += 7200
    assert codes_of(client, batch) == [203, 203]
    message = client.server.conversation(EMPTY)[0]
    history = client.get(f"/v2/batches/{batch['id']}/messages/{message['id']}").json()["statuses"]
    assert [status["code"] for status in history] == [101, 102, 203]
    assert client.get(f"/v2/batches/{batch['id']}").json()["status"] == 203
    assert client.request("DELETE", f"/v2/batches/{batch['id']}").status_code == 409


@pytest.mark.parametrize("seconds", [3, 10])
def test_batch_that_is_being_sent_cannot_be_canceled(client: Client, clock: Clock, seconds: int) -> None:
    batch = send(client)
    clock.now += seconds
    assert client.request("DELETE", f"/v2/batches/{batch['id']}").status_code == 409
    clock.now += 10
    assert codes_of(client, batch) == [201]


def test_batch_of_the_past_cannot_be_canceled(client: Client) -> None:
    batch_id = client.server.conversation()[0]["batchId"]
    assert client.request("DELETE", f"/v2/batches/{batch_id}").status_code == 409


# Replies


def test_recipients_reply_after_the_delivery(client: Client, clock: Clock) -> None:
    client.server.replies.add("5=Ja: tack = bra", f"{EMPTY}:2=NEJ")
    send(client, recipients=[SEVEN, EMPTY])
    client.server.replies.clear()
    send(client, recipients=[SINGLE])
    clock.now += 11.9
    assert len(client.server.conversation(EMPTY)) == 1
    clock.now += 0.1
    incoming = client.get(f"/v2/conversations/{EMPTY}/mo").json()
    assert len(client.server.conversation(SEVEN)) == 8
    clock.now += 100
    incoming += client.get(f"/v2/conversations/{SEVEN}/mo", limit=1, order="DESC").json()
    assert client.get(f"/v2/conversations/{SINGLE}", order="DESC").json()[0]["direction"] == 0
    jsonschema.validate(incoming, SCHEMA)
    assert [(message["sender"], message["recipient"], message["body"]) for message in incoming] == [
        (EMPTY, OWN_NUMBER, "NEJ"),
        (SEVEN, OWN_NUMBER, "Ja: tack = bra"),
    ]
    started = 1_800_000_000
    times = [datetime.fromisoformat(message["modified"]).timestamp() for message in incoming]
    assert times == [started + 12, started + 12.5]
    assert all("price" not in message and "reference" not in message for message in incoming)
    batch = client.get(f"/v2/batches/{incoming[0]['batchId']}").json()
    assert (batch["direction"], batch["sender"], batch["body"], batch["status"]) == ("MO", EMPTY, "NEJ", 201)
    assert messages_of(client, batch) == incoming[:1]


def test_reply_goes_to_the_number_that_sent(client: Client, clock: Clock) -> None:
    client.server.replies.add("1=Ja")
    send(client, sender=GENERATED[0])
    clock.now += 100
    assert client.server.conversation(SEVEN)[-1]["recipient"] == GENERATED[0]


def test_nobody_replies_to_a_canceled_message(client: Client, clock: Clock) -> None:
    client.server.replies.add("1=Ja")
    batch = send(client, recipients=[EMPTY], deliveryWindows=[window(clock, 3600)])
    client.request("DELETE", f"/v2/batches/{batch['id']}")
    clock.now += 100_000
    assert len(client.server.conversation(EMPTY)) == 1


def test_stop_blacklists_the_recipient(client: Client, clock: Clock) -> None:
    client.server.replies.add("1= stop ")
    send(client, recipients=[SEVEN])
    clock.now += 100
    batch = send(client, recipients=[SEVEN, EMPTY])
    clock.now += 10
    assert codes_of(client, batch) == [406, 201]
    assert client.server.blacklist == {SEVEN}
    clock.now += 100
    assert len(client.get(f"/v2/conversations/{SEVEN}/mo", limit=100).json()) == 1 + sum(
        message["direction"] for message in client.server.conversation(SEVEN)[:7]
    )


def test_blacklist_can_be_changed(client: Client, clock: Clock) -> None:
    client.server.blacklist.add(EMPTY)
    batch = send(client, recipients=[EMPTY])
    clock.now += 10
    assert codes_of(client, batch) == [406]
    client.server.blacklist.clear()
    batch = send(client, recipients=[EMPTY])
    clock.now += 10
    assert codes_of(client, batch) == [201]


def test_message_can_be_received_now(client: Client) -> None:
    message_id = client.server.receive(LIVE, "Hej!")
    message = client.server.conversation(LIVE)[-1]
    assert (message["id"], message["body"], message["statuses"][0]["code"]) == (message_id, "Hej!", 201)
    client.server.receive(LIVE, "STOP")
    assert client.server.blacklist == {LIVE}


def test_server_can_send_a_template(client: Client) -> None:
    batch_id = client.server.send({SEVEN: {"x": "1"}}, body="a{x}", reference="r")
    batch = client.get(f"/v2/batches/{batch_id}").json()
    assert (batch["templated"], batch["reference"]) == (True, "r")
    assert client.server.conversation(SEVEN)[-1]["body"] == "a1"


@pytest.mark.parametrize("spec", ["", "5", "JA", "5=", "5= ", "-1=x", "abc:1=x", "x=1"])
def test_invalid_reply_is_rejected(spec: str) -> None:
    with pytest.raises(ValueError, match="is not a reply"):
        Reply.parse(spec)
    with pytest.raises(ValueError, match="is not a reply"):
        SandboxServer(replies=[spec])


def test_fields_of_a_message_can_be_overridden(client: Client) -> None:
    before = client.server.conversation()
    client.server.override(3, modified="0001-01-01T00:00:00", odd=[1])
    after = client.get(f"/v2/conversations/{MAIN}").json()
    assert after[3] == {**before[3], "modified": "0001-01-01T00:00:00", "odd": [1]}
    assert after[:3] + after[4:] == before[:3] + before[4:]
    path = f"/v2/batches/{before[3]['batchId']}/messages"
    assert client.get(path).json() == [after[3]]
    assert client.get(f"{path}/{before[3]['id']}").json()["odd"] == [1]


def test_real_clock_delivers_too() -> None:
    with SandboxServer(messages=0, delivery_seconds=0.1, replies=["0=Ja"]) as server:
        client = Client(server)
        batch = send(client)
        deadline = time.monotonic() + 30
        while codes_of(client, batch) != [201]:
            assert time.monotonic() < deadline
        assert server.conversation(SEVEN)[-1]["body"] == "Ja"
