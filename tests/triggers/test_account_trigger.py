# SPDX-License-Identifier: Apache-2.0
"""IncomingSmsTrigger(participant=None) against the sandbox: an event whenever anyone sends an SMS to the account."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, NAME
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger
from tests.sensor_modes import Clock, connect
from tests.triggers.test_incoming_sms_trigger import PATH, TEXT, AssetState, counts, make, watch


@pytest.fixture
def server_options() -> dict[str, Any]:
    return {"messages": 450}


def test_an_event_for_each_poll_with_news(server: SandboxServer, clock: Clock) -> None:
    for after, sender in ((100, MAIN), (200, EMPTY), (205, NAME)):
        clock.after(after, partial(server.receive, sender, TEXT))
    clock.after(150, lambda: server.send([MAIN, EMPTY]))
    first, second = watch(clock, 400, participant=None)
    incoming = server.conversation(MAIN, "mo")[-1]
    assert first == {
        "count": 1,
        "first_received": "2027-01-15T08:01:40+00:00",
        "last_received": "2027-01-15T08:01:40+00:00",
        "messages": [
            {"message_id": incoming["id"], "batch_id": incoming["batchId"], "received": "2027-01-15T08:01:40+00:00"}
        ],
    }
    assert [message["message_id"] for message in second["messages"]] == [
        server.conversation(sender, "mo")[-1]["id"] for sender in (EMPTY, NAME)
    ]


def test_one_request_per_poll(server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the first poll requested ahead may arrive when the next one has begun.
    connect(server, monkeypatch, concurrency=1)
    clock.after(10, lambda: server.requests.clear())
    watch(clock, 300, participant=None)
    assert [request.path for request in server.requests] == ["/v2/batches"] * len(server.requests)
    assert 8 <= len(server.requests) <= 11


def test_a_burst_becomes_events_of_at_most_200_messages(server: SandboxServer, clock: Clock) -> None:
    """One every second, the oldest messages first."""

    def burst() -> None:
        for number in range(450):
            server.receive(EMPTY, f"{number}")

    clock.after(45, burst)
    assert counts(watch(clock, 85, participant=None)) == [200, 200, 50]


def test_a_restart_continues(server: SandboxServer, clock: Clock) -> None:
    store = AssetState()
    watch(clock, 100, store, participant=None)
    for _ in range(3):
        server.receive(EMPTY, TEXT)
    clock.sleep(1000)
    assert counts(watch(clock, 100, store, participant=None)) == [3]
    assert watch(clock, 100, store, participant=None) == []
    # A participant of the same account has another position.
    assert watch(clock, 100, store, participant=EMPTY) == []
    assert len(store.values) == 2


@pytest.mark.parametrize(
    "fault", ["401", "503", "reset", "429", "list-lag=200", "link=none", "clamp=60", "enums=strings"]
)
def test_faults(server: SandboxServer, clock: Clock, fault: str) -> None:
    clock.after(15, lambda: server.faults.add(fault))
    clock.after(100, lambda: server.receive(MAIN, TEXT))
    clock.after(1000, server.faults.clear)
    assert counts(watch(clock, 1200, participant=None)) == [1]


def test_nothing_personal(
    server: SandboxServer, clock: Clock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    store = AssetState()
    clock.after(50, lambda: server.receive(MAIN, TEXT))
    clock.after(100, lambda: server.faults.add("503"))
    events = watch(clock, 300, store, participant=None)
    out, err = capfd.readouterr()
    told = out + err + caplog.text + json.dumps(events) + json.dumps(store.values) + repr(make(participant=None))
    assert "Poll failed" in told and "1 new message: SMS to the account" in told
    for secret in (MAIN, TEXT, server.key):
        assert secret not in told


def test_the_arguments_come_back() -> None:
    path, kwargs = IncomingSmsTrigger(participant=None).serialize()
    assert (path, kwargs["participant"]) == (PATH, None)
    assert IncomingSmsTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)


@pytest.mark.parametrize("participant", ["None", " None ", "{{ params.number }}"])
def test_a_value_that_is_missing_is_not_everyone(participant: str) -> None:
    with pytest.raises(ValueError, match="participant"):
        IncomingSmsTrigger(participant=participant)
