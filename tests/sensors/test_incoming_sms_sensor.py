# SPDX-License-Identifier: Apache-2.0
"""IncomingSmsSensor against the sandbox: the same cases in all three modes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1Error, IP1ResponseError
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, NAME
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from tests.airflow_names import TaskDeferred
from tests.sensor_modes import Clock, Outcome, StateStore, TaskInstance, connect

Run = Callable[..., Outcome]
TEXT = "Ja tack, gärna!"


@pytest.fixture
def server_options() -> dict[str, Any]:
    return {"messages": 130}


@pytest.fixture
def sensor_arguments() -> dict[str, Any]:
    return {"sensor": IncomingSmsSensor, "participant": MAIN}


def receive(server: SandboxServer, clock: Clock, after: float, text: str = TEXT, sender: str = MAIN) -> None:
    """Let a message arrive a number of seconds after the start."""
    clock.after(after, lambda: server.receive(sender, text))


class TestResult:
    def test_waits_for_the_next_message(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        receive(server, clock, 100)
        outcome = run()
        assert outcome.state == "success", outcome
        incoming = server.conversation(MAIN, "mo")[-1]
        assert outcome.result == {
            "message_id": incoming["id"],
            "batch_id": incoming["batchId"],
            "received": "2027-01-15T08:01:40+00:00",
            "groups": [],
        }
        assert 100 <= clock.elapsed < 140

    def test_a_conversation_that_is_empty_so_far(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        receive(server, clock, 50, sender=EMPTY)
        assert run(participant=f"+46 70 174 06 {EMPTY[-2:]}").state == "success"

    def test_a_sender_name(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        receive(server, clock, 50, sender=NAME)
        assert run(participant=NAME).state == "success"

    def test_other_participants_and_outgoing_messages_do_not_count(
        self, run: Run, server: SandboxServer, clock: Clock
    ) -> None:
        receive(server, clock, 50, sender=EMPTY)
        clock.after(60, lambda: server.send([MAIN]))
        assert run().kind == "AirflowSensorTimeout"
        assert 600 <= clock.elapsed < 605

    @pytest.mark.parametrize(("before", "is_found"), [(20, True), (40, False)])
    def test_the_default_start_allows_for_the_clock_of_ip1(
        self, run: Run, server: SandboxServer, clock: Clock, before: float, is_found: bool
    ) -> None:
        server.receive(MAIN, TEXT)
        clock.sleep(before)
        assert run().state == ("success" if is_found else "failed")

    @pytest.mark.parametrize("kind", ["text", "zone", "datetime", "template"])
    def test_since(self, run: Run, server: SandboxServer, clock: Clock, kind: str) -> None:
        server.receive(MAIN, "too early")
        clock.sleep(1000)
        since = clock.utcnow() - timedelta(seconds=500)
        clock.sleep(10)
        expected = server.receive(MAIN, TEXT)
        clock.sleep(3000)
        forms = {
            "text": f"{since:%Y-%m-%dT%H:%M:%S}",
            "zone": since.astimezone(datetime.now().astimezone().tzinfo).isoformat(),
            "datetime": since,
            "template": since.isoformat(),
        }
        outcome = run(since=forms[kind])
        assert outcome.result["message_id"] == expected
        assert clock.elapsed < 4020

    def test_a_blank_since_is_the_default(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        server.receive(MAIN, "too early")
        clock.sleep(1000)
        receive(server, clock, 1050)
        assert run(since="").result["received"] == "2027-01-15T08:17:30+00:00"

    def test_the_oldest_of_several_matches_counts(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        clock.sleep(100)
        ids = [server.receive(MAIN, text) for text in ("hello", "NO", "YES")]
        assert run(pattern="(?P<yes>YES)|(?P<no>NO)").result["message_id"] == ids[1]

    def test_many_messages_since_the_start(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        since = clock.utcnow()
        ids = [server.receive(MAIN, f"{number}") for number in range(130)]
        assert run(since=since, pattern="^7$").result["message_id"] == ids[7]

    def test_a_message_that_appears_late(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        """Below newer ones that have been looked at already."""
        for number in range(3):
            receive(server, clock, 10, f"not this {number}")

        def appear() -> None:
            server.receive(MAIN, "late YES")
            conversation = server.sandbox.store.conversations[MAIN]
            rows = list(conversation.rows)
            conversation.rows = [*rows[:-4], rows[-1], *rows[-4:-1]]

        clock.after(100, appear)
        outcome = run(pattern="YES")
        assert outcome.state == "success"
        assert 100 <= clock.elapsed < 140


class TestPattern:
    PATTERN = r"(?i)^\s*(?:(?P<yes>yes|ja)|(?P<no>no|nej))\b"

    @pytest.mark.parametrize(
        ("text", "groups"), [("Ja tack", ["yes"]), ("  NEJ!", ["no"]), ("yes please", ["yes"])], ids=str
    )
    def test_the_names_of_the_groups_that_matched(
        self, run: Run, server: SandboxServer, clock: Clock, text: str, groups: list[str]
    ) -> None:
        receive(server, clock, 40, "What do you mean?")
        receive(server, clock, 100, text)
        outcome = run(pattern=self.PATTERN)
        assert outcome.result["groups"] == groups
        assert 100 <= clock.elapsed < 140
        assert text not in json.dumps(outcome.result)

    def test_no_match(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        receive(server, clock, 40, "Maybe")
        receive(server, clock, 100, "Later")
        outcome = run(pattern=self.PATTERN)
        assert outcome.kind == "AirflowSensorTimeout"
        count = "2 messages from 46***05, but none that matches"
        assert str(outcome.error) == f"Time is up after 10 min. Last poll: {count}"

    def test_catastrophic_backtracking_ends_the_wait(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        receive(server, clock, 40, "x" * 1900)
        # Without the limit, this would take longer than the universe has existed.
        outcome = run(pattern="(x+x+)+y")
        assert (outcome.state, outcome.kind) == ("failed", "IP1Error")
        assert "backtracks too much" in str(outcome.error)

    @pytest.mark.parametrize("mode", ["poke"])
    @pytest.mark.parametrize("pattern", ["(", "(?P<a>x)(?P<a>y", "*", b"x", 7])
    def test_an_invalid_pattern_fails_when_the_dag_is_parsed(self, mode: str, pattern: Any) -> None:
        with pytest.raises(ValueError, match="^pattern "):
            IncomingSmsSensor(task_id="wait", participant=MAIN, pattern=pattern)


class TestText:
    @pytest.mark.parametrize("return_text", [False, True])
    def test_the_text_is_returned_on_request_only(
        self, run: Run, server: SandboxServer, clock: Clock, return_text: bool, logged: Callable[[], str]
    ) -> None:
        receive(server, clock, 100)
        result = run(return_text=return_text).result
        assert result.get("text") == (TEXT if return_text else None)
        told = logged()
        assert TEXT not in told
        assert MAIN not in told + json.dumps(result)
        assert server.key not in told

    def test_the_triggers_arguments_and_event_contain_no_text(
        self, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tests.sensor_modes import run_trigger

        clock.rule(monkeypatch)
        server.receive(MAIN, "other text")
        sensor = IncomingSmsSensor(
            task_id="wait", participant=MAIN, pattern="^Ja", return_text=True, deferrable=True, timeout=600
        )
        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute({})
        path, kwargs = deferred.value.trigger.serialize()
        assert path == "airflow_provider_ip1.triggers.incoming_sms_wait.IncomingSmsWaitTrigger"
        assert "other text" not in json.dumps(kwargs)
        assert len(json.dumps(kwargs)) < 2500
        assert kwargs["wait"]["state"]["others"] == 1
        receive(server, clock, 100)
        event = run_trigger(kwargs, type(deferred.value.trigger))
        assert TEXT not in json.dumps(event) and MAIN not in json.dumps(event)
        assert MAIN not in json.dumps(kwargs["wait"]["state"]) + repr(deferred.value.trigger)
        assert sensor.execute_complete({}, event)["text"] == TEXT

    def test_a_message_without_a_batch(self, server: SandboxServer) -> None:
        sensor = IncomingSmsSensor(task_id="wait", participant=MAIN, return_text=True)
        message = {"message_id": "m", "batch_id": None, "received": None, "groups": []}
        with pytest.raises(IP1ResponseError, match="without a batch id"):
            sensor.execute_complete({}, {"status": "success", "messages": [message]})


class TestFaults:
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_key_ends_the_wait_at_once(
        self, run: Run, server: SandboxServer, clock: Clock, status: int
    ) -> None:
        clock.after(50, lambda: server.faults.add(str(status)))
        outcome = run()
        assert (outcome.state, outcome.kind) == ("failed", "IP1AuthError")
        assert 50 <= clock.elapsed < 80

    def test_an_invalid_participant_ends_the_wait_at_once(self, run: Run, server: SandboxServer) -> None:
        assert run(participant="No such sender name").kind == "RejectedParticipant"
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("503", "IP1ServerError"),
            ("reset", "IP1ServerError"),
            ("429", "IP1RateLimitError"),
            ("html", "IP1ResponseError"),
            ("418", "IP1ResponseError"),
        ],
    )
    def test_a_long_outage_ends_the_wait(
        self, run: Run, server: SandboxServer, clock: Clock, fault: str, error: str
    ) -> None:
        clock.after(15, lambda: server.faults.add(fault))
        outcome = run(max_outage=300)
        assert (outcome.state, outcome.kind) == ("failed", error)
        assert 330 <= clock.elapsed < 430
        assert "and max_outage is 5 min, so the wait ends here." in str(outcome.error)

    @pytest.mark.parametrize("fault", ["503", "html", "429"])
    def test_an_outage_of_almost_an_hour_is_waited_out(
        self, run: Run, server: SandboxServer, clock: Clock, fault: str
    ) -> None:
        clock.after(15, lambda: server.faults.add(fault))
        receive(server, clock, 100)
        clock.after(15 + 3590, server.faults.clear)
        assert run(poke_interval=10, timeout=6 * 3600).state == "success"
        assert 3600 <= clock.elapsed < 3700

    @pytest.mark.parametrize("fault", ["503", "reset", "html", "429"])
    def test_a_reply_during_a_short_outage(self, run: Run, server: SandboxServer, clock: Clock, fault: str) -> None:
        clock.after(15, lambda: server.faults.add(fault))
        receive(server, clock, 100)
        clock.after(200, server.faults.clear)
        assert run().state == "success"
        assert 200 <= clock.elapsed < 240

    def test_a_timeout_during_an_outage(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        server.faults.add("503")
        outcome = run(timeout=100)
        assert (outcome.state, outcome.kind) == ("failed", "AirflowSensorTimeout")
        assert "503" in str(outcome.error)

    def test_a_list_in_the_wrong_order(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        """A server that ignores the order would hide every new message."""
        server.faults.add("ignore-order")
        assert run(max_outage=300).kind == "IP1ResponseError"

    def test_a_changed_key_is_used(
        self, run: Run, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def change() -> None:
            server.key = "another-key"
            connect(server, monkeypatch)

        clock.after(45, change)
        receive(server, clock, 100)
        assert run().state == "success"

    def test_a_connection_that_is_deleted(
        self, run: Run, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", os.environ["AIRFLOW_CONN_IP1_DEFAULT"])
        clock.after(45, lambda: monkeypatch.delenv("AIRFLOW_CONN_OTHER"))
        assert run(ip1_conn_id="other", soft_fail=True).kind == "IP1ConnectionError"


# The state in which a task ends: without option, with soft_fail, and with never_fail, as for MessageStatusSensor.
SOFT_FAIL_TABLE = {
    "received": ("success", "success", "success"),
    "time up": ("failed", "skipped", "skipped"),
    "time up in an outage": ("failed", "skipped", "skipped"),
    "connection missing": ("failed", "failed", "skipped"),
    "key refused": ("failed", "failed", "skipped"),
    "participant invalid": ("failed", "failed", "skipped"),
    "outage": ("failed", "failed", "skipped"),
    "rate limit": ("failed", "failed", "skipped"),
    "slow pattern": ("failed", "failed", "skipped"),
}
CAUSES: dict[str, tuple[dict[str, Any], str | None]] = {
    "received": ({}, None),
    "time up": ({"pattern": "never"}, None),
    "time up in an outage": ({"timeout": 90}, "500"),
    "connection missing": ({"ip1_conn_id": "missing"}, None),
    "key refused": ({}, "401"),
    "participant invalid": ({"participant": "No such sender name"}, None),
    "outage": ({"max_outage": 300}, "500"),
    "rate limit": ({"max_outage": 300}, "429"),
    "slow pattern": ({"pattern": "(x+x+)+y"}, None),
}


@pytest.mark.parametrize("cause", SOFT_FAIL_TABLE)
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


def test_silent_fail_waits_out_every_error(run: Run, server: SandboxServer, clock: Clock) -> None:
    clock.after(15, lambda: server.faults.add("401"))
    receive(server, clock, 300)
    clock.after(400, server.faults.clear)
    assert run(silent_fail=True).state == "success"


@pytest.mark.parametrize("poke_interval", [0, 5])
@pytest.mark.parametrize("fault", [None, "401", "500"])
def test_no_hot_loop(run: Run, server: SandboxServer, clock: Clock, fault: str | None, poke_interval: float) -> None:
    if fault is not None:
        server.faults.add(fault)
    assert run(silent_fail=True, poke_interval=poke_interval, timeout=120).kind == "AirflowSensorTimeout"
    assert len(server.requests) <= clock.elapsed / max(1, poke_interval) + 2


def test_reschedule_remembers_what_it_has_seen(
    server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Airflow 3.3, a poke reads only what the one before has not read."""
    # A page that was requested ahead may arrive when the next poke has begun.
    connect(server, monkeypatch, concurrency=1)
    clock.rule(monkeypatch)
    context: Any = {"task_state_store": StateStore(), "ti": TaskInstance(clock)}
    since = clock.utcnow()
    for number in range(130):
        server.receive(MAIN, f"no {number}")

    def poke() -> int:
        before = len(server.requests)
        sensor = IncomingSmsSensor(
            task_id="wait", participant=MAIN, pattern="yes", since=since, mode="reschedule", deferrable=False
        )
        assert not sensor.poke(context)
        return len([request for request in server.requests[before:] if request.path.endswith("/mo")])

    first, *later = [poke() for _ in range(3)]
    assert first > 2 and later == [1, 1]
    assert MAIN not in json.dumps(context["task_state_store"])


class FailingStore(StateStore):
    """A state store of Airflow that cannot be reached, or whose backend cannot be loaded."""

    error: Exception = RuntimeError("API_SERVER_ERROR")

    def get(self, *_: Any) -> Any:
        raise self.error

    def set(self, *_: Any) -> None:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("API_SERVER_ERROR"), ValueError("Could not load worker state backend")])
def test_reschedule_goes_on_without_the_state_store(
    server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str], error: Exception
) -> None:
    clock.rule(monkeypatch)
    store = FailingStore()
    store.error = error
    context: Any = {"task_state_store": store, "ti": TaskInstance(clock)}
    since = clock.utcnow()
    for is_there in (False, True):
        sensor = IncomingSmsSensor(task_id="wait", participant=MAIN, since=since, mode="reschedule", deferrable=False)
        assert bool(sensor.poke(context)) is is_there
        server.receive(MAIN, "yes")
    assert f"the state of tasks has failed ({type(error).__name__})" in logged()


def test_one_request_per_poll(run: Run, server: SandboxServer, clock: Clock) -> None:
    receive(server, clock, 100)
    assert run().state == "success"
    # The polls are 0, 30, 60, 90 and 120 seconds after the start. The first two requests prove the server.
    reads = [request for request in server.requests if request.path.endswith("/mo")]
    assert [(request.query["start"], request.query["order"]) for request in reads] == [("0", "DESC")] * 5


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"since": "yesterday"}, ValueError, "since: 'yesterday' is not a time"),
            ({"since": 7}, ValueError, r"since: \*\*\* is not a time"),
            ({"since": f"['{MAIN}']"}, ValueError, r"since: 46\*\*\*05 is not a time"),
            ({"participant": ""}, ValueError, "participant"),
            ({"participant": "['Shop', 'Salon']"}, ValueError, "participant: a template rendered a list as text"),
            ({"participant": "0701740605"}, Exception, "country code"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_templated_values_are_checked_when_the_task_runs(
        self, server: SandboxServer, arguments: dict[str, Any], error: type[Exception], text: str, deferrable: bool
    ) -> None:
        sensor = IncomingSmsSensor(task_id="wait", deferrable=deferrable, **{"participant": MAIN, **arguments})
        with pytest.raises(Exception, match=text):
            sensor.execute({})
        assert server.requests == []

    def test_every_template_field_is_an_argument(self) -> None:
        sensor = IncomingSmsSensor(task_id="wait", participant=MAIN)
        assert set(sensor.template_fields) == {"participant", "since", "ip1_conn_id"}
        assert all(hasattr(sensor, name) for name in sensor.template_fields)


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        {"status": "success"},
        {"status": "success", "messages": []},
        {"status": "success", "messages": [{"message_id": "m"}]},
        {"status": "success", "messages": [{"message_id": "m", "batch_id": 7, "received": None, "groups": []}]},
        {"status": "error", "error": "annotations", "text": "x"},
        {"status": "failure", "messages": [], "text": "x"},
        {"status": "error", "error": "SystemExit", "text": "x"},
    ],
    ids=str,
)
@pytest.mark.parametrize("soft_fail", [False, True])
def test_an_unexpected_event_is_an_error(event: Any, soft_fail: bool) -> None:
    sensor = IncomingSmsSensor(task_id="wait", participant=MAIN, deferrable=True, soft_fail=soft_fail)
    with pytest.raises(IP1Error, match="event that the trigger of IncomingSmsSensor does not send"):
        sensor.resume_execution("execute_complete", {"event": event}, {})


def test_utc(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are UTC whatever the worker's zone is."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        sensor = IncomingSmsSensor(task_id="wait", participant=MAIN)
        before = datetime.now(UTC)
        since = sensor._make_wait({}).watch.since
        assert before <= since + timedelta(seconds=30) <= datetime.now(UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
