# SPDX-License-Identifier: Apache-2.0
"""The loop that all modes share: polls, pauses, log lines and ends."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.watching.status_watch import StatusWatch
from airflow_provider_ip1.api.watching.wait import (
    MAX_EVENT_BYTES,
    NOT_FOUND_PAUSE,
    SIGN_OF_LIFE,
    Wait,
    end_event,
    error_event,
    seconds,
)
from airflow_provider_ip1.api.watching.watch import PollResult
from airflow_provider_ip1.exceptions import IP1AuthError, IP1Error, IP1NotFoundError, IP1ServerError
from tests.api.watching.watched_messages import NUMBER, Lines, make_message, make_watch, poll

OUTAGE = IP1ServerError("iP.1 answered 503.")


def make_wait(watch: StatusWatch | None = None, **options: Any) -> Wait[StatusWatch]:
    """Wait for a batch, polling every 60 s for 1000 s, without jitter."""
    defaults = {"poke_interval": 60.0, "deadline": 1000.0, "started_at": 0.0}
    wait = Wait(watch=watch or make_watch(), **{**defaults, **options})
    wait.uniform = min
    return wait


def with_status(watch: StatusWatch, code: int) -> PollResult:
    return poll(watch, make_message("m", code))[0]


class Run:
    """Drives a wait with outcomes, on a clock that jumps to the end of each pause."""

    def __init__(
        self,
        wait: Wait[StatusWatch],
        outcomes: Iterable[PollResult | IP1Error],
        error: type[IP1Error] | None = None,
    ) -> None:
        self.polled_at: list[float] = []
        self.lines: list[tuple[float, int, str]] = []
        if error is None:
            self._drive(wait, outcomes)
        else:
            with pytest.raises(error) as caught:
                self._drive(wait, outcomes)
            self.error = caught.value

    def _drive(self, wait: Wait[StatusWatch], outcomes: Iterable[PollResult | IP1Error]) -> None:
        now, left, log = 0.0, iter(outcomes), Lines()
        wait.begin(now, log)
        assert log.pop()[1] == str(wait)
        while wait.result is None:
            now = max(now, wait.wake_at)
            is_due = now >= wait.poll_at
            if is_due:
                self.polled_at.append(now)
            try:
                wait.take(next(left) if is_due else None, now, log)
            finally:
                self.lines += [(now, level, text) for level, text in log]
                log.clear()
        self.result = wait.result

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.lines]


def test_it_polls_until_the_status_is_reached() -> None:
    wait = make_wait()
    run = Run(wait, (with_status(wait.watch, code) for code in (112, 112, 201)))
    assert run.polled_at == [0.0, 60.0, 120.0]
    assert run.result.verdict == "success"
    assert run.result.messages[0]["code"] == 201
    assert end_event(run.result) == {"status": "success", "messages": run.result.messages}
    assert run.texts == [
        "Batch b: 1 x 112 DeliveredToCarrier (pending)",
        "Batch b: 1 x 201 DeliveredToHandset (delivered)",
    ]
    assert {level for _, level, _ in run.lines} == {logging.INFO}


def test_a_failure_ends_it() -> None:
    wait = make_wait()
    run = Run(wait, [with_status(wait.watch, 202)])
    assert run.result.verdict == "failure"
    assert run.texts[-1] == run.result.text
    assert run.result.text.startswith("202 Expired (undelivered): message m")
    assert end_event(run.result) == {
        "status": "failure", "messages": run.result.messages, "text": run.result.text
    }  # fmt: skip


def test_the_last_poll_is_at_the_deadline() -> None:
    wait = make_wait()
    run = Run(wait, (with_status(wait.watch, 112) for _ in range(99)))
    assert run.polled_at[-2:] == [960.0, 1000.0]
    assert end_event(run.result) == {"status": "timeout", "text": "Batch b: 1 x 112 DeliveredToCarrier (pending)"}
    assert run.result.messages == []


def test_a_timeout_during_an_outage_reports_the_error() -> None:
    wait = make_wait(deadline=100.0)
    run = Run(wait, [with_status(wait.watch, 112), OUTAGE, OUTAGE])
    assert run.polled_at == [0.0, 60.0, 100.0]
    assert (run.result.verdict, run.result.text) == ("timeout", str(OUTAGE))
    assert run.texts[-2:] == [f"Poll failed ({count} in a row): {OUTAGE}" for count in (1, 2)]
    assert run.lines[-1][1] == logging.WARNING


def test_permanent_errors_end_it() -> None:
    run = Run(make_wait(), [IP1AuthError("x")], error=IP1AuthError)
    assert run.polled_at == [0.0]


def test_an_outage_ends_it_after_max_outage() -> None:
    run = Run(make_wait(deadline=1e6), [OUTAGE] * 99, error=IP1ServerError)
    assert str(run.error) == (
        f"{OUTAGE} All 61 polls of the last 60 min failed, and max_outage is 60 min, so the wait ends here."
    )
    assert run.polled_at[-1] == 3600.0


class TestNotFound:
    def test_it_ends_the_wait(self) -> None:
        wait = make_wait(not_found_timeout=180.0)
        nothing = poll(wait.watch)[0]
        run = Run(wait, [nothing] * 9, error=IP1NotFoundError)
        assert run.polled_at == [0.0, 60.0, 120.0, 180.0]
        assert str(run.error).startswith(
            "iP.1 has not known batch b for 3 min, and not_found_timeout is 3 min. Check the id or reference"
        )

    def test_the_error_tells_how_long(self) -> None:
        wait = make_wait(known_at=-520.0, not_found_timeout=180.0)
        run = Run(wait, [poll(wait.watch)[0]] * 3, error=IP1NotFoundError)
        assert str(run.error).startswith("iP.1 has not known batch b for 9 min, and not_found_timeout is 3 min.")

    def test_the_time_counts_from_the_last_poll_that_found_a_message(self) -> None:
        wait = make_wait(not_found_timeout=180.0)
        found, nothing = with_status(wait.watch, 112), poll(wait.watch)[0]
        run = Run(wait, [nothing, nothing, found, *[nothing] * 9], error=IP1NotFoundError)
        assert run.polled_at[-1] == 300.0
        assert wait.known_at == 120.0

    def test_another_process_continues_to_count(self) -> None:
        wait = make_wait(known_at=-120.0, not_found_timeout=180.0)
        run = Run(wait, [poll(wait.watch)[0]] * 9, error=IP1NotFoundError)
        # Two polls in this process are not enough.
        assert run.polled_at == [0.0, 60.0, 60.0 + NOT_FOUND_PAUSE]

    def test_a_single_empty_poll_proves_nothing(self) -> None:
        wait = make_wait(known_at=-1000.0, not_found_timeout=180.0)
        found, nothing = with_status(wait.watch, 112), poll(wait.watch)[0]
        run = Run(wait, [nothing, nothing, found, *[nothing] * 9], error=IP1NotFoundError)
        assert run.polled_at == [0.0, 10.0, 20.0, 80.0, 140.0, 200.0]

    def test_long_pauses(self) -> None:
        wait = make_wait(poke_interval=600.0, not_found_timeout=180.0)
        found, nothing = with_status(wait.watch, 112), poll(wait.watch)[0]
        run = Run(wait, [found, *[nothing] * 9], error=IP1NotFoundError)
        assert run.polled_at == [0.0, 600.0, 610.0, 620.0]

    def test_it_may_end_the_wait_shortly_after_the_deadline(self) -> None:
        wait = make_wait(deadline=180.0, poke_interval=180.0, not_found_timeout=180.0)
        run = Run(wait, [poll(wait.watch)[0]] * 9, error=IP1NotFoundError)
        assert run.polled_at == [0.0, 180.0, 190.0]

    def test_none_means_never(self) -> None:
        wait = make_wait(not_found_timeout=None)
        assert Run(wait, [poll(wait.watch)[0]] * 99).result.verdict == "timeout"

    def test_silent_fail_waits_it_out(self) -> None:
        wait = make_wait(not_found_timeout=180.0, silent_fail=True)
        assert Run(wait, [poll(wait.watch)[0]] * 99).result.verdict == "timeout"

    @pytest.mark.parametrize(
        ("given", "number"),
        [(None, None), (0, 0.0), (1.5, 1.5), ("60", 60.0), (" 1.5 ", 1.5), (timedelta(hours=1), 3600.0)],
    )
    def test_the_forms_of_a_duration(self, given: Any, number: float | None) -> None:
        assert seconds(given, "x") == number

    @pytest.mark.parametrize(
        "given", [-0.5, timedelta(seconds=-1), "", "an hour", "nan", math.nan, math.inf, True, [60], 10**400, "1e400"]
    )
    def test_other_durations(self, given: Any) -> None:
        with pytest.raises(ValueError, match="max_outage must be a timedelta or a number of seconds, 0 or more, not"):
            seconds(given, "max_outage")


def test_warnings_are_logged_as_such() -> None:
    wait = make_wait(deadline=0.0)
    run = Run(wait, [with_status(wait.watch, 199)])
    (warning,) = (text for _, level, text in run.lines if level == logging.WARNING)
    assert "status code 199" in warning
    assert run.texts[-1] == "Batch b: 1 x 199 (pending)"


class TestSignOfLife:
    def test_every_five_minutes(self) -> None:
        wait = make_wait(poke_interval=40.0, deadline=1200.0)
        run = Run(wait, (with_status(wait.watch, 112) for _ in range(99)))
        assert [moment for moment, _, _ in run.lines] == [0.0, 300.0, 600.0, 900.0]
        assert run.texts[1] == (
            "Still waiting. Batch b: 1 x 112 DeliveredToCarrier (pending). Next poll at 1970-01-01 00:05:20 UTC."
        )

    def test_also_between_polls_that_are_far_apart(self) -> None:
        wait = make_wait(poke_interval=3600.0, deadline=7200.0)
        run = Run(wait, (with_status(wait.watch, code) for code in (112, 112, 201)))
        assert run.polled_at == [0.0, 3600.0, 7200.0]
        gaps = [later[0] - earlier[0] for earlier, later in zip(run.lines, run.lines[1:], strict=False)]
        assert max(gaps) == SIGN_OF_LIFE

    def test_not_while_other_lines_are_logged(self) -> None:
        wait = make_wait(poke_interval=200.0, deadline=800.0)
        run = Run(wait, (with_status(wait.watch, code) for code in (101, 102, 110, 111, 112)))
        assert not [text for text in run.texts if text.startswith("Still waiting")]

    def test_during_a_long_retry_after(self) -> None:
        run = Run(make_wait(), [IP1ServerError("iP.1 answered 503.", 900.0), IP1ServerError("x", 900.0)])
        assert run.texts[1] == "Still waiting. iP.1 answered 503. Next poll at 1970-01-01 00:15:00 UTC."

    def test_before_the_first_poll_in_a_triggerer(self) -> None:
        wait, log = make_wait(poll_at=600.0), Lines()
        wait.resume(0.0, Lines())
        assert wait.wake_at == 300.0
        wait.take(None, 300.0, log)
        assert log == [(logging.INFO, "Still waiting. Next poll at 1970-01-01 00:10:00 UTC.")]

    def test_an_early_wake_up_says_nothing(self) -> None:
        wait, log = make_wait(poll_at=600.0), Lines()
        wait.begin(0.0, Lines())
        wait.take(None, 299.9, log)
        assert log == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {},
            "Waiting for all messages of batch b to reach delivered. Polling every 60 s until 1970-01-01 00:16:40 UTC.",
        ),
        ({"require": "any"}, "Waiting for any message of batch b to reach"),
        ({"batch_id": "b", "message_id": "m"}, "Waiting for message m to reach"),
        (
            {"participant": NUMBER, "reference": "r", "require": "any"},
            "Waiting for any message with reference 'r' to reach",
        ),
    ],
)
def test_its_text_names_messages_interval_and_deadline(arguments: dict[str, Any], text: str) -> None:
    assert str(make_wait(make_watch(**arguments))).startswith(text)


def test_a_deadline_beyond_the_calendar() -> None:
    assert str(make_wait(deadline=1e12)).endswith("until 9999-12-31 23:59:59 UTC.")


class TestEvent:
    @pytest.mark.parametrize("status", ["success", "failure"])
    @pytest.mark.parametrize("count", [0, 1, 10, 5000])
    def test_messages_are_included_if_they_fit(self, status: Any, count: int) -> None:
        messages = poll(make_watch(), *(make_message(f"{index:024}", 201) for index in range(count)))[0].messages
        event = end_event(PollResult(status, messages, "some text"))
        assert len(json.dumps(event)) <= MAX_EVENT_BYTES
        if count == 5000:
            assert event["count"] == count
            assert "messages" not in event
        else:
            assert event["messages"] == messages
        assert event.get("text") == (None if status == "success" else "some text")

    @given(st.text(max_size=3000), st.integers(min_value=0, max_value=40), st.sampled_from(["failure", "timeout"]))
    @example("\N{PILE OF POO}" * 3000, 40, "failure")
    @example("x" * 3000, 40, "timeout")
    def test_it_is_small_whatever_the_text_is(self, text: str, count: int, status: Any) -> None:
        messages = poll(make_watch(), *(make_message(f"{index:024}") for index in range(count)))[0].messages
        for event in (end_event(PollResult(status, messages, text)), error_event("IP1ServerError", text)):
            assert len(json.dumps(event)) <= MAX_EVENT_BYTES
            shown = event["text"]
            assert shown == text or (shown.endswith("...") and text.startswith(shown[:-3]) and len(shown) > 100)

    def test_the_longest_complete_text(self) -> None:
        assert error_event("E", "x" * 2000)["text"] == "x" * 2000
        assert error_event("E", "x" * 2001)["text"] == "x" * 2000 + "..."

    def test_an_ordinary_text_is_complete(self) -> None:
        text = "\N{SNOWMAN}" * 300
        assert error_event("IP1ServerError", text) == {"status": "error", "error": "IP1ServerError", "text": text}
