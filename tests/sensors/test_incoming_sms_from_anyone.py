# SPDX-License-Identifier: Apache-2.0
"""IncomingSmsSensor(participant=None) against the sandbox: an SMS from anyone, with the same outcomes in all modes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, NAME
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from tests.sensor_modes import Clock, Outcome, StateStore, TaskInstance, connect
from tests.sensors.test_incoming_sms_sensor import CAUSES, SOFT_FAIL_TABLE, TEXT, receive

Run = Callable[..., Outcome]


@pytest.fixture
def server_options() -> dict[str, Any]:
    return {"messages": 450}


@pytest.fixture
def sensor_arguments() -> dict[str, Any]:
    return {"sensor": IncomingSmsSensor, "participant": None}


@pytest.mark.parametrize("sender", [MAIN, EMPTY, NAME])
def test_the_next_message_from_anyone(run: Run, server: SandboxServer, clock: Clock, sender: str) -> None:
    clock.after(50, lambda: server.send([MAIN]))
    receive(server, clock, 100, sender=sender)
    outcome = run()
    assert outcome.state == "success", outcome
    incoming = server.conversation(sender, "mo")[-1]
    assert outcome.result == {
        "message_id": incoming["id"],
        "batch_id": incoming["batchId"],
        "received": "2027-01-15T08:01:40+00:00",
        "groups": [],
    }
    assert 100 <= clock.elapsed < 140


def test_only_messages_since_the_start_count(run: Run, server: SandboxServer, clock: Clock) -> None:
    server.receive(MAIN, "too early")
    clock.sleep(1000)
    since = clock.utcnow() - timedelta(seconds=500)
    clock.after(1005, lambda: server.send([EMPTY]))
    expected = server.receive(EMPTY, TEXT)
    clock.sleep(3000)
    assert run(since=since).result["message_id"] == expected


def test_the_pattern_and_the_text(run: Run, server: SandboxServer, clock: Clock, logged: Callable[[], str]) -> None:
    receive(server, clock, 40, "Who is this?", sender=EMPTY)
    receive(server, clock, 100, TEXT)
    outcome = run(pattern="^(?P<yes>Ja)", return_text=True)
    assert (outcome.result["groups"], outcome.result["text"]) == (["yes"], TEXT)
    told = logged()
    assert "1 message to the account, but none that matches" in told
    for secret in (TEXT, MAIN, EMPTY, server.key):
        assert secret not in told


def test_a_burst_is_read_at_once_although_a_poll_is_limited(run: Run, server: SandboxServer, clock: Clock) -> None:
    def burst() -> None:
        for number in range(450):
            server.receive(EMPTY, f"no {number}")
        server.receive(MAIN, TEXT)

    clock.after(40, burst)
    outcome = run(pattern="^Ja")
    assert outcome.state == "success", outcome
    # A poll at 60 s reads 200 messages, two more follow at intervals of a second.
    assert 60 <= clock.elapsed < 70


@pytest.mark.parametrize("cause", sorted(SOFT_FAIL_TABLE.keys() - {"participant invalid"}))
@pytest.mark.parametrize("option", ["neither", "soft_fail", "never_fail"])
def test_soft_fail_by_mode_and_cause(run: Run, server: SandboxServer, clock: Clock, cause: str, option: str) -> None:
    arguments, fault = CAUSES[cause]
    if fault is not None:
        clock.after(15, lambda: server.faults.add(fault))
    receive(server, clock, 100, "x" * 1900)
    if option != "neither":
        arguments = {**arguments, option: True}
    outcome = run(**arguments)
    assert outcome.state == SOFT_FAIL_TABLE[cause][["neither", "soft_fail", "never_fail"].index(option)]


@pytest.mark.parametrize(
    "fault", ["503", "html", "reset", "429", "truncate", "empty-list", "list-lag=90", "link=none", "clamp=60"]
)
def test_faults(run: Run, server: SandboxServer, clock: Clock, fault: str) -> None:
    """A message that arrives during an outage, or in a list that misbehaves, is found once iP.1 responds."""
    clock.after(15, lambda: server.faults.add(fault))
    receive(server, clock, 100)
    clock.after(300, server.faults.clear)
    assert run().state == "success"


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_one_request_per_poll(
    mode: str, run: Run, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In reschedule mode without a state, each poke looks for the start again."""
    # What the first poll requested ahead may arrive when the next one has begun.
    connect(server, monkeypatch, concurrency=1)
    clock.after(10, lambda: server.requests.clear())
    assert run().kind == "AirflowSensorTimeout"
    lists = [request.path for request in server.requests]
    assert lists == ["/v2/batches"] * len(lists) and 19 <= len(lists) <= 21


def test_reschedule_remembers_what_it_has_seen(
    server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Airflow 3.3, a poke takes one request."""
    # What the first poke requested ahead may arrive when the next one has begun.
    connect(server, monkeypatch, concurrency=1)
    clock.rule(monkeypatch)
    context: Any = {"task_state_store": StateStore(), "ti": TaskInstance(clock)}
    since = clock.utcnow()
    server.receive(MAIN, "no")

    def poke() -> int:
        before = len(server.requests)
        sensor = IncomingSmsSensor(
            task_id="wait", participant=None, pattern="yes", since=since, mode="reschedule", deferrable=False
        )
        assert not sensor.poke(context)
        return len(server.requests) - before

    first, *later = [poke() for _ in range(3)]
    assert first <= 16 and later == [1, 1]
    assert MAIN not in json.dumps(context["task_state_store"])


class TestArguments:
    @pytest.mark.parametrize("value", [None, "", " ", "None"], ids=repr)
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_a_template_that_renders_nothing_is_not_anyone(
        self, server: SandboxServer, value: Any, deferrable: bool
    ) -> None:
        sensor = IncomingSmsSensor(task_id="wait", participant="{{ params.number }}", deferrable=deferrable)
        # As Airflow does when it renders the template.
        sensor.participant = value
        with pytest.raises(ValueError, match="participant"):
            sensor.execute({})
        assert server.requests == []

    def test_none_in_a_mapped_task_is_not_anyone(self, server: SandboxServer, clock: Clock) -> None:
        """It may come from another task."""
        task_instance = TaskInstance(clock)
        task_instance.map_index = 0
        context: Any = {"ti": task_instance}
        with pytest.raises(ValueError, match="participant is None in a mapped task"):
            IncomingSmsSensor(task_id="wait", participant=None).execute(context)
        assert server.requests == []
