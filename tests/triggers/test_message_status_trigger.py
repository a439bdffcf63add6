# SPDX-License-Identifier: Apache-2.0
"""What only MessageStatusTrigger does. Cases that all modes share are in tests/sensors."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from airflow_provider_ip1.api.watching.status_watch import StatusWatch
from airflow_provider_ip1.api.watching.wait import Wait
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks import poll as poll_module
from airflow_provider_ip1.sandbox.participants import LIVE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from airflow_provider_ip1.triggers import base as trigger_module
from airflow_provider_ip1.triggers.message_status import MessageStatusTrigger
from tests.sensor_modes import Clock, run_trigger

DELIVERED, STUCK = DEMO_BATCHES["delivered"][0], DEMO_BATCHES["stuck"][0]
WAIT: dict[str, Any] = {
    "participant": LIVE,
    "batch_id": None,
    "message_id": None,
    "reference": "demo-delivered",
    "expected": [202, "delivered"],
    "failed": ["rejected"],
    "require": "any",
    "expected_count": 3,
    "not_found_timeout": 3600.0,
    "known_at": 1_800_000_010.0,
    "deadline": 1_800_000_600.5,
    "started_at": 1_800_000_000.25,
    "poll_at": 1_800_000_030.0,
    "poke_interval": 30.0,
    "exponential_backoff": True,
    "max_wait": 120.0,
    "silent_fail": True,
    "max_outage": 7200.0,
    "failures": 2,
    "failing_since": 1_800_000_005.0,
    "state": {"found": [["b", "m"]], "newest": "m", "warned": [299], "count": 1},
}
ARGUMENTS: dict[str, Any] = {"ip1_conn_id": "other", "wait": WAIT}


@pytest.fixture
def server_options() -> dict[str, Any]:
    return {"messages": 0, "delivery_seconds": 100}


def until(clock: Clock, seconds: float, **entries: Any) -> dict[str, Any]:
    return {"wait": {"started_at": clock.now, "deadline": clock.now + seconds, "poke_interval": 30.0, **entries}}


class TestSerialization:
    def test_every_argument_comes_back(self) -> None:
        path, kwargs = MessageStatusTrigger(**ARGUMENTS).serialize()
        assert path == "airflow_provider_ip1.triggers.message_status.MessageStatusTrigger"
        assert json.loads(json.dumps(kwargs)) == kwargs == ARGUMENTS
        assert MessageStatusTrigger(**kwargs).serialize() == (path, kwargs)

    def test_the_wait_has_every_entry(self) -> None:
        assert Wait.from_dict(WAIT, StatusWatch).to_dict() == WAIT

    @pytest.mark.parametrize(
        "arguments", [{}, {"ip1_conn_id": "other"}, {"wait": WAIT, "deadline": 2.0}, {"wait": "later"}], ids=str
    )
    def test_there_is_exactly_one_wait(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match="MessageStatusTrigger takes ip1_conn_id and wait"):
            MessageStatusTrigger(**arguments)

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
            shown = repr(MessageStatusTrigger(wait=WAIT | {"reference": reference}))
            assert LIVE not in shown and "until 1800000600" in shown


class TestRestart:
    """Another triggerer starts the trigger with the same arguments."""

    def test_an_overdue_poll_happens_soon(self, clock: Clock, server: SandboxServer) -> None:
        arguments = until(clock, 600, batch_id=DELIVERED, poll_at=clock.now + 30)
        clock.sleep(250)
        assert run_trigger(arguments)["status"] == "success"
        assert clock.elapsed < 261

    def test_keeps_the_deadline(self, clock: Clock, server: SandboxServer) -> None:
        arguments = until(clock, 600, batch_id=STUCK, poll_at=clock.now + 30)
        clock.sleep(400)
        assert run_trigger(arguments)["status"] == "timeout"
        assert 600 <= clock.elapsed < 611

    def test_polls_once_after_the_deadline(self, clock: Clock, server: SandboxServer) -> None:
        """A triggerer that was down for a long time still notices a delivery."""
        arguments = until(clock, 60, batch_id=DELIVERED, poll_at=clock.now + 30)
        clock.sleep(5000)
        assert run_trigger(arguments)["status"] == "success"

    def test_continues_with_what_the_worker_found(self, clock: Clock, server: SandboxServer) -> None:
        state = {"found": [[DELIVERED, "69000000d000001000000000"]], "newest": None, "warned": []}
        arguments = until(
            clock, 600, participant=LIVE, message_id="69000000d000001000000000", state=state, expected="pending"
        )
        assert run_trigger(arguments)["status"] == "success"
        assert [request.path for request in server.requests] == [
            f"/v2/batches/{DELIVERED}/messages/69000000d000001000000000"
        ]

    def test_not_found_timeout_counts_from_the_start_of_the_wait(self, clock: Clock, server: SandboxServer) -> None:
        arguments = until(clock, 600, batch_id="unknown", not_found_timeout=200.0)
        clock.sleep(150)
        assert run_trigger(arguments)["error"] == "IP1NotFoundError"
        assert 200 <= clock.elapsed < 240

    def test_not_found_timeout_counts_from_what_the_worker_found(self, clock: Clock, server: SandboxServer) -> None:
        arguments = until(clock, 600, batch_id="unknown", not_found_timeout=200, known_at=clock.now + 100)
        assert run_trigger(arguments)["error"] == "IP1NotFoundError"
        assert 300 <= clock.elapsed < 340

    def test_earlier_failures_count(self, clock: Clock, server: SandboxServer) -> None:
        server.faults.add("500")
        arguments = until(clock, 600, batch_id=STUCK, failures=9, failing_since=clock.now - 3600)
        assert run_trigger(arguments)["error"] == "IP1ServerError"
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
    def test_invalid_arguments_are_reported_in_the_event(
        self, clock: Clock, server: SandboxServer, arguments: dict[str, Any]
    ) -> None:
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
    def test_it_is_closed_before_the_event(
        self, clock: Clock, server: SandboxServer, sessions: list[aiohttp.ClientSession]
    ) -> None:
        async def first_event() -> Any:
            # Airflow may not come back to the generator after the event.
            events = MessageStatusTrigger(**until(clock, 600, batch_id=DELIVERED)).run()
            event = await anext(events)
            assert [session.closed for session in sessions] == [True]
            return event

        assert asyncio.run(first_event()).payload["status"] == "success"

    def test_it_is_closed_when_the_trigger_is_cancelled(
        self, server: SandboxServer, sessions: list[aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The trigger is cancelled while it sleeps on the real clock."""
        for module in (trigger_module, poll_module):
            monkeypatch.setattr(module, "time", SimpleNamespace(time=time.time))
        monkeypatch.setattr(poll_module, "asyncio", asyncio)
        now = time.time()
        wait = {"started_at": now, "deadline": now + 600, "poll_at": now + 0.1, "batch_id": STUCK}
        trigger = MessageStatusTrigger(wait=wait)

        async def cancel_after_a_poll() -> None:
            task = asyncio.ensure_future(anext(trigger.run()))
            async with asyncio.timeout(60):
                while not server.requests or server.in_flight:
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancel_after_a_poll())
        assert [session.closed for session in sessions] == [True]

    def test_all_polls_share_it(
        self, clock: Clock, server: SandboxServer, sessions: list[aiohttp.ClientSession]
    ) -> None:
        assert run_trigger(until(clock, 600, batch_id=STUCK))["status"] == "timeout"
        assert len(server.requests) >= 10
        assert len(sessions) == 1
