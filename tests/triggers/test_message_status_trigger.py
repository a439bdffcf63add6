# SPDX-License-Identifier: Apache-2.0
"""MessageStatusTrigger by itself. What it shares with the poking sensor is in tests/sensors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.sandbox.participants import LIVE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from airflow_provider_ip1.triggers import message_status as trigger_module
from airflow_provider_ip1.triggers.message_status import MessageStatusTrigger
from tests.sensor_modes import Clock, connect, run_trigger

DELIVERED, STUCK = DEMO_BATCHES["delivered"][0], DEMO_BATCHES["stuck"][0]
ARGUMENTS: dict[str, Any] = {
    "participant": LIVE,
    "batch_id": None,
    "message_id": None,
    "reference": "demo-delivered",
    "expected": ["delivered", 202],
    "failed": ["rejected"],
    "require": "any",
    "ip1_conn_id": "ip1_default",
    "deadline": 1_800_000_600.5,
    "started_at": 1_800_000_000.25,
    "poll_at": 1_800_000_030.0,
    "poke_interval": 30.0,
    "exponential_backoff": True,
    "max_wait": 120.0,
    "silent_fail": True,
    "failures": 2,
    "state": {"found": [["b", "m"]], "newest": "m", "warned": [299]},
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.rule(monkeypatch)
    return clock


@pytest.fixture
def server(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    with SandboxServer(messages=0, clock=clock.time, delivery_seconds=100) as server:
        connect(server, monkeypatch)
        yield server


def until(clock: Clock, seconds: float, **arguments: Any) -> dict[str, Any]:
    return {"started_at": clock.now, "deadline": clock.now + seconds, "poke_interval": 30.0, **arguments}


class TestSerialization:
    def test_every_argument_comes_back(self) -> None:
        path, kwargs = MessageStatusTrigger(**ARGUMENTS).serialize()
        assert path == "airflow_provider_ip1.triggers.message_status.MessageStatusTrigger"
        assert json.loads(json.dumps(kwargs)) == kwargs == ARGUMENTS
        assert MessageStatusTrigger(**kwargs).serialize() == (path, kwargs)

    def test_airflow_can_store_it(self) -> None:
        _, kwargs = MessageStatusTrigger(**ARGUMENTS).serialize()
        try:
            from airflow.sdk.serde import deserialize, serialize
        except ImportError:  # Airflow 2
            from airflow.serialization.serialized_objects import BaseSerialization

            assert BaseSerialization.deserialize(BaseSerialization.serialize(kwargs)) == kwargs
        else:
            assert deserialize(serialize(kwargs)) == kwargs

    def test_its_name_in_logs_shows_no_number(self) -> None:
        for reference in ("demo-delivered", LIVE):
            assert LIVE not in repr(MessageStatusTrigger(**ARGUMENTS | {"reference": reference}))


class TestRestart:
    """Another triggerer starts the trigger from the same arguments."""

    def test_polls_soon_when_the_moment_has_passed(self, clock: Clock, server: SandboxServer) -> None:
        arguments = until(clock, 600, batch_id=DELIVERED, poll_at=clock.now + 30)
        clock.sleep(250)
        assert run_trigger(arguments)["status"] == "success"
        assert clock.elapsed < 261

    def test_keeps_the_deadline(self, clock: Clock, server: SandboxServer) -> None:
        arguments = until(clock, 600, batch_id=STUCK, poll_at=clock.now + 30)
        clock.sleep(400)
        assert run_trigger(arguments)["status"] == "timeout"
        assert 600 <= clock.elapsed < 611

    def test_looks_once_when_the_deadline_has_passed(self, clock: Clock, server: SandboxServer) -> None:
        """A triggerer that was away for long still sees what was delivered meanwhile."""
        arguments = until(clock, 60, batch_id=DELIVERED, poll_at=clock.now + 30)
        clock.sleep(5000)
        assert run_trigger(arguments)["status"] == "success"

    def test_goes_on_with_what_the_worker_found(self, clock: Clock, server: SandboxServer) -> None:
        state = {"found": [[DELIVERED, "69000000d000001000000000"]], "newest": None, "warned": []}
        arguments = until(
            clock, 600, participant=LIVE, message_id="69000000d000001000000000", state=state, expected="pending"
        )
        assert run_trigger(arguments)["status"] == "success"
        assert [request.path for request in server.requests] == [
            f"/v2/batches/{DELIVERED}/messages/69000000d000001000000000"
        ]

    def test_failures_before_it_began_count(self, clock: Clock, server: SandboxServer) -> None:
        server.faults.add("500")
        assert run_trigger(until(clock, 600, batch_id=STUCK, failures=9))["error"] == "IP1ServerError"
        assert len(server.requests) == 1


class TestEvents:
    def test_nothing_personal(self, clock: Clock, server: SandboxServer) -> None:
        for arguments in ({"expected": "delivered"}, {"expected": "rejected"}, {"failed": [], "expected": 599}):
            event = run_trigger(until(clock, 300, participant=LIVE, reference="demo-delivered", **arguments))
            assert LIVE not in json.dumps(event)
            assert "sandl" not in json.dumps(event)

    @pytest.mark.parametrize(
        "arguments",
        [{"batch_id": STUCK, "expected": "arrived"}, {"participant": LIVE}, {"batch_id": STUCK, "state": 7}],
    )
    def test_a_fault_of_ours_is_told_too(self, clock: Clock, server: SandboxServer, arguments: dict[str, Any]) -> None:
        event = run_trigger(until(clock, 300, **arguments))
        assert (event["status"], event["error"]) == ("error", IP1Error.__name__)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[aiohttp.ClientSession]:
    """Every session that is opened."""
    opened: list[aiohttp.ClientSession] = []
    initialize = aiohttp.ClientSession.__init__

    def note(self: aiohttp.ClientSession, *arguments: Any, **options: Any) -> None:
        initialize(self, *arguments, **options)
        opened.append(self)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", note)
    return opened


class TestSession:
    def test_one_that_is_closed_before_the_event_goes_out(
        self, clock: Clock, server: SandboxServer, sessions: list[aiohttp.ClientSession]
    ) -> None:
        async def first_event() -> Any:
            # Whoever takes the event, as Airflow does, may never come back.
            events = MessageStatusTrigger(**until(clock, 600, batch_id=DELIVERED)).run()
            event = await anext(events)
            assert [session.closed for session in sessions] == [True]
            return event

        assert asyncio.run(first_event()).payload["status"] == "success"

    def test_closed_when_it_is_cancelled(
        self, server: SandboxServer, sessions: list[aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On the real clock: it is cancelled while it sleeps."""
        monkeypatch.setattr(trigger_module, "asyncio", asyncio)
        monkeypatch.setattr(trigger_module, "time", SimpleNamespace(time=time.time))
        trigger = MessageStatusTrigger(started_at=time.time(), deadline=time.time() + 600, batch_id=STUCK)

        async def cancel_after_a_poll() -> None:
            task = asyncio.ensure_future(anext(trigger.run()))
            async with asyncio.timeout(60):
                while len(server.requests) < 2 or server.in_flight:
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancel_after_a_poll())
        assert [session.closed for session in sessions] == [True]

    def test_the_same_for_all_polls(
        self, clock: Clock, server: SandboxServer, sessions: list[aiohttp.ClientSession]
    ) -> None:
        assert run_trigger(until(clock, 600, batch_id=STUCK))["status"] == "timeout"
        assert len(server.requests) > 20
        assert len(sessions) == 1
