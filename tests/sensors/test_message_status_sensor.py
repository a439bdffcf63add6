# SPDX-License-Identifier: Apache-2.0
"""MessageStatusSensor: the same cases in all three modes, against the sandbox."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_ip1.api.watching.poll_schedule import MAX_FAILED_POLLS
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.sandbox.participants import LIVE, MAIN, NAME
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from airflow_provider_ip1.sensors.message_status import IP1DeliveryError, MessageStatusSensor
from tests.sensor_modes import Clock, Outcome, connect

Run = Callable[..., Outcome]
DELIVERED, EXPIRED, REJECTED, FAILED, STUCK, MIXED, LARGE = (batch_id for batch_id, _ in DEMO_BATCHES.values())
DELIVERED_MESSAGE = "69000000d000001000000000"
STUCK_MESSAGE = "69000000d000005000000000"
UNKNOWN = "69000000c00000000000ffff"


Logged = Callable[[], str]


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Logged:
    """All that was logged. Airflow 3 writes task logs to standard output, Airflow 2 hands them to logging."""
    caplog.set_level("DEBUG")

    def logged() -> str:
        out, err = capfd.readouterr()
        return out + err if "message_status" in out + err else caplog.text

    return logged


def codes(outcome: Outcome) -> list[int | None]:
    assert outcome.state == "success", outcome
    return [message["code"] for message in outcome.result]


class TestTargets:
    @pytest.mark.parametrize(
        "target",
        [
            {"batch_id": DELIVERED, "message_id": DELIVERED_MESSAGE},
            {"batch_id": DELIVERED},
            {"participant": LIVE, "message_id": DELIVERED_MESSAGE},
            {"participant": f"+46 70-174 06 {LIVE[-2:]}", "reference": "demo-delivered"},
        ],
        ids="+".join,
    )
    def test_waits_for_the_delivery(self, run: Run, clock: Clock, target: dict[str, str]) -> None:
        outcome = run(**target)
        assert outcome.state == "success", outcome
        (message,) = outcome.result
        created = message.pop("created")
        assert message == {
            "message_id": DELIVERED_MESSAGE,
            "batch_id": DELIVERED,
            "code": 201,
            "category": "delivered",
        }
        assert created == "2027-01-15T08:01:40+00:00"
        assert 100 <= clock.elapsed < 140

    def test_one_request_per_poll_for_a_message_of_a_batch(self, run: Run, server: SandboxServer) -> None:
        run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE)
        # At 0, 30, 60, 90 and 120 seconds.
        assert [request.path for request in server.requests] == [
            f"/v2/batches/{DELIVERED}/messages/{DELIVERED_MESSAGE}"
        ] * 5

    def test_a_whole_batch(self, run: Run) -> None:
        assert codes(run(batch_id=LARGE)) == [201] * 120

    def test_several_messages_share_a_reference(self, run: Run) -> None:
        outcome = run(participant=LIVE, reference="demo-mixed", expected=["delivered", 202])
        assert sorted(codes(outcome)) == [201, 201, 202]
        assert {message["batch_id"] for message in outcome.result} == {MIXED}

    @pytest.mark.parametrize("target", [{"batch_id": UNKNOWN}, {"participant": LIVE, "reference": "no-such"}])
    def test_what_never_comes_ends_when_time_is_up(self, run: Run, clock: Clock, target: dict[str, str]) -> None:
        assert run(**target).kind == "AirflowSensorTimeout"
        assert 600 <= clock.elapsed < 605

    def test_a_batch_that_is_sent_later(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        """It is searched for by reference; by id it cannot be known before it is there."""
        clock.after(200, lambda: server.send([MAIN], reference="later"))
        assert codes(run(participant=MAIN, reference="later")) == [201]
        assert 300 <= clock.elapsed < 340

    def test_a_second_message_with_the_reference_joins(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        server.send([MAIN], reference="twice")
        clock.after(50, lambda: server.send([MAIN], reference="twice"))
        assert codes(run(participant=MAIN, reference="twice")) == [201, 201]
        assert 150 <= clock.elapsed < 190

    def test_a_message_of_long_ago_is_found(self, run: Run, server: SandboxServer) -> None:
        oldest = next(message for message in server.conversation(MAIN) if message["statuses"][0]["code"] == 201)
        outcome = run(participant=MAIN, message_id=oldest["id"])
        assert [message["message_id"] for message in outcome.result] == [oldest["id"]]

    def test_a_sender_name_as_participant(self, run: Run, server: SandboxServer) -> None:
        message = next(message for message in server.conversation(NAME) if message["statuses"][0]["code"] == 201)
        assert codes(run(participant=NAME, message_id=message["id"])) == [201]


def test_only_the_first_search_reads_the_whole_conversation(
    run: Run, mode: str, server: SandboxServer, clock: Clock
) -> None:
    if mode == "reschedule":
        pytest.skip("needs Airflow's task state store, see test_reschedule_remembers_what_was_searched")
    run(participant=MAIN, message_id="not-there", timeout=300)
    first, *later = [int(request.query["start"]) for request in server.requests]
    assert first == 0
    # 450 messages are three pages of 200, and a look for more. All later polls take the newest page alone.
    assert sum(start > 200 for start in later) <= 4
    assert 9 <= later.count(0) <= 10


@pytest.mark.parametrize("mode", ["reschedule"])
def test_reschedule_remembers_what_was_searched(run: Run, mode: str, server: SandboxServer) -> None:
    class Store(dict[str, Any]):
        def set(self, key: str, value: Any) -> None:
            self[key] = json.loads(json.dumps(value))

    store = Store()
    arguments = {"task_id": "wait", "mode": "reschedule", "deferrable": False, "participant": MAIN}
    for _ in range(2):
        before = len(server.requests)
        sensor = MessageStatusSensor(**arguments, message_id="not-there")
        sensor._begin({"task_state_store": store})
        sensor.poke({"task_state_store": store})
        starts = [int(request.query["start"]) for request in server.requests[before:]]
    assert max(starts) < 200
    # Another message is searched for from the beginning.
    MessageStatusSensor(**arguments, message_id="another").poke({"task_state_store": store})
    assert int(server.requests[-1].query["start"]) > 200
    assert MAIN not in json.dumps(store)


class TestStatuses:
    @pytest.mark.parametrize(
        ("batch_id", "arguments", "expected"),
        [
            (EXPIRED, {}, "IP1DeliveryError"),
            (REJECTED, {}, "IP1DeliveryError"),
            (FAILED, {}, "IP1DeliveryError"),
            (STUCK, {}, "AirflowSensorTimeout"),
            (MIXED, {}, "IP1DeliveryError"),
            (MIXED, {"require": "any"}, [201, 201, 112]),
            (EXPIRED, {"require": "any"}, "IP1DeliveryError"),
            (EXPIRED, {"expected": 202}, [202]),
            (EXPIRED, {"expected": "202"}, [202]),
            (EXPIRED, {"expected": "Undelivered"}, [202]),
            (EXPIRED, {"expected": ["delivered", 203]}, "IP1DeliveryError"),
            (EXPIRED, {"failed": []}, "AirflowSensorTimeout"),
            (EXPIRED, {"failed": ["rejected", "511"]}, "AirflowSensorTimeout"),
            (EXPIRED, {"expected": ["undelivered"], "failed": [202]}, "IP1DeliveryError"),
            (DELIVERED, {"expected": ["rejected"], "failed": "delivered"}, "IP1DeliveryError"),
            (STUCK, {"expected": ("delivered", "112")}, [112]),
            (STUCK, {"expected": "pending"}, [101]),
            (STUCK, {"expected": "delivered", "failed": 112}, "IP1DeliveryError"),
        ],
        ids=str,
    )
    def test_the_end_of_a_wait(
        self, run: Run, batch_id: str, arguments: dict[str, Any], expected: str | list[int]
    ) -> None:
        outcome = run(batch_id=batch_id, **arguments)
        assert (codes(outcome) if outcome.state == "success" else outcome.kind) == expected

    def test_all_fails_at_the_first_failure(self, run: Run, clock: Clock, server: SandboxServer) -> None:
        """The batch's second message is settled after 83 seconds, the last one after 100."""
        outcome = run(batch_id=MIXED, expected="rejected", poke_interval=5)
        assert outcome.kind == "IP1DeliveryError"
        assert 66 <= clock.elapsed < 75

    def test_any_fails_when_none_is_left(self, run: Run, clock: Clock) -> None:
        outcome = run(batch_id=MIXED, expected="rejected", require="any", poke_interval=5)
        assert outcome.kind == "IP1DeliveryError"
        assert 100 <= clock.elapsed < 110

    def test_the_error_names_code_category_and_masks_the_number(self, run: Run) -> None:
        error = run(batch_id=EXPIRED).error
        assert isinstance(error, IP1DeliveryError) and isinstance(error, AirflowFailException)
        for part in ("202", "Expired", "undelivered", EXPIRED, "46***09"):
            assert part in str(error)
        assert LIVE not in str(error)
        assert [message["code"] for message in error.messages] == [202]

    def test_an_unknown_code_goes_by_its_first_digit(self, run: Run, server: SandboxServer) -> None:
        server.faults.add("unknown-status=299")
        error = run(batch_id=DELIVERED).error
        assert isinstance(error, IP1DeliveryError)
        assert "299 (undelivered)" in str(error)

    def test_an_unknown_code_is_warned_about_once(
        self, run: Run, mode: str, server: SandboxServer, logged: Logged
    ) -> None:
        server.faults.add("unknown-status=199")
        assert run(batch_id=DELIVERED).kind == "AirflowSensorTimeout"
        warnings = logged().count("status code 199")
        # Rescheduled, every poke is another process.
        assert warnings > 1 if mode == "reschedule" else warnings == 1


class TestFaults:
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_key_ends_it_at_once(self, run: Run, server: SandboxServer, clock: Clock, status: int) -> None:
        server.faults.add(f"{status}@3-")
        outcome = run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE)
        assert (outcome.state, outcome.kind) == ("failed", "IP1AuthError")
        assert len(server.requests) == 3
        assert 60 <= clock.elapsed < 70

    def test_an_invalid_participant_ends_it_at_once(self, run: Run, server: SandboxServer) -> None:
        assert run(participant="No such sender name", reference="x").kind == "IP1ParticipantError"
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
    @pytest.mark.parametrize("poke_interval", [0, 30])
    def test_an_outage_is_waited_out_so_long(
        self, run: Run, server: SandboxServer, clock: Clock, fault: str, error: str, poke_interval: int
    ) -> None:
        server.faults.add(f"{fault}@2-")
        outcome = run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE, poke_interval=poke_interval)
        assert (outcome.state, outcome.kind) == ("failed", error)
        # aiohttp sends a request again by itself when a connection that was used before is cut.
        assert len(server.requests) <= 1 + MAX_FAILED_POLLS * (2 if fault == "reset" else 1)
        pauses = MAX_FAILED_POLLS * max(1, poke_interval)
        assert pauses <= clock.elapsed < pauses * 1.2
        assert f"{MAX_FAILED_POLLS} polls in a row failed" in str(outcome.error)

    @pytest.mark.parametrize("fault", ["503@1", f"503@2-{MAX_FAILED_POLLS}", "reset@3-4", "html@3", "429@2"])
    def test_a_passing_outage_is_none(self, run: Run, server: SandboxServer, fault: str) -> None:
        server.faults.add(fault)
        assert codes(run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE)) == [201]

    def test_failures_count_only_in_a_row(self, run: Run, server: SandboxServer) -> None:
        server.faults.add("503@1-9", "503@11-19", "503@21-29")
        outcome = run(batch_id=STUCK, message_id=STUCK_MESSAGE, poke_interval=5, timeout=200)
        assert outcome.kind == "AirflowSensorTimeout"
        assert len(server.requests) > 30

    def test_time_is_up_during_an_outage(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        server.faults.add("503")
        outcome = run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE, timeout=100)
        assert (outcome.state, outcome.kind) == ("failed", "AirflowSensorTimeout")
        assert 100 <= clock.elapsed < 105
        assert "503" in str(outcome.error)

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_honoured(self, run: Run, server: SandboxServer, clock: Clock, status: int) -> None:
        server.faults.add(f"{status}@2:retry-after=300")
        asked: list[float] = []
        record = server.requests.append
        server.sandbox._record = lambda request: (record(request), asked.append(clock.elapsed))
        assert codes(run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE)) == [201]
        assert len(asked) == 3
        assert 300 <= asked[2] - asked[1] < 335

    def test_a_longer_retry_after_than_there_is_time(self, run: Run, server: SandboxServer) -> None:
        server.faults.add("503:retry-after=3600")
        outcome = run(batch_id=DELIVERED)
        assert outcome.kind == "AirflowSensorTimeout"
        assert "3600 s" in str(outcome.error)
        assert len(server.requests) == 1

    def test_a_changed_key_is_noticed(
        self, run: Run, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def change() -> None:
            server.key = "another-key"
            connect(server, monkeypatch)

        clock.after(45, change)
        assert codes(run(batch_id=DELIVERED)) == [201]

    def test_a_connection_that_is_deleted(
        self, run: Run, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", os.environ["AIRFLOW_CONN_IP1_DEFAULT"])
        clock.after(45, lambda: monkeypatch.delenv("AIRFLOW_CONN_OTHER"))
        outcome = run(batch_id=DELIVERED, ip1_conn_id="other", soft_fail=True)
        assert (outcome.state, outcome.kind) == ("failed", "IP1ConnectionError")
        assert "'other'" in str(outcome.error)


# What a task ends as. A delivery that failed and a wait that was too long are what soft_fail is for. A refused key, an
# outage and bad arguments are never hidden as a skip by it.
SOFT_FAIL_TABLE = {
    "delivered": ("success", "success", "success"),
    "failure status": ("failed", "skipped", "skipped"),
    "time up": ("failed", "skipped", "skipped"),
    "time up in an outage": ("failed", "skipped", "skipped"),
    "key refused": ("failed", "failed", "skipped"),
    "participant invalid": ("failed", "failed", "skipped"),
    "outage": ("failed", "failed", "skipped"),
    "rate limit": ("failed", "failed", "skipped"),
}
CAUSES: dict[str, tuple[dict[str, Any], str | None]] = {
    "delivered": ({"batch_id": DELIVERED}, None),
    "failure status": ({"batch_id": EXPIRED}, None),
    "time up": ({"batch_id": STUCK}, None),
    "time up in an outage": ({"batch_id": DELIVERED, "timeout": 90}, "500@2-"),
    "key refused": ({"batch_id": DELIVERED}, "401@2-"),
    "participant invalid": ({"participant": "No such sender name", "reference": "x"}, None),
    "outage": ({"batch_id": DELIVERED}, "500@2-"),
    "rate limit": ({"batch_id": DELIVERED}, "429@2-"),
}


@pytest.mark.parametrize("cause", SOFT_FAIL_TABLE)
@pytest.mark.parametrize("option", ["neither", "soft_fail", "never_fail"])
def test_soft_fail_by_mode_and_cause(run: Run, server: SandboxServer, cause: str, option: str) -> None:
    arguments, fault = CAUSES[cause]
    if fault is not None:
        server.faults.add(fault)
    if option != "neither":
        arguments = {**arguments, option: True}
    outcome = run(**arguments)
    assert outcome.state == SOFT_FAIL_TABLE[cause][["neither", "soft_fail", "never_fail"].index(option)]


def test_silent_fail_waits_everything_out(run: Run, server: SandboxServer, clock: Clock) -> None:
    server.faults.add("401@1-12")
    assert codes(run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE, silent_fail=True)) == [201]


@pytest.mark.parametrize("poke_interval", [0, 5])
@pytest.mark.parametrize("fault", [None, "401", "500", "reset"])
def test_no_hot_loop(run: Run, server: SandboxServer, clock: Clock, fault: str | None, poke_interval: float) -> None:
    """Even where every answer comes at once and errors end nothing, a minute holds 60 requests at most."""
    if fault is not None:
        server.faults.add(fault)
    target = {"batch_id": STUCK, "message_id": STUCK_MESSAGE}
    outcome = run(**target, silent_fail=True, poke_interval=poke_interval, timeout=120)
    assert outcome.kind == "AirflowSensorTimeout"
    # aiohttp sends a request again by itself when a connection that was used before is cut.
    requests_per_poll = 2 if fault == "reset" else 1
    assert len(server.requests) <= requests_per_poll * (clock.elapsed / max(1, poke_interval) + 2)


def test_exponential_backoff_spares_requests(run: Run, server: SandboxServer) -> None:
    arguments = {"batch_id": STUCK, "message_id": STUCK_MESSAGE, "timeout": 6000}
    run(**arguments, exponential_backoff=True)
    assert len(server.requests) < 15
    server.requests.clear()
    run(**arguments, exponential_backoff=True, max_wait=100)
    assert len(server.requests) > 55


@pytest.mark.parametrize(
    ("faults", "end"),
    [((), ("success", "success")), (("500@2", "unknown-status@6-=299"), ("skipped", "IP1DeliveryError"))],
)
def test_nothing_personal_in_logs_and_results(
    run: Run, server: SandboxServer, logged: Logged, faults: tuple[str, ...], end: tuple[str, str]
) -> None:
    server.faults.add(*faults)
    outcome = run(participant=LIVE, reference="demo-delivered", soft_fail=True)
    assert (outcome.state, outcome.kind) == end
    told = logged() + repr(outcome.result) + repr(outcome.error) + repr(outcome.error and outcome.error.__cause__)
    assert "demo-delivered" in told
    assert LIVE not in told
    for body in {message["body"] for message in server.conversation(LIVE)}:
        assert body not in told
    assert server.key not in told


class TestArguments:
    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"participant": MAIN},
            {"message_id": "m"},
            {"reference": "r"},
            {"batch_id": "b", "reference": "r"},
            {"participant": MAIN, "batch_id": "b"},
            {"participant": MAIN, "batch_id": "b", "message_id": "m"},
            {"participant": MAIN, "message_id": "m", "reference": "r"},
        ],
        ids="+".join,
    )
    def test_targets_that_do_not_go_together(self, given: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="Say which messages to watch") as caught:
            MessageStatusSensor(task_id="wait", **given)
        assert ", ".join(sorted(given)) in str(caught.value)
        assert MAIN not in str(caught.value)

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"expected": "arrived"}, "expected has 'arrived'"),
            ({"expected": []}, "expected is empty"),
            ({"expected": [201, 22]}, "expected has 22"),
            ({"expected": True}, "expected has True"),
            ({"expected": None}, "expected must be"),
            ({"failed": {"delivered": 1}}, "failed must be"),
            ({"failed": ["delivered"]}, "delivered is in expected and in failed"),
            ({"expected": ["201"], "failed": 201}, "201 is in expected and in failed"),
            ({"batch_id": ""}, "batch_id is empty"),
            ({"batch_id": 7}, "batch_id must be a string"),
            ({"batch_id": None, "participant": MAIN, "reference": ""}, "reference must be"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_values_are_checked_when_it_runs(
        self, server: SandboxServer, arguments: dict[str, Any], text: str, deferrable: bool
    ) -> None:
        """Not before: a template may make the value."""
        sensor = MessageStatusSensor(task_id="wait", deferrable=deferrable, **{"batch_id": DELIVERED, **arguments})
        with pytest.raises(ValueError, match=text):
            sensor.execute({})
        assert server.requests == []

    def test_require_is_checked_at_once(self) -> None:
        with pytest.raises(ValueError, match="require must be 'all' or 'any'"):
            MessageStatusSensor(task_id="wait", batch_id="b", require="most")  # type: ignore[arg-type]

    def test_every_template_field_is_an_argument(self) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id="b")
        assert set(sensor.template_fields) >= {"participant", "batch_id", "message_id", "reference", "ip1_conn_id"}
        assert all(hasattr(sensor, name) for name in sensor.template_fields)

    def test_a_code_that_ip1_does_not_document_is_warned_about(self, server: SandboxServer, logged: Logged) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id=STUCK, expected=["pending", 210])
        sensor.execute({})
        assert "Status code 210" in logged()

    def test_deferring_changes_no_default(self) -> None:
        poking = MessageStatusSensor(task_id="wait", batch_id="b", deferrable=False)
        deferring = MessageStatusSensor(task_id="wait", batch_id="b", deferrable=True)
        for name in ("poke_interval", "timeout", "mode", "retries", "soft_fail"):
            assert getattr(poking, name) == getattr(deferring, name)


class TestEvents:
    @pytest.mark.parametrize(
        "event",
        [
            None,
            {},
            [],
            "success",
            True,
            {"status": "success"},
            {"status": "success", "messages": None},
            {"status": "done", "messages": []},
            {"status": "failure"},
            {"status": "timeout"},
            {"status": "error", "error": "SystemExit", "text": "x"},
            {"status": "error", "error": "IP1AuthError"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_strange_event_is_an_error(self, event: Any, soft_fail: bool) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id="b", deferrable=True, soft_fail=soft_fail)
        with pytest.raises(IP1Error, match="event that MessageStatusTrigger does not send"):
            sensor.resume_execution("execute_complete", {"event": event}, {})
        if event is None:
            with pytest.raises(IP1Error):
                sensor.resume_execution("execute_complete", None, {})

    def test_done_at_the_first_look_needs_no_triggerer(self, server: SandboxServer) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id=STUCK, expected="pending", deferrable=True)
        assert [message["code"] for message in sensor.execute({})] == [101]

    def test_airflow_ends_the_deferral_should_no_triggerer_run(self, server: SandboxServer, clock: Clock) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id=STUCK, deferrable=True, timeout=1000)
        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute({})
        assert deferred.value.timeout is not None
        assert 1000 < deferred.value.timeout.total_seconds() <= 1600
