# SPDX-License-Identifier: Apache-2.0
"""What both sensors and their triggers log in each mode: the plan, every change, signs of life, and the failure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import LIVE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from airflow_provider_ip1.sensors.base import BasePollingSensor
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from tests.sensor_modes import Clock, Outcome, run_sensor

DELIVERED, EXPIRED, STUCK, LARGE = (DEMO_BATCHES[name][0] for name in ("delivered", "expired", "stuck", "large"))
#: LIVE in another notation, which no log may contain either.
NOTATION = f"+46 70-174 06 {LIVE[-2:]}"
TEXT = "Ja tack, gärna!"

SENSORS: dict[type[BasePollingSensor[Any]], dict[str, Any]] = {
    MessageStatusSensor: {"batch_id": STUCK},
    IncomingSmsSensor: {"participant": NOTATION, "pattern": "(?i)never"},
}
TITLES = {
    MessageStatusSensor: f"Waiting for all messages of batch {STUCK} to reach delivered.",
    IncomingSmsSensor: (
        "Waiting for an SMS from 46***09 that matches the pattern, received since 2027-01-15 07:59:30 UTC."
    ),
}
Run = Callable[..., Outcome]
Logged = Callable[[], str]


@pytest.fixture(params=SENSORS, ids=lambda sensor: str(sensor.__name__))
def sensor(request: pytest.FixtureRequest) -> type[BasePollingSensor[Any]]:
    found: type[BasePollingSensor[Any]] = request.param
    return found


@pytest.fixture
def run_both(
    mode: str,
    sensor: type[BasePollingSensor[Any]],
    clock: Clock,
    server: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run each of the sensors in one mode. Without other arguments, it waits in vain."""

    def run(**arguments: Any) -> Outcome:
        defaults = {"poke_interval": 30, "timeout": 600, **SENSORS[sensor]}
        return run_sensor(mode, clock, monkeypatch, sensor, **{**defaults, **arguments})

    return run


def changes(told: str) -> list[str]:
    """The lines that report what a poll has found, without signs of life."""
    lines = (line for line in told.splitlines() if "Still waiting" not in line)
    pattern = r"(\b1 x \d{3} \w+|No SMS from \S+ so far|\d messages? from \S+, but|Message \w+ was received)"
    return [found[1] for line in lines if (found := re.search(pattern, line))]


class TestPlan:
    def test_the_first_line_states_interval_and_deadline(
        self, run_both: Run, sensor: type, mode: str, server: SandboxServer, logged: Logged
    ) -> None:
        run_both(poke_interval=60, timeout=1200)
        told = logged()
        start = f"{TITLES[sensor]} Polling every 60 s until 2027-01-15 08:20:00 UTC."
        first = next(line for line in told.splitlines() if "cannot be called outside" not in line)
        assert start in first
        polls = len([request for request in server.requests if "/me/" not in request.path])
        # The worker and the triggerer each state the plan. In reschedule mode, each poke is another process.
        assert told.count(start) == {"poke": 1, "deferrable": 2, "reschedule": told.count("Waiting for ")}[mode]
        assert mode != "reschedule" or 20 <= told.count(start) <= polls
        assert "duration" not in told

    @pytest.mark.parametrize("mode", ["poke"])
    @pytest.mark.parametrize(
        ("arguments", "title"),
        [
            ({"require": "any"}, f"any message of batch {STUCK} to reach delivered"),
            ({"expected": [112, "delivered"], "message_id": "m"}, "message m to reach 112 or delivered"),
            (
                {"batch_id": None, "participant": NOTATION, "reference": f"for {LIVE}"},
                "all messages with reference 'for 46***09' to reach delivered",
            ),
        ],
        ids=["any", "message", "reference"],
    )
    def test_it_states_what_the_wait_is_for(
        self, run: Run, logged: Logged, arguments: dict[str, Any], title: str
    ) -> None:
        run(**{"batch_id": STUCK, "timeout": 30, **arguments})
        assert f"Waiting for {title}. Polling every 30 s until 2027-01-15 08:00:30 UTC." in logged()


class TestChanges:
    def test_one_line_for_each_status(self, run: Run, mode: str, server: SandboxServer, logged: Logged) -> None:
        assert run(batch_id=DELIVERED, poke_interval=2).state == "success"
        told = changes(logged())
        statuses = [
            "1 x 101 Accepted",
            "1 x 102 Queued",
            "1 x 110 Sending",
            "1 x 112 DeliveredToCarrier",
            "1 x 201 DeliveredToHandset",
        ]
        assert len(server.requests) > 40
        if mode == "reschedule":
            # Each poke is another process, which reports what it finds.
            assert list(dict.fromkeys(told)) == statuses
            assert len(told) == len(server.requests)
        else:
            # The triggerer reports its first poll, whatever the worker has found.
            assert told == statuses if mode == "poke" else told in (statuses, [statuses[0], *statuses])

    @pytest.mark.parametrize("sensor", [IncomingSmsSensor])
    def test_one_line_for_each_message(
        self, run_both: Run, mode: str, server: SandboxServer, clock: Clock, logged: Logged
    ) -> None:
        for seconds, text in ((100, "What?"), (200, "Who is this?"), (400, TEXT)):
            clock.after(seconds, lambda text=text: server.receive(LIVE, text))  # type: ignore[misc]
        outcome = run_both(pattern="^Ja", poke_interval=10)
        told = changes(logged())
        lines = [
            "No SMS from 46***09 so far",
            "1 message from 46***09, but",
            "2 messages from 46***09, but",
            f"Message {outcome.result['message_id']} was received",
        ]
        if mode == "reschedule":
            assert list(dict.fromkeys(told)) == lines
        else:
            assert told == (lines if mode == "poke" else [lines[0], *lines])

    def test_a_failed_poll_is_a_warning(
        self, run_both: Run, server: SandboxServer, clock: Clock, logged: Logged
    ) -> None:
        clock.after(45, lambda: server.faults.add("503"))
        clock.after(135, server.faults.clear)
        run_both()
        told = logged()
        poll_failed = (
            r"Poll failed \((\d+) in a row\): No usable response from iP\.1 for /v2/\S+ after 1 attempt: status 503\."
        )
        assert [int(count) for count in re.findall(poll_failed, told)] == [1, 2, 3]


class TestSignsOfLife:
    @pytest.mark.parametrize(
        ("mode", "poke_interval"),
        # In reschedule mode, the task does not run between two polls.
        [(mode, 60) for mode in ("poke", "reschedule", "deferrable")] + [("poke", 3600), ("deferrable", 3600)],
    )
    def test_no_silence_of_five_minutes(
        self, run_both: Run, mode: str, clock: Clock, logged: Logged, poke_interval: float
    ) -> None:
        """The test cuts the log into pieces of five minutes."""
        pieces: list[str] = []
        for minutes in range(5, 120, 5):
            clock.after(60 * minutes + 1, lambda: pieces.append(logged()))
        run_both(poke_interval=poke_interval, timeout=7200)
        assert len(pieces) == 23
        for piece in pieces:
            assert re.search(r"Still waiting\.|Waiting for |1 x 112|No SMS", piece), piece
        if mode != "reschedule":
            # The statuses no longer change.
            quiet = [piece for piece in pieces[2:] if not changes(piece)]
            assert len(quiet) >= 19
            assert {piece.count("Still waiting.") for piece in quiet} == {1}

    def test_the_sign_repeats_the_last_result(self, run_both: Run, sensor: type, mode: str, logged: Logged) -> None:
        if mode == "reschedule":
            pytest.skip("each poke reports the result")
        run_both(timeout=900)
        known = {
            MessageStatusSensor: f"Batch {STUCK}: 1 x 112 DeliveredToCarrier (pending)",
            IncomingSmsSensor: "No SMS from 46***09 so far",
        }
        sign = rf"Still waiting\. {re.escape(known[sensor])}\. Next poll at 2027-01-15 08:\d\d:\d\d UTC\."
        assert re.search(sign, logged())


class TestFailures:
    def test_the_error_begins_with_the_status(self, run: Run, logged: Logged) -> None:
        error = str(run(batch_id=EXPIRED).error)
        assert re.fullmatch(
            r"202 Expired \(undelivered\): message \w+ of batch \w+ to 46\*\*\*09\. 1 of 1 watched message failed\.",
            error,
        )
        assert error in logged()

    def test_the_error_of_a_large_batch_fits_on_a_screen(self, run: Run, logged: Logged) -> None:
        error = str(run(batch_id=LARGE, expected="rejected").error)
        assert error.startswith("201 DeliveredToHandset (delivered): message ")
        assert re.search(r"; and \d+ more\. \d+ of 120 watched messages failed\.$", error)
        # A terminal has 24 lines of 80 characters, and Airflow's page shows more.
        assert len(error) < 800 and "\n" not in error
        assert error in logged()

    def test_a_timeout_tells_the_last_result(self, run_both: Run, sensor: type) -> None:
        last = {
            MessageStatusSensor: f"Batch {STUCK}: 1 x 112 DeliveredToCarrier (pending)",
            IncomingSmsSensor: "No SMS from 46***09 so far",
        }
        assert str(run_both().error) == f"Time is up after 10 min. Last poll: {last[sensor]}"

    @pytest.mark.parametrize(
        ("fault", "cause"),
        [
            ("401", "iP.1 rejected the API key"),
            ("429", "429, too many requests"),
            ("503", "status 503"),
            ("html", "a body that cannot be read"),
        ],
    )
    def test_other_errors_fit_on_a_screen(self, run_both: Run, server: SandboxServer, fault: str, cause: str) -> None:
        server.faults.add(fault)
        error = str(run_both().error)
        assert cause in error
        assert len(error) < 500 and "\n" not in error


@pytest.mark.parametrize("end", ["success", "failure", "timeout", "401", "503", "html"])
def test_nothing_personal_at_debug(
    run_both: Run,
    sensor: type,
    server: SandboxServer,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    end: str,
) -> None:
    """Neither in the lines of sensor and trigger nor in those of the HTTP libraries."""
    caplog.set_level("DEBUG")
    clock.after(40, lambda: server.receive(LIVE, TEXT))
    if end.isdigit() or end == "html":
        clock.after(50, lambda: server.faults.add(end))
    if sensor is MessageStatusSensor:
        status = {"success": "delivered", "failure": "rejected"}.get(end, "failed")
        target = {"batch_id": None, "participant": NOTATION, "reference": "demo-delivered"}
        outcome = run_both(**target, expected=status, failed=None if end == "failure" else ["rejected"])
    else:
        pattern = {"success": "^Ja", "failure": r"^J(a+)+(a+)+!"}.get(end, "never")
        outcome = run_both(pattern=pattern)
    assert (outcome.state == "success") == (end == "success"), outcome
    out, err = capfd.readouterr()
    told = out + err + caplog.text + repr(outcome.error) + repr(outcome.result)
    # The log contains the requests of poking sensors, which urllib3 logs at DEBUG.
    assert "46***09" in told
    texts = [message["body"] for message in server.conversation(LIVE)]
    assert TEXT in texts
    for secret in (LIVE, f"0{LIVE[2:]}", NOTATION, server.key, *texts):
        assert secret not in told
