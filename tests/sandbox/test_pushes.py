# SPDX-License-Identifier: Apache-2.0
"""Delivery reports and incoming messages that the sandbox pushes: what, when, how often, and with which faults."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import aiohttp
import pytest

from airflow_provider_ip1.sandbox import pusher
from airflow_provider_ip1.sandbox.app import Sandbox
from airflow_provider_ip1.sandbox.participants import EMPTY, OWN_NUMBER, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sandbox.plain_client import Client, Clock, send, window
from tests.sandbox.push_receiver import Receiver, receiver

ALL = [101, 102, 110, 112, 201]


@pytest.fixture
def received() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def pass_time(account: Client, clock: Clock, seconds: float, step: float = 0.5) -> None:
    """Move the clock in small steps, and send what is due at each."""
    for _ in range(round(seconds / step)):
        clock.now += step
        account.server.push()


def test_each_status_is_reported_once_with_the_documented_fields(
    account: Client, clock: Clock, received: Receiver
) -> None:
    batch = send(account, deliveryReportUrl=received.url, reference="r1")
    pass_time(account, clock, 30)
    (message,) = account.get(f"/v2/batches/{batch['id']}/messages").json()
    history = account.get(f"/v2/batches/{batch['id']}/messages/{message['id']}").json()["statuses"]
    expected = {
        "messageId": message["id"], "batchId": batch["id"], "recipient": SEVEN, "segments": 1, "price": 0.35,
        "currency": "sek", "reference": "r1",
    }  # fmt: skip
    assert received.bodies == [{**expected, **status} for status in history]
    assert received.codes == ALL
    assert [body["duration"] for body in received.bodies] == [0, 0, 0, 0, 1]
    assert set(received.paths) == {"/ip1"}
    assert set(received.content_types) == {"application/json; charset=utf-8"}


def test_report_comes_when_the_status_is_reached_and_not_before(
    account: Client, clock: Clock, received: Receiver
) -> None:
    send(account, deliveryReportUrl=received.url)
    account.server.push()
    assert received.codes == [101]
    clock.now += 0.9
    account.server.push()
    assert received.codes == [101]
    clock.now += 0.1
    account.server.push()
    assert received.codes == [101, 102]
    clock.now += 100
    account.server.push()
    assert received.codes == ALL


def test_batch_without_a_url_is_not_reported(account: Client, clock: Clock) -> None:
    send(account)
    pass_time(account, clock, 12)
    assert account.server.pushes == []


def test_each_message_of_a_batch_is_reported(account: Client, clock: Clock, received: Receiver) -> None:
    send(account, recipients=[SEVEN, EMPTY], deliveryReportUrl=received.url)
    pass_time(account, clock, 12)
    for number in (SEVEN, EMPTY):
        assert [body["code"] for body in received.bodies if body["recipient"] == number] == ALL


def test_canceled_batch_is_reported_at_once_and_nothing_after(
    account: Client, clock: Clock, received: Receiver
) -> None:
    batch = send(account, deliveryReportUrl=received.url, deliveryWindows=[window(clock, 3600)])
    pass_time(account, clock, 2)
    assert received.codes == [101, 102]
    account.request("DELETE", f"/v2/batches/{batch['id']}")
    account.server.push()
    assert received.codes == [101, 102, 203]
    clock.now += 10_000
    account.server.push()
    assert received.codes == [101, 102, 203]


def test_batch_that_is_canceled_before_any_report_is_reported_completely(
    account: Client, clock: Clock, received: Receiver
) -> None:
    batch = send(account, deliveryReportUrl=received.url, deliveryWindows=[window(clock, 3600)])
    clock.now += 1
    account.request("DELETE", f"/v2/batches/{batch['id']}")
    clock.now += 10_000
    account.server.push()
    assert received.codes == [101, 102, 203]


# Retries


@pytest.mark.parametrize("status", [201, 204, 301, 400, 500])
def test_report_without_a_200_is_repeated_ten_minutes_later(
    account: Client, clock: Clock, received: Receiver, status: int
) -> None:
    received.statuses = [status]
    send(account, deliveryReportUrl=received.url)
    account.server.push()
    clock.now += 599
    account.server.push()
    assert received.codes == ALL
    clock.now += 1
    account.server.push()
    assert received.codes == [*ALL, 101]
    assert received.bodies[0] == received.bodies[-1]
    assert [(each.push.number, each.status, each.is_last) for each in account.server.pushes] == [
        (1, status, False), (2, 200, True), (3, 200, True), (4, 200, True), (5, 200, True), (1, 200, True)
    ]  # fmt: skip
    clock.now += 10_000
    account.server.push()
    assert len(received.bodies) == 6


@pytest.mark.parametrize("kind", ["report", "incoming"])
def test_push_is_given_up_after_ten_tries(account: Client, clock: Clock, received: Receiver, kind: str) -> None:
    received.statuses = [503] * 100
    if kind == "report":
        send(account, deliveryReportUrl=received.url, deliveryWindows=[window(clock, 1_000_000)])
    else:
        account.server.incoming_url = received.url
        account.server.receive(SEVEN, "Hej")
    for _ in range(20):
        account.server.push()
        clock.now += 600
    tries = [record for record in account.server.pushes if record.push.number == 1]
    assert len(tries) == 10
    assert [record.is_last for record in tries] == [False] * 9 + [True]


def test_time_between_tries_can_be_shorter(clock: Clock, received: Receiver) -> None:
    received.statuses = [500]
    with SandboxServer(messages=0, clock=clock, push_retry_seconds=2, incoming_url=received.url) as server:
        server.receive(SEVEN, "Hej")
        server.push()
        clock.now += 2
        server.push()
        assert [record.status for record in server.pushes] == [500, 200]


def test_receiver_that_does_not_listen_is_tried_again(account: Client, clock: Clock) -> None:
    with receiver() as gone:
        pass
    account.server.incoming_url = gone.url
    account.server.receive(SEVEN, "Hej")
    account.server.push()
    assert [(record.status, record.is_last) for record in account.server.pushes] == [(0, False)]


def test_server_closes_while_a_push_waits_for_its_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pusher, "_TIMEOUT", aiohttp.ClientTimeout(total=300))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with SandboxServer(messages=0, incoming_url=f"http://127.0.0.1:{silent.getsockname()[1]}/") as server:
            server.receive(SEVEN, "Hej")
            connection, _ = silent.accept()
            started = time.monotonic()
        assert time.monotonic() - started < 250
        connection.close()


# Incoming messages


def test_incoming_message_is_pushed_as_the_documented_object(account: Client, clock: Clock, received: Receiver) -> None:
    account.server.incoming_url = received.url
    message_id = account.server.receive(SEVEN, "Hej 🎂")
    account.server.push()
    (listed,) = account.get(f"/v2/conversations/{SEVEN}/mo", order="DESC", limit=1).json()
    assert received.bodies == [{**listed, "direction": "mo", "type": "SMS", "datacoding": "UCS"}]
    assert (listed["id"], listed["recipient"]) == (message_id, OWN_NUMBER)
    account.server.receive(SEVEN, "Hej")
    account.server.push()
    assert received.bodies[1]["datacoding"] == "GSM"


def test_reply_is_pushed_when_it_is_due_without_any_request(account: Client, clock: Clock, received: Receiver) -> None:
    account.server.incoming_url = received.url
    account.server.replies.add("5=Ja")
    send(account)
    clock.now += 14.9
    account.server.push()
    assert received.bodies == []
    clock.now += 0.1
    account.server.push()
    assert [body["body"] for body in received.bodies] == ["Ja"]


def test_nothing_is_pushed_without_a_url(account: Client) -> None:
    account.server.receive(SEVEN, "Hej")
    account.server.push()
    assert account.server.pushes == []


def test_real_clock_pushes_by_itself(received: Receiver) -> None:
    """Neither a request nor ``push()`` is needed."""
    with SandboxServer(messages=0, delivery_seconds=0.2, replies=["0.1=Ja"], incoming_url=received.url) as server:
        server.send([SEVEN], delivery_report_url=received.url)
        received.wait_for(6)
    assert [body.get("code", body.get("body")) for body in received.bodies] == [*ALL, "Ja"]


# Only to this machine


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1/x", "https://example.com/x", "http://localhost.example.com/", "http://0.0.0.0/", "http://[::]/",
     "http://127.0.0.1@192.0.2.1/", "http://[::ffff:192.0.2.1]/", "http://[", "http:///x", "http://0x7f000001/"],
)  # fmt: skip
def test_other_machines_get_nothing(account: Client, clock: Clock, url: str) -> None:
    with pytest.raises(ValueError, match="is not on this machine"):
        account.server.incoming_url = url
    send(account, deliveryReportUrl=url)
    account.server.push()
    assert [(record.status, record.is_last) for record in account.server.pushes] == [(0, True)]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost:1/", "https://[::1]:1/", "http://127.9.9.9/"])
def test_this_machine_is_allowed(url: str) -> None:
    assert Sandbox(messages=0, incoming_url=url).incoming_url == url


def test_other_machines_can_be_allowed() -> None:
    assert Sandbox(messages=0, incoming_url="https://example.com/x", push_anywhere=True).incoming_url is not None
    with pytest.raises(ValueError, match="not an http or https URL"):
        Sandbox(messages=0, incoming_url="ftp://example.com/x", push_anywhere=True)


def test_redirect_is_not_followed(account: Client, received: Receiver) -> None:
    received.statuses = [307]
    account.server.incoming_url = received.url
    account.server.receive(SEVEN, "Hej")
    account.server.push()
    assert received.paths == ["/ip1"]


# Faults


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("push-lost@2", [101, 110, 112, 201]),
        ("push-twice@2", [101, 102, 102, 110, 112, 201]),
        ("push-swap@2", [101, 110, 102, 112, 201]),
        ("push-swap@2-3", [101, 112, 102, 110, 201]),
        ("push-late@2:seconds=3", [101, 110, 102, 112, 201]),
        ("push-late@2:seconds=300", [101, 110, 112, 201, 102]),
        ("push-reversed", [201, 112, 110, 102, 101]),
        ("push-reversed@2", ALL),
        ("503@*:method=PUT", ALL),
    ],
)
def test_fault_of_pushes(account: Client, clock: Clock, received: Receiver, fault: str, codes: list[int]) -> None:
    account.server.faults.add(fault)
    send(account, deliveryReportUrl=received.url)
    pass_time(account, clock, 12)
    clock.now += 300
    account.server.push()
    assert received.codes == codes


def test_faults_of_pushes_combine(account: Client, clock: Clock, received: Receiver) -> None:
    account.server.faults.add("push-twice@1", "push-late@1:seconds=5", "push-lost@2")
    account.server.incoming_url = received.url
    for text in "abc":
        account.server.receive(SEVEN, text)
    account.server.push()
    assert [body["body"] for body in received.bodies] == ["c"]
    clock.now += 5
    account.server.push()
    assert [body["body"] for body in received.bodies] == ["c", "a", "a"]


def test_late_push_is_repeated_like_any_other(account: Client, clock: Clock, received: Receiver) -> None:
    account.server.faults.add("push-late@1:seconds=5")
    received.statuses = [500]
    account.server.incoming_url = received.url
    account.server.receive(SEVEN, "Hej")
    for _ in range(3):
        account.server.push()
        clock.now += 605
    assert [record.status for record in account.server.pushes] == [500, 200]


def test_reports_of_two_messages_are_reversed_each(account: Client, clock: Clock, received: Receiver) -> None:
    account.server.faults.add("push-reversed")
    send(account, recipients=[SEVEN, EMPTY], deliveryReportUrl=received.url)
    pass_time(account, clock, 12)
    for number in (SEVEN, EMPTY):
        assert [body["code"] for body in received.bodies if body["recipient"] == number] == ALL[::-1]


def test_faults_of_pushes_do_not_hit_requests(account: Client) -> None:
    account.server.faults.add("push-lost", "push-twice")
    assert account.get("/v2/me/senders").status_code == 200


def test_faults_of_requests_do_not_hit_pushes(account: Client, received: Receiver) -> None:
    account.server.faults.add("503", "reset@1-")
    account.server.incoming_url = received.url
    account.server.receive(SEVEN, "Hej")
    account.server.push()
    assert len(received.bodies) == 1
