# SPDX-License-Identifier: Apache-2.0
"""A batch of 5,000 messages: few requests per poll, and a small event in Airflow's metadata database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.compat import AirflowSensorTimeout
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from airflow_provider_ip1.sensors.message_status import IP1DeliveryError, MessageStatusSensor
from tests.sensor_modes import Clock, Outcome, run_trigger

COUNT = 5000
SUCCESS = {"status": "success", "count": 120}
LARGE = DEMO_BATCHES["large"][0]


def recipients(count: int) -> list[str]:
    """Numbers under country code 999, which is not assigned."""
    return [f"99970{index:06}" for index in range(count)]


@pytest.fixture
def batch(server: SandboxServer) -> str:
    return server.send(recipients(COUNT))


@pytest.fixture(autouse=True)
def ruling_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.rule(monkeypatch)


def event_of(clock: Clock, **arguments: Any) -> Any:
    wait = {"started_at": clock.now, "deadline": clock.now + 600, "poke_interval": 50, **arguments}
    return run_trigger({"wait": wait})


def stored_size(event: Any) -> int:
    """The size of an event in the metadata database, in bytes."""
    try:
        from airflow.serialization.serialized_objects import BaseSerialization
    except ImportError:
        return len(json.dumps(event))
    return len(json.dumps(BaseSerialization.serialize(event)))


def test_each_poll_is_at_most_seven_requests(
    run: Callable[..., Outcome], mode: str, server: SandboxServer, batch: str
) -> None:
    outcome = run(batch_id=batch, poke_interval=50)
    assert len(outcome.result) == COUNT
    assert {message["code"] for message in outcome.result} == {201}
    assert {tuple(message) for message in outcome.result} == {
        ("message_id", "batch_id", "code", "category", "created")
    }  # fmt: skip
    # It polls 0, 50 and 100 seconds after the start. A deferred task reads the statuses once more on the worker.
    polls = 4 if mode == "deferrable" else 3
    assert len(server.requests) <= 7 * polls
    assert all(request.query["limit"] == "1000" for request in server.requests)


@pytest.mark.parametrize("expected", ["delivered", "rejected"])
def test_the_event_is_small(clock: Clock, batch: str, expected: str) -> None:
    event = event_of(clock, batch_id=batch, expected=expected)
    assert stored_size(event) <= 4096
    assert event["count"] == COUNT


@pytest.mark.parametrize("count", range(1, 41, 3))
def test_the_event_of_a_small_batch_is_small(clock: Clock, server: SandboxServer, count: int) -> None:
    batch = server.send(recipients(count), reference="x" * 3000)
    event = event_of(clock, batch_id=batch, expected="rejected")
    assert stored_size(event) <= 4096


class TestWorker:
    """The worker reads the statuses that do not fit into the event."""

    @staticmethod
    def resume(event: dict[str, Any], **arguments: Any) -> Any:
        options = {"batch_id": LARGE, "poke_interval": 30, "timeout": 600, "max_outage": 300, **arguments}
        sensor = MessageStatusSensor(task_id="wait", deferrable=True, **options)
        return sensor.resume_execution("execute_complete", {"event": event}, {})

    def test_a_failure(self, server: SandboxServer) -> None:
        event = {"status": "failure", "count": 120, "text": "202 Expired (undelivered): message m"}
        with pytest.raises(IP1DeliveryError, match="^202 Expired") as caught:
            self.resume(event)
        assert len(caught.value.messages) == 120
        assert self.resume(event, on_failure="return") == caught.value.messages

    def test_the_verdict_of_the_trigger_stands(self, server: SandboxServer) -> None:
        """A message may have moved on from an expected status, even to one that counts as a failure."""
        messages = self.resume(SUCCESS, expected=111, failed="pending", require="any")
        assert {message["category"] for message in messages} == {"pending"}
        assert 111 not in {message["code"] for message in messages}

    def test_an_outage_is_waited_out(self, server: SandboxServer, clock: Clock) -> None:
        server.faults.add("503@1-3")
        assert len(self.resume(SUCCESS)) == 120
        assert clock.elapsed >= 90

    @pytest.mark.parametrize(
        ("fault", "error", "text"),
        [
            ("503", "IP1ServerError", "All .* polls of the last .* failed, and max_outage is 5 min"),
            ("401", "IP1AuthError", "401"),
            ("empty-list", "IP1ResponseError", "returned only 0 of 120 messages"),
        ],
    )
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_errors(self, server: SandboxServer, fault: str, error: str, text: str, soft_fail: bool) -> None:
        """Fewer messages than the trigger saw are an error too."""
        server.faults.add(fault)
        with pytest.raises(IP1Error, match=text) as caught:
            self.resume(SUCCESS, soft_fail=soft_fail)
        assert type(caught.value).__name__ == error

    def test_a_timeout(self, server: SandboxServer) -> None:
        server.faults.add("503")
        with pytest.raises(AirflowSensorTimeout, match="503"):
            self.resume(SUCCESS, timeout=100)
