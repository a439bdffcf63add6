# SPDX-License-Identifier: Apache-2.0
"""MessageStatusSensor against the sandbox: the same cases in all three modes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_ip1.compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_ip1.exceptions import IP1Error, IP1NotFoundError, IP1ParticipantError
from airflow_provider_ip1.sandbox.participants import LIVE, MAIN, NAME
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from airflow_provider_ip1.sensors.message_status import IP1DeliveryError, MessageStatusSensor
from tests.airflow_names import TaskDeferralError, TaskDeferred
from tests.sensor_modes import Clock, Outcome, StateStore, TaskInstance, connect

Run = Callable[..., Outcome]
DELIVERED, EXPIRED, REJECTED, FAILED, STUCK, MIXED, LARGE = (batch_id for batch_id, _ in DEMO_BATCHES.values())
DELIVERED_MESSAGE = "69000000d000001000000000"
STUCK_MESSAGE = "69000000d000005000000000"
UNKNOWN = "69000000c00000000000ffff"

Logged = Callable[[], str]


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
        # The polls are 0, 30, 60, 90 and 120 seconds after the start.
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
    def test_a_wait_for_unknown_messages_times_out(self, run: Run, clock: Clock, target: dict[str, str]) -> None:
        assert run(**target).kind == "AirflowSensorTimeout"
        assert 600 <= clock.elapsed < 605

    def test_a_batch_that_is_sent_later(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        """Its reference is known before it is sent; its id is not."""
        clock.after(200, lambda: server.send([MAIN], reference="later"))
        assert codes(run(participant=MAIN, reference="later")) == [201]
        assert 300 <= clock.elapsed < 340

    def test_a_second_message_with_the_reference_joins(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        server.send([MAIN], reference="twice")
        clock.after(50, lambda: server.send([MAIN], reference="twice"))
        assert codes(run(participant=MAIN, reference="twice")) == [201, 201]
        assert 150 <= clock.elapsed < 190

    def test_an_old_message_is_found(self, run: Run, server: SandboxServer) -> None:
        oldest = next(message for message in server.conversation(MAIN) if message["statuses"][0]["code"] == 201)
        outcome = run(participant=MAIN, message_id=oldest["id"])
        assert [message["message_id"] for message in outcome.result] == [oldest["id"]]

    def test_a_sender_name_as_participant(self, run: Run, server: SandboxServer) -> None:
        message = next(message for message in server.conversation(NAME) if message["statuses"][0]["code"] == 201)
        assert codes(run(participant=NAME, message_id=message["id"])) == [201]


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_only_the_first_search_reads_the_whole_conversation(
    run: Run, mode: str, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In reschedule mode, it takes Airflow's task state store: see the next test."""
    # A page that was requested ahead may arrive when the next search has begun.
    connect(server, monkeypatch, concurrency=1)
    run(participant=MAIN, message_id="not-there", timeout=300)
    first, *later = [int(request.query["start"]) for request in server.requests]
    assert first == 0
    # 450 messages are three pages of 200, and a request that confirms the end. Later polls read only the newest page.
    assert sum(start > 200 for start in later) <= 4
    assert 9 <= later.count(0) <= 10


@pytest.mark.parametrize("mode", ["reschedule"])
def test_reschedule_remembers_the_search(mode: str, server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # A page that the first search requested ahead may arrive when the second one has begun.
    connect(server, monkeypatch, concurrency=1)
    store = StateStore()
    arguments = {"task_id": "wait", "mode": "reschedule", "deferrable": False, "participant": MAIN}
    for _ in range(2):
        before = len(server.requests)
        sensor = MessageStatusSensor(**arguments, message_id="not-there")
        sensor._begin({"task_state_store": store})
        sensor.poke({"task_state_store": store})
        starts = [int(request.query["start"]) for request in server.requests[before:]]
    assert max(starts) < 200
    # The search for another message starts at the beginning.
    MessageStatusSensor(**arguments, message_id="another").poke({"task_state_store": store})
    assert int(server.requests[-1].query["start"]) > 200
    assert MAIN not in json.dumps(store)


def test_a_poke_just_before_the_end_makes_the_last_poll_itself(
    server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BaseSensorOperator could find that time is up as soon as the poke returns, and would ignore never_fail then."""
    clock.rule(monkeypatch)
    sensor = MessageStatusSensor(task_id="wait", mode="reschedule", deferrable=False, batch_id=UNKNOWN, timeout=60)
    sensor._begin({})
    clock.sleep(59)
    with pytest.raises(AirflowSensorTimeout):
        sensor.poke({})
    assert clock.elapsed >= 60


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
        """The batch's second message gets its final status after 83 seconds, the last one after 100."""
        outcome = run(batch_id=MIXED, expected="rejected", poke_interval=5)
        assert outcome.kind == "IP1DeliveryError"
        assert 66 <= clock.elapsed < 75

    def test_any_fails_when_all_messages_have_failed(self, run: Run, clock: Clock) -> None:
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

    def test_an_unknown_code_counts_by_its_first_digit(self, run: Run, server: SandboxServer) -> None:
        server.faults.add("unknown-status=299")
        error = run(batch_id=DELIVERED).error
        assert isinstance(error, IP1DeliveryError)
        assert "299 (undelivered)" in str(error)

    def test_an_unknown_code_causes_one_warning(
        self, run: Run, mode: str, server: SandboxServer, logged: Logged
    ) -> None:
        server.faults.add("unknown-status=199")
        assert run(batch_id=DELIVERED).kind == "AirflowSensorTimeout"
        warnings = logged().count("status code 199")
        # In reschedule mode, every poke is another process.
        assert warnings > 1 if mode == "reschedule" else warnings == 1


class TestFaults:
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_key_ends_the_wait_at_once(
        self, run: Run, server: SandboxServer, clock: Clock, status: int
    ) -> None:
        server.faults.add(f"{status}@3-")
        outcome = run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE)
        assert (outcome.state, outcome.kind) == ("failed", "IP1AuthError")
        assert len(server.requests) == 3
        assert 60 <= clock.elapsed < 70

    def test_an_invalid_participant_ends_the_wait_at_once(self, run: Run, server: SandboxServer) -> None:
        assert run(participant="No such sender name", reference="x").kind == "RejectedParticipant"
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
    def test_a_long_outage_ends_the_wait(
        self, run: Run, server: SandboxServer, clock: Clock, fault: str, error: str, poke_interval: int
    ) -> None:
        server.faults.add(f"{fault}@2-")
        outcome = run(
            batch_id=DELIVERED, message_id=DELIVERED_MESSAGE, poke_interval=poke_interval, timeout=9000, max_outage=300
        )
        assert (outcome.state, outcome.kind) == ("failed", error)
        # aiohttp may repeat a request by itself when a used connection breaks.
        assert len(server.requests) <= 15 * (2 if fault == "reset" else 1)
        assert 300 <= clock.elapsed < 430
        assert "and max_outage is 5 min, so the wait ends here." in str(outcome.error)

    @pytest.mark.parametrize("poke_interval", [10, 60])
    @pytest.mark.parametrize("fault", ["503", "html", "429"])
    def test_an_outage_of_almost_an_hour_is_waited_out(
        self, run: Run, server: SandboxServer, clock: Clock, fault: str, poke_interval: int
    ) -> None:
        clock.after(15, lambda: server.faults.add(fault))
        clock.after(15 + 3590, server.faults.clear)
        target = {"batch_id": DELIVERED, "message_id": DELIVERED_MESSAGE}
        assert codes(run(**target, poke_interval=poke_interval, timeout=6 * 3600)) == [201]
        assert 3600 <= clock.elapsed < 3700
        assert len(server.requests) < 90

    @pytest.mark.parametrize("max_outage", [None, timedelta(hours=2)], ids=str)
    def test_a_longer_outage(self, run: Run, server: SandboxServer, clock: Clock, max_outage: timedelta | None) -> None:
        clock.after(15, lambda: server.faults.add("503"))
        clock.after(7000, server.faults.clear)
        assert codes(run(batch_id=DELIVERED, timeout=6 * 3600, max_outage=max_outage)) == [201]

    @pytest.mark.parametrize("fault", ["503@1", "503@2-10", "reset@3-4", "html@3", "429@2"])
    def test_a_short_outage_is_waited_out(self, run: Run, server: SandboxServer, fault: str) -> None:
        server.faults.add(fault)
        assert codes(run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE)) == [201]

    def test_only_failures_in_a_row_count(self, run: Run, server: SandboxServer) -> None:
        server.faults.add("503@1-9", "503@11-19", "503@21-29")
        outcome = run(batch_id=STUCK, message_id=STUCK_MESSAGE, poke_interval=5, timeout=2000, max_outage=400)
        assert outcome.kind == "AirflowSensorTimeout"
        assert len(server.requests) > 30

    def test_a_timeout_during_an_outage(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        server.faults.add("503")
        outcome = run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE, timeout=100)
        assert (outcome.state, outcome.kind) == ("failed", "AirflowSensorTimeout")
        assert 100 <= clock.elapsed < 105
        assert "503" in str(outcome.error)

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_respected(self, run: Run, server: SandboxServer, clock: Clock, status: int) -> None:
        server.faults.add(f"{status}@2:retry-after=300")
        asked: list[float] = []
        record = server.requests.append
        server.sandbox._record = lambda request: (record(request), asked.append(clock.elapsed))
        assert codes(run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE)) == [201]
        assert len(asked) == 3
        assert 300 <= asked[2] - asked[1] < 335

    def test_a_retry_after_beyond_the_timeout(self, run: Run, server: SandboxServer) -> None:
        server.faults.add("503:retry-after=3600")
        outcome = run(batch_id=DELIVERED)
        assert outcome.kind == "AirflowSensorTimeout"
        assert "3600 s" in str(outcome.error)
        assert len(server.requests) == 1

    def test_a_changed_key_is_used(
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

    def test_a_missing_connection(self, run: Run, server: SandboxServer) -> None:
        outcome = run(batch_id=DELIVERED, ip1_conn_id="missing")
        assert (outcome.state, outcome.kind) == ("failed", "IP1ConnectionError")
        assert "'missing'" in str(outcome.error)
        assert server.requests == []


class Batches:
    """Lets all batches disappear from the sandbox."""

    def __init__(self, server: SandboxServer) -> None:
        self._store = server.sandbox.store
        self._find = self._store.find_batch

    def hide(self) -> None:
        self._store.find_batch = lambda batch_id: None  # type: ignore[method-assign]

    def show(self) -> None:
        self._store.find_batch = self._find  # type: ignore[method-assign]


@pytest.fixture
def batches(server: SandboxServer) -> Batches:
    return Batches(server)


class TestNotFound:
    @pytest.mark.parametrize(
        ("target", "shown"),
        [
            ({"batch_id": UNKNOWN}, f"batch {UNKNOWN}"),
            ({"batch_id": DELIVERED, "message_id": "unknown"}, "message unknown"),
            ({"participant": LIVE, "message_id": "unknown"}, "message unknown"),
            ({"participant": LIVE, "reference": "unknown"}, "messages with reference 'unknown'"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("limit", [timedelta(seconds=100), 100])
    def test_unknown_messages_end_the_wait(
        self, run: Run, clock: Clock, target: dict[str, str], shown: str, limit: timedelta | float
    ) -> None:
        outcome = run(**target, not_found_timeout=limit)
        assert (outcome.state, outcome.kind) == ("failed", "IP1NotFoundError")
        # In reschedule mode, the last poke asks three times.
        assert 100 <= clock.elapsed < 160
        assert str(outcome.error).startswith(f"iP.1 has not known {shown} for ")
        assert "not_found_timeout is 100 s" in str(outcome.error)

    def test_the_default_is_an_hour(self, run: Run, clock: Clock) -> None:
        assert run(batch_id=UNKNOWN, timeout=8000, poke_interval=600).kind == "IP1NotFoundError"
        assert 3600 <= clock.elapsed < 4300

    def test_none_leaves_only_the_timeout(self, run: Run, clock: Clock) -> None:
        outcome = run(batch_id=UNKNOWN, timeout=8000, poke_interval=600, not_found_timeout=None)
        assert outcome.kind == "AirflowSensorTimeout"
        assert 8000 <= clock.elapsed < 8010

    def test_it_takes_precedence_over_a_timeout_at_the_same_time(self, run: Run) -> None:
        assert run(batch_id=UNKNOWN, timeout=90, not_found_timeout=90).kind == "IP1NotFoundError"

    def test_a_message_that_appears_in_time_is_awaited(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        clock.after(80, lambda: server.send([MAIN], reference="later"))
        assert codes(run(participant=MAIN, reference="later", not_found_timeout=100)) == [201]
        assert 180 <= clock.elapsed < 220

    def test_a_message_that_appears_too_late(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        clock.after(200, lambda: server.send([MAIN], reference="later"))
        assert run(participant=MAIN, reference="later", not_found_timeout=100).kind == "IP1NotFoundError"

    @pytest.mark.parametrize("target", [{"batch_id": STUCK}, {"batch_id": STUCK, "message_id": STUCK_MESSAGE}], ids=str)
    def test_a_message_that_disappears(
        self, run: Run, mode: str, batches: Batches, clock: Clock, target: dict[str, str]
    ) -> None:
        clock.after(200, batches.hide)
        assert run(**target, not_found_timeout=100).kind == "IP1NotFoundError"
        # The time counts from the last poll that returned the message. Without a task state store, reschedule mode does
        # not remember that poll.
        assert clock.elapsed >= (200 if mode == "reschedule" else 270)

    def test_one_404_does_not_end_a_wait_that_found_the_message(self, run: Run, batches: Batches, clock: Clock) -> None:
        """Not even if the process that finds nothing does not know that another one saw the message before."""
        clock.after(110, batches.hide)
        clock.after(130, batches.show)
        outcome = run(batch_id=STUCK, message_id=STUCK_MESSAGE, not_found_timeout=100)
        assert outcome.kind == "AirflowSensorTimeout"

    def test_three_polls_ten_seconds_apart_prove_it(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        asked: list[float] = []
        record = server.requests.append
        server.sandbox._record = lambda request: (record(request), asked.append(clock.elapsed))
        target = {"batch_id": UNKNOWN, "message_id": "unknown"}
        assert run(**target, poke_interval=300, not_found_timeout=200).kind == "IP1NotFoundError"
        polls = [moment for moment, request in zip(asked, server.requests, strict=True) if UNKNOWN in request.path]
        gaps = [later - earlier for earlier, later in zip(polls, polls[1:], strict=False)]
        assert [round(gap) for gap in gaps[-1:]] == [10]
        assert len([moment for moment in polls if moment >= polls[-1] - 21]) in (2, 3)

    @pytest.mark.parametrize("mode", ["reschedule"])
    def test_reschedule_remembers_when_it_last_found_a_message(
        self, clock: Clock, mode: str, batches: Batches, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock.rule(monkeypatch)
        task_instance = TaskInstance(clock)
        context: Any = {"task_state_store": StateStore(), "ti": task_instance}
        arguments: dict[str, Any] = {"batch_id": STUCK, "timeout": 1000, "not_found_timeout": 100}

        def poke() -> bool:
            sensor = MessageStatusSensor(task_id="wait", mode="reschedule", deferrable=False, **arguments)
            return bool(sensor.poke(context))

        task_instance.begin()
        clock.sleep(90)
        assert not poke()
        batches.hide()
        clock.sleep(90)
        assert not poke()
        clock.sleep(20)
        with pytest.raises(IP1NotFoundError):
            poke()
        # A later run of the same task does not count from what this one remembered.
        clock.sleep(100_000)
        task_instance.begin()
        assert not poke()


class TestExpectedCount:
    @pytest.mark.parametrize("target", [{"batch_id": MIXED}, {"participant": LIVE, "reference": "demo-mixed"}], ids=str)
    @pytest.mark.parametrize(
        ("expected_count", "end"), [(2, "success"), ("3", "success"), (4, "AirflowSensorTimeout"), (None, "success")]
    )
    def test_all_waits_until_so_many_messages_exist(
        self, run: Run, target: dict[str, str], expected_count: Any, end: str
    ) -> None:
        outcome = run(**target, expected=["delivered", 202], expected_count=expected_count)
        assert outcome.kind == end
        assert outcome.error is None or "3 of 4 expected messages" in str(outcome.error)

    def test_messages_that_appear_later(self, run: Run, server: SandboxServer, clock: Clock) -> None:
        server.send([MAIN], reference="two")
        clock.after(200, lambda: server.send([MAIN], reference="two"))
        assert codes(run(participant=MAIN, reference="two", expected_count=2)) == [201, 201]
        assert 300 <= clock.elapsed < 340

    def test_a_failure_ends_the_wait_before_all_exist(self, run: Run, clock: Clock) -> None:
        assert run(batch_id=EXPIRED, expected_count=10).kind == "IP1DeliveryError"
        assert clock.elapsed < 140

    def test_any_succeeds_before_all_exist(self, run: Run) -> None:
        assert codes(run(batch_id=DELIVERED, expected_count=10, require="any")) == [201]

    def test_any_does_not_fail_before_all_exist(self, run: Run) -> None:
        assert run(batch_id=EXPIRED, expected_count=2, require="any").kind == "AirflowSensorTimeout"


class TestOnFailure:
    @pytest.mark.parametrize("option", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
    def test_return_reports_the_failure_in_the_result(self, run: Run, logged: Logged, option: dict[str, bool]) -> None:
        outcome = run(batch_id=EXPIRED, on_failure="return", **option)
        assert outcome.state == "success"
        (message,) = outcome.result
        assert (message["batch_id"], message["code"], message["category"]) == (EXPIRED, 202, "undelivered")
        assert "The task succeeds because of on_failure='return'. 202 Expired (undelivered)" in logged()

    def test_return_changes_no_other_end(self, run: Run) -> None:
        assert codes(run(batch_id=DELIVERED, on_failure="return")) == [201]
        assert run(batch_id=STUCK, on_failure="return").kind == "AirflowSensorTimeout"
        assert run(batch_id=UNKNOWN, on_failure="return", not_found_timeout=60).kind == "IP1NotFoundError"


def test_a_rejected_sender_lists_the_registered_ones(run: Run, server: SandboxServer) -> None:
    outcome = run(batch_id=REJECTED)
    assert outcome.kind == "IP1DeliveryError"
    assert "403 SenderRejected" in str(outcome.error) and "Registered senders: " in str(outcome.error)
    assert "iP1, iP1sms" in str(outcome.error)
    assert "Registered senders" not in str(run(batch_id=EXPIRED).error)


@pytest.mark.parametrize("option", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
def test_a_rejected_participant_fails_at_once_unless_airflow_would_skip_then(
    run: Run, server: SandboxServer, option: dict[str, Any]
) -> None:
    """Airflow skips after an AirflowFailException with soft_fail."""
    server.faults.add("400")
    outcome = run(participant="46701740605", reference="x", **option)
    if "never_fail" in option:
        assert outcome.state == "skipped"
    else:
        assert isinstance(outcome.error, IP1ParticipantError)
        assert isinstance(outcome.error, AirflowFailException) is not bool(option)


@pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
def test_an_argument_that_cannot_be_meant_after_a_wait_is_not_skipped(option: str) -> None:
    """The arguments are rendered again when the task resumes, and read for the messages that the event lacks."""
    sensor = MessageStatusSensor(task_id="wait", batch_id="None", deferrable=True, **{option: True})
    with pytest.raises(ValueError, match="batch_id is the text") as raised:
        sensor.execute_complete({}, {"status": "success", "count": 5000})
    assert not isinstance(raised.value, AirflowFailException)


# The state in which a task ends: without option, with soft_fail, and with never_fail. soft_fail skips the task after a
# failed delivery or a timeout. It does not hide a refused key, an outage or an unknown batch.
SOFT_FAIL_TABLE = {
    "delivered": ("success", "success", "success"),
    "failure status": ("failed", "skipped", "skipped"),
    "time up": ("failed", "skipped", "skipped"),
    "time up in an outage": ("failed", "skipped", "skipped"),
    "not found": ("failed", "failed", "skipped"),
    "connection missing": ("failed", "failed", "skipped"),
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
    "not found": ({"batch_id": UNKNOWN, "not_found_timeout": 100}, None),
    "connection missing": ({"batch_id": DELIVERED, "ip1_conn_id": "missing"}, None),
    "key refused": ({"batch_id": DELIVERED}, "401@2-"),
    "participant invalid": ({"participant": "No such sender name", "reference": "x"}, None),
    "outage": ({"batch_id": DELIVERED, "max_outage": 300}, "500@2-"),
    "rate limit": ({"batch_id": DELIVERED, "max_outage": 300}, "429@2-"),
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


@pytest.mark.parametrize("mode", ["poke"])
def test_a_poke_does_not_sleep(mode: str, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sleeps only in the loop of BaseSensorOperator. Other callers, such as tests of DAGs, may poke at any time."""
    clock.rule(monkeypatch)
    sensor = MessageStatusSensor(task_id="wait", batch_id=STUCK, deferrable=False)
    assert not sensor.poke({})
    assert not sensor.poke({})
    assert clock.elapsed < 1


def test_silent_fail_waits_out_unknown_messages(run: Run) -> None:
    assert run(batch_id=UNKNOWN, not_found_timeout=100, silent_fail=True).kind == "AirflowSensorTimeout"


def test_silent_fail_waits_out_every_error(run: Run, server: SandboxServer, clock: Clock) -> None:
    server.faults.add("401@1-9")
    assert codes(run(batch_id=DELIVERED, message_id=DELIVERED_MESSAGE, silent_fail=True)) == [201]


@pytest.mark.parametrize("poke_interval", [0, 5])
@pytest.mark.parametrize("fault", [None, "401", "500", "reset"])
def test_no_hot_loop(run: Run, server: SandboxServer, clock: Clock, fault: str | None, poke_interval: float) -> None:
    """Even if iP.1 responds at once and no error ends the wait, there are at most 60 requests per minute."""
    if fault is not None:
        server.faults.add(fault)
    target = {"batch_id": STUCK, "message_id": STUCK_MESSAGE}
    outcome = run(**target, silent_fail=True, poke_interval=poke_interval, timeout=120)
    assert outcome.kind == "AirflowSensorTimeout"
    # aiohttp may repeat a request by itself when a used connection breaks.
    requests_per_poll = 2 if fault == "reset" else 1
    assert len(server.requests) <= requests_per_poll * (clock.elapsed / max(1, poke_interval) + 2)


def test_exponential_backoff_saves_requests(run: Run, server: SandboxServer) -> None:
    arguments = {"batch_id": STUCK, "message_id": STUCK_MESSAGE, "timeout": 6000}
    run(**arguments, exponential_backoff=True)
    assert len(server.requests) < 15
    server.requests.clear()
    run(**arguments, exponential_backoff=True, max_wait=100)
    assert len(server.requests) > 55


@pytest.mark.parametrize(
    ("faults", "end"),
    [((), ("success", "success")), (("500@2", "unknown-status@3-=299"), ("skipped", "IP1DeliveryError"))],
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
    def test_arguments_that_do_not_select_messages(self, given: dict[str, str]) -> None:
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
            ({"batch_id": ""}, "batch_id is blank"),
            ({"batch_id": 7.5}, "batch_id must be text"),
            ({"batch_id": "['b1', 'b2']"}, "batch_id: a template rendered a list as text"),
            ({"message_id": "{'id': 'm1'}"}, "message_id: a template rendered a list as text"),
            (
                {"batch_id": None, "participant": "['Shop']", "reference": "r"},
                "participant: a template rendered a list",
            ),
            ({"batch_id": None, "participant": MAIN, "reference": ""}, "reference is blank"),
            ({"expected_count": 0}, "expected_count must be a whole number of 1 or more, not 0"),
            ({"expected_count": "many"}, "expected_count must be .* not 'many'"),
            ({"expected_count": True}, "expected_count must be .* not True"),
            ({"expected_count": 1, "message_id": "m"}, "expected_count is for a batch or a reference"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_templated_values_are_checked_when_the_task_runs(
        self, server: SandboxServer, arguments: dict[str, Any], text: str, deferrable: bool
    ) -> None:
        sensor = MessageStatusSensor(task_id="wait", deferrable=deferrable, **{"batch_id": DELIVERED, **arguments})
        with pytest.raises(ValueError, match=text):
            sensor.execute({})
        assert server.requests == []

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"require": "most"}, "require must be 'all' or 'any'"),
            ({"require": None}, "require must be 'all' or 'any'"),
            ({"on_failure": "ignore"}, "on_failure must be 'fail' or 'return', not 'ignore'"),
            ({"not_found_timeout": -1}, "not_found_timeout must be a timedelta or a number"),
            ({"not_found_timeout": timedelta(seconds=-1)}, "not_found_timeout must be a timedelta or a number"),
            ({"not_found_timeout": "soon"}, "not_found_timeout must be .* not 'soon'"),
            ({"max_outage": -1}, "max_outage must be a timedelta or a number of seconds, 0 or more, not -1"),
        ],
        ids=str,
    )
    def test_other_values_are_checked_when_the_dag_is_parsed(self, arguments: dict[str, Any], text: str) -> None:
        with pytest.raises(ValueError, match=text):
            MessageStatusSensor(task_id="wait", batch_id="b", **arguments)

    def test_every_template_field_is_an_argument(self) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id="b")
        assert set(sensor.template_fields) == {
            "participant", "batch_id", "message_id", "reference", "expected", "failed", "expected_count", "ip1_conn_id",
        }  # fmt: skip
        assert all(hasattr(sensor, name) for name in sensor.template_fields)

    def test_a_code_that_ip1_does_not_document_causes_a_warning(self, server: SandboxServer, logged: Logged) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id=STUCK, expected=["pending", 210])
        sensor.execute({})
        assert "Status code 210" in logged()

    def test_deferrable_changes_no_default(self) -> None:
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
            {"status": "success", "count": None},
            {"status": "failure", "count": 1},
            {"status": "done", "messages": []},
            {"status": "failure"},
            {"status": "timeout"},
            {"status": "error", "error": "SystemExit", "text": "x"},
            {"status": "error", "error": "IP1AuthError"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_an_unexpected_event_is_an_error(self, event: Any, soft_fail: bool) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id="b", deferrable=True, soft_fail=soft_fail)
        with pytest.raises(IP1Error, match="event that the trigger of MessageStatusSensor does not send"):
            sensor.resume_execution("execute_complete", {"event": event}, {})
        if event is None:
            with pytest.raises(IP1Error):
                sensor.resume_execution("execute_complete", None, {})

    def test_a_status_that_is_reached_already_needs_no_triggerer(self, server: SandboxServer) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id=STUCK, expected="pending", deferrable=True)
        assert [message["code"] for message in sensor.execute({})] == [101]

    def test_airflow_ends_the_deferral_if_no_triggerer_runs(self, server: SandboxServer, clock: Clock) -> None:
        sensor = MessageStatusSensor(task_id="wait", batch_id=STUCK, deferrable=True, timeout=1000)
        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute({})
        assert deferred.value.timeout is not None
        assert 1000 < deferred.value.timeout.total_seconds() <= 1600

    # What Airflow 2.11 says, and what Airflow 3 does.
    @pytest.mark.parametrize("reason", ["Trigger/execution timeout", "Trigger timeout"])
    def test_airflow_ended_the_deferral_because_time_was_up(self, reason: str) -> None:
        def end(**arguments: Any) -> Any:
            sensor = MessageStatusSensor(task_id="wait", batch_id="b", deferrable=True, **arguments)
            return sensor.resume_execution("__fail__", {"error": reason}, {})

        with pytest.raises(AirflowSensorTimeout, match="Check that a triggerer runs"):
            end()
        for name in ("soft_fail", "never_fail"):
            with pytest.raises(AirflowSkipException, match=f"Skipped because of {name}"):
                end(**{name: True})

    def test_airflow_ended_the_deferral_because_the_trigger_is_gone(self) -> None:
        def end(**arguments: Any) -> Any:
            sensor = MessageStatusSensor(task_id="wait", batch_id="b", deferrable=True, **arguments)
            return sensor.resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["lost"]}, {})

        with pytest.raises(TaskDeferralError):
            end()
        for name in ("soft_fail", "never_fail"):
            with pytest.raises(AirflowSkipException):
                end(**{name: True})
