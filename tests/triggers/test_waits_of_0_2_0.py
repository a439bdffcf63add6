# SPDX-License-Identifier: Apache-2.0
"""
Waits that 0.2.0 deferred resume after an upgrade.

The literals are what the triggers and sensors of 0.2.0 stored: serialized triggers and events.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1AuthError
from airflow_provider_ip1.sandbox.participants import EMPTY
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import IP1DeliveryError, MessageStatusSensor
from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger
from tests.sensor_modes import Clock, run_trigger

STATUS = "airflow_provider_ip1.triggers.message_status.MessageStatusTrigger"
INCOMING = "airflow_provider_ip1.triggers.incoming_sms_wait.IncomingSmsWaitTrigger"

#: What ``serialize()`` returned, after the worker's first poll.
SERIALIZED: dict[str, tuple[str, dict[str, Any]]] = {
    "message of a batch": (
        STATUS,
        {
            "participant": None,
            "batch_id": "69000000c000000000000001",
            "message_id": "69000000d000001000000000",
            "reference": None,
            "expected": ["delivered"],
            "failed": ["failed", "rejected", "undelivered"],
            "require": "all",
            "expected_count": None,
            "not_found_timeout": 3600.0,
            "known_at": 1800000000.001,
            "state": {
                "found": [["69000000c000000000000001", "69000000d000001000000000"]],
                "newest": None,
                "warned": [],
                "count": 1,
            },
            "ip1_conn_id": "ip1_default",
            "deadline": 1800000600.0,
            "started_at": 1800000000.0,
            "poll_at": 1800000030.492,
            "poke_interval": 30.0,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": False,
            "failures": 0,
        },
    ),
    "batch": (
        STATUS,
        {
            "participant": None,
            "batch_id": "69000000c000000000000006",
            "message_id": None,
            "reference": None,
            "expected": [202, "delivered"],
            "failed": ["rejected"],
            "require": "any",
            "expected_count": 3,
            "not_found_timeout": 1800.0,
            "known_at": 1800000000.001,
            "state": {"found": [], "newest": None, "warned": [], "count": 3},
            "ip1_conn_id": "ip1_default",
            "deadline": 1800000600.0,
            "started_at": 1800000000.0,
            "poll_at": 1800000031.899,
            "poke_interval": 30.0,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": False,
            "failures": 0,
        },
    ),
    "reference": (
        STATUS,
        {
            "participant": "46701740609",
            "batch_id": None,
            "message_id": None,
            "reference": "demo-delivered",
            "expected": ["delivered"],
            "failed": ["failed", "rejected", "undelivered"],
            "require": "all",
            "expected_count": None,
            "not_found_timeout": 3600.0,
            "known_at": 1800000000.001,
            "state": {
                "found": [["69000000c000000000000001", "69000000d000001000000000"]],
                "newest": "69000000d000006000000002",
                "warned": [],
                "count": 1,
            },
            "ip1_conn_id": "ip1_default",
            "deadline": 1800000600.0,
            "started_at": 1800000000.0,
            "poll_at": 1800000030.647,
            "poke_interval": 30.0,
            "exponential_backoff": True,
            "max_wait": 120.0,
            "silent_fail": False,
            "failures": 0,
        },
    ),
    "message of a conversation": (
        STATUS,
        {
            "participant": "46701740609",
            "batch_id": None,
            "message_id": "69000000d000001000000000",
            "reference": None,
            "expected": ["delivered"],
            "failed": ["failed", "rejected", "undelivered"],
            "require": "all",
            "expected_count": None,
            "not_found_timeout": None,
            "known_at": 1800000000.001,
            "state": {
                "found": [["69000000c000000000000001", "69000000d000001000000000"]],
                "newest": "69000000d000006000000002",
                "warned": [],
                "count": 1,
            },
            "ip1_conn_id": "ip1_default",
            "deadline": 1800000600.0,
            "started_at": 1800000000.0,
            "poll_at": 1800000030.977,
            "poke_interval": 30.0,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": True,
            "failures": 0,
        },
    ),
    "unknown batch, outage": (
        STATUS,
        {
            "participant": None,
            "batch_id": "69000000c00000000000ffff",
            "message_id": None,
            "reference": None,
            "expected": ["delivered"],
            "failed": ["failed", "rejected", "undelivered"],
            "require": "all",
            "expected_count": None,
            "not_found_timeout": 200,
            "known_at": 1800000000.0,
            "state": {"found": [], "newest": None, "warned": [], "count": 0},
            "ip1_conn_id": "ip1_default",
            "deadline": 1800000600.0,
            "started_at": 1800000000.0,
            "poll_at": 1800000031.264,
            "poke_interval": 30.0,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": False,
            "failures": 1,
        },
    ),
    "any SMS": (
        INCOMING,
        {
            "participant": "46701740608",
            "since": 1799999970.0,
            "pattern": None,
            "state": {"cursor": {"known": [], "others": [], "whole": True, "newest": None}, "others": 0},
            "ip1_conn_id": "ip1_default",
            "deadline": 1800000600.0,
            "started_at": 1800000000.0,
            "poll_at": 1800000032.245,
            "poke_interval": 30.0,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": False,
            "failures": 0,
        },
    ),
    "SMS with a pattern": (
        INCOMING,
        {
            "participant": "46701740608",
            "since": 1800000000.0,
            "pattern": "(?i)^ja|(?P<no>nej)",
            "state": {
                "cursor": {"known": ["2f08a8b46e19110d"], "others": [], "whole": True, "newest": 1800000000.0},
                "others": 1,
            },
            "ip1_conn_id": "ip1_default",
            "deadline": 1800000600.0,
            "started_at": 1800000000.0,
            "poll_at": 1800000030.423,
            "poke_interval": 30.0,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": False,
            "failures": 0,
        },
    ),
}
#: The events that the triggers of 0.2.0 sent for them, with the replies below.
EVENTS: dict[str, dict[str, Any]] = {
    "message of a batch": {
        "status": "success",
        "messages": [
            {
                "message_id": "69000000d000001000000000",
                "batch_id": "69000000c000000000000001",
                "code": 201,
                "category": "delivered",
                "created": "2027-01-15T08:01:40+00:00",
            }
        ],
    },
    "batch": {
        "status": "success",
        "messages": [
            {
                "message_id": "69000000d000006000000000",
                "batch_id": "69000000c000000000000006",
                "code": 201,
                "category": "delivered",
                "created": "2027-01-15T08:01:06.666000+00:00",
            },
            {
                "message_id": "69000000d000006000000001",
                "batch_id": "69000000c000000000000006",
                "code": 201,
                "category": "delivered",
                "created": "2027-01-15T08:01:23.333000+00:00",
            },
            {
                "message_id": "69000000d000006000000002",
                "batch_id": "69000000c000000000000006",
                "code": 112,
                "category": "pending",
                "created": "2027-01-15T08:00:50+00:00",
            },
        ],
    },
    "reference": {
        "status": "success",
        "messages": [
            {
                "message_id": "69000000d000001000000000",
                "batch_id": "69000000c000000000000001",
                "code": 201,
                "category": "delivered",
                "created": "2027-01-15T08:01:40+00:00",
            }
        ],
    },
    "message of a conversation": {
        "status": "success",
        "messages": [
            {
                "message_id": "69000000d000001000000000",
                "batch_id": "69000000c000000000000001",
                "code": 201,
                "category": "delivered",
                "created": "2027-01-15T08:01:40+00:00",
            }
        ],
    },
    "unknown batch, outage": {
        "status": "error",
        "error": "IP1NotFoundError",
        "text": "iP.1 has not known batch 69000000c00000000000ffff for 3.68 min, and "
        "not_found_timeout is 3.33 min. Check the id or reference, and that the API "
        "key of the connection belongs to the account that sent the messages. If "
        "they are sent later, raise not_found_timeout.",
    },
    "any SMS": {
        "status": "success",
        "messages": [
            {
                "message_id": "6b49d264f000000001000100",
                "batch_id": "6b49d264e000000001000100",
                "received": "2027-01-15T08:01:40+00:00",
                "groups": [],
            }
        ],
    },
    "SMS with a pattern": {
        "status": "success",
        "messages": [
            {
                "message_id": "6b49d264f000000001000100",
                "batch_id": "6b49d264e000000001000100",
                "received": "2027-01-15T08:01:40+00:00",
                "groups": ["no"],
            }
        ],
    },
}


@pytest.fixture
def server_options() -> dict[str, Any]:
    """The sandbox on which the literals were made."""
    return {"messages": 130, "delivery_seconds": 100}


def trigger_class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("kind", SERIALIZED)
@pytest.mark.parametrize("moves", [False, True])
def test_a_deferred_wait_ends_as_before(server: SandboxServer, clock: Clock, kind: str, moves: bool) -> None:
    """It also moves to another triggerer after the upgrade."""
    clock.after(100, lambda: server.receive(EMPTY, "Nej tack"))
    path, kwargs = SERIALIZED[kind]
    if moves:
        path, kwargs = json.loads(json.dumps(trigger_class(path)(**kwargs).serialize()))
        assert kwargs.keys() == {"ip1_conn_id", "wait"}
    event = run_trigger(kwargs, trigger_class(path))
    if event["status"] == "error":
        # Its text contains a duration that depends on chance.
        assert event.pop("text")[:56] == EVENTS[kind]["text"][:56]
        assert event.items() <= EVENTS[kind].items()
    elif kind == "SMS with a pattern" or kind == "any SMS":
        # The ids depend on how many messages the sandbox has received.
        assert [(each["received"], each["groups"]) for each in event["messages"]] == [
            (each["received"], each["groups"]) for each in EVENTS[kind]["messages"]
        ]
    else:
        assert event == EVENTS[kind]


@pytest.mark.parametrize("kind", SERIALIZED)
def test_the_first_poll_and_the_deadline_stay(server: SandboxServer, clock: Clock, kind: str) -> None:
    path, kwargs = SERIALIZED[kind]
    polled_at: list[float] = []
    server.sandbox._record = lambda request: polled_at.append(clock.now)
    if "batch_id" in kwargs:
        kwargs = kwargs | {"expected": [599], "failed": [], "not_found_timeout": None}
    else:
        kwargs = kwargs | {"pattern": "never"}
    assert run_trigger(kwargs, trigger_class(path))["status"] == "timeout"
    assert kwargs["poll_at"] <= polled_at[0] < kwargs["poll_at"] + 0.1
    assert 600 <= clock.elapsed < 602


class TestEvents:
    """An event that a triggerer with 0.2.0 sent reaches a worker that was upgraded meanwhile."""

    MESSAGE = EVENTS["message of a batch"]["messages"][0]

    @staticmethod
    def resume(event: dict[str, Any], sensor: Callable[..., Any] = MessageStatusSensor, **arguments: Any) -> Any:
        selection = {"batch_id": "69000000c000000000000007"} if sensor is MessageStatusSensor else {}
        task = sensor(task_id="wait", deferrable=True, **{**selection, **arguments})
        return task.resume_execution("execute_complete", {"event": event}, {})

    @pytest.mark.parametrize("kind", [kind for kind in EVENTS if EVENTS[kind]["status"] == "success"])
    def test_a_success(self, kind: str) -> None:
        event = EVENTS[kind]
        if SERIALIZED[kind][0] == STATUS:
            assert self.resume(event) == event["messages"]
        else:
            assert self.resume(event, IncomingSmsSensor, participant=EMPTY) == event["messages"][0]

    def test_a_failure(self) -> None:
        text = "201 DeliveredToHandset (delivered): message 69000000d000001000000000 of batch b to 46***09."
        event = {"status": "failure", "text": text, "messages": [self.MESSAGE]}
        with pytest.raises(IP1DeliveryError, match="^201 DeliveredToHandset") as caught:
            self.resume(event)
        assert caught.value.messages == [self.MESSAGE]

    def test_a_large_batch(self, server: SandboxServer) -> None:
        assert len(self.resume({"status": "success", "count": 120})) == 120
        with pytest.raises(IP1DeliveryError, match="^201 Deliv"):
            self.resume({"status": "failure", "text": "201 Delivered", "count": 120})

    def test_a_timeout(self) -> None:
        event = {"status": "timeout", "text": "Batch b: 1 x 112 DeliveredToCarrier (pending)"}
        with pytest.raises(Exception, match=r"Time is up after 10 min\. Last poll: Batch b: 1 x 112"):
            self.resume(event, timeout=600)

    def test_an_error(self) -> None:
        event = {"status": "error", "error": "IP1AuthError", "text": "iP.1 rejected the API key (401)."}
        with pytest.raises(IP1AuthError, match="rejected the API key"):
            self.resume(event)


class TestWatcher:
    """The positions that 0.2.0 saved in the state of an asset are found."""

    @pytest.mark.parametrize(
        ("arguments", "key"),
        [
            ({"start": "now", "poke_interval": 60.0}, "ip1_incoming_sms_753d37694b3ca2be"),
            ({"start": "beginning", "poke_interval": 60.0}, "ip1_incoming_sms_aea646594bb8092c"),
            ({"start": "2026-11-01T00:00:00+00:00", "poke_interval": 30.0}, "ip1_incoming_sms_657ba59d6a8ee06d"),
        ],
        ids=str,
    )
    def test_the_key_stays(self, arguments: dict[str, Any], key: str) -> None:
        serialized = {"participant": "46701740605", **arguments, "ip1_conn_id": "ip1_default"}
        trigger = IncomingSmsTrigger(**serialized)
        assert trigger._state_key == key
        assert trigger.serialize()[1] == serialized
