# SPDX-License-Identifier: Apache-2.0
"""What the event trigger does when: polls, events, positions and log lines, on a clock that jumps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_ip1.api.watching.incoming import (
    MAX_LISTED,
    SAVE_AFTER,
    ArrivalWatch,
    IncomingWatch,
    arrival_event,
)
from airflow_provider_ip1.api.watching.wait import Wait
from airflow_provider_ip1.api.watching.watch import PollResult
from airflow_provider_ip1.exceptions import IP1AuthError, IP1Error, IP1RateLimitError, IP1ServerError
from tests.api.watching.test_cursor import NUMBER, Inbox, full_inbox, pages_of, read_ahead_of
from tests.api.watching.watched_messages import Lines

OUTAGE = IP1ServerError("iP.1 answered 503.")


def result_of(watch: ArrivalWatch | IncomingWatch, inbox: Inbox) -> PollResult:
    steps = watch.poll()
    query = next(steps)
    for page in pages_of(read_ahead_of(query), inbox):
        step = steps.send(page)
        if step is not query:
            break
    else:
        step = steps.send(None)
    assert isinstance(step, PollResult)
    return step


class Run:
    """
    Drives a watch.

    :param outcomes: before each poll, how many messages arrive, or the error that the poll ends with.
    :param saves: whether saving works.
    """

    def __init__(
        self,
        outcomes: Iterable[int | IP1Error],
        *,
        start: Any = "now",
        interval: float = 60.0,
        inbox: Inbox | None = None,
        saves: bool = True,
    ) -> None:
        self.inbox = inbox or full_inbox(100)
        self.watch = ArrivalWatch(NUMBER, start)
        self.polled_at: list[float] = []
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.positions: list[tuple[float, dict[str, Any]]] = []
        self.now = 0.0
        self._saves = saves
        self._log = Lines()
        self._wait = Wait(watch=self.watch, deadline=math.inf, started_at=0.0, poke_interval=interval, silent_fail=True)
        self._wait.uniform = min
        self._wait.begin(self.now, self._log)
        for outcome in outcomes:
            self._go_to_poll()
            self.polled_at.append(self.now)
            if isinstance(outcome, IP1Error):
                self._take(outcome)
                continue
            for _ in range(outcome):
                self.inbox.arrive(10_000)
            self._take(result_of(self.watch, self.inbox))
        self._go_to_poll()

    def _go_to_poll(self) -> None:
        while (wake_at := min(self._wait.wake_at, self.watch.save_at)) < self._wait.poll_at:
            self.now = max(self.now, wake_at)
            self._take(None)
        self.now = max(self.now, self._wait.poll_at)

    def _take(self, outcome: PollResult | IP1Error | None) -> None:
        self._wait.take(outcome, self.now, self._log)
        result = outcome if isinstance(outcome, PollResult) else None
        if result is not None and result.messages:
            self.events.append((self.now, arrival_event(result)))
        if (position := self.watch.due_position(result, self.now)) is not None:
            self.positions.append((self.now, position))
            if self._saves:
                self.watch.has_saved(position)

    @property
    def lines(self) -> list[str]:
        return [text for _, text in self._log[1:]]


class TestEvents:
    def test_one_event_per_poll_with_new_messages(self) -> None:
        run = Run([0, 2, 0, 1, 0])
        assert [(at, event["count"]) for at, event in run.events] == [(60.0, 2), (180.0, 1)]
        assert run.polled_at == [0.0, 60.0, 120.0, 180.0, 240.0]

    def test_an_event_carries_ids_count_and_times(self) -> None:
        _, event = Run([0, 2]).events[0]
        assert event.keys() == {"count", "first_received", "last_received", "messages"}
        assert [message.keys() for message in event["messages"]] == [{"message_id", "batch_id", "received"}] * 2
        assert event["first_received"] == event["last_received"] == "2026-11-01T02:46:40+00:00"

    def test_an_event_is_small(self) -> None:
        _, event = Run([0, 500]).events[0]
        assert event["count"] == 500 and len(event["messages"]) == MAX_LISTED
        assert len(json.dumps(event)) < 4000

    def test_messages_without_a_time(self) -> None:
        inbox = full_inbox(100)
        inbox.received = {f"{101:024x}": None}
        _, event = Run([0, 1], inbox=inbox).events[0]
        assert event["first_received"] is event["last_received"] is event["messages"][0]["received"] is None

    def test_the_beginning(self) -> None:
        (event,) = Run([0, 0], start="beginning").events
        assert (event[0], event[1]["count"]) == (0.0, 100)

    def test_a_poll_returns_the_new_messages(self) -> None:
        inbox, watch = full_inbox(100), ArrivalWatch(NUMBER, "now")
        assert result_of(watch, inbox) == PollResult("waiting", [], "")
        inbox.arrive(1000)
        result = result_of(watch, inbox)
        assert (result.verdict, len(result.messages), result.warnings) == ("waiting", 1, ())

    def test_nothing_personal(self) -> None:
        run = Run([0, 2, OUTAGE])
        told = json.dumps([run.events, run.positions, run.lines]) + run.watch.subject + run.watch.title
        assert NUMBER not in told and "Hej" not in told


class TestPositions:
    def test_the_first_position_is_saved_at_once(self) -> None:
        """Otherwise a message that arrives before a restart would be missed."""
        run = Run([0, 0, 0])
        assert [at for at, _ in run.positions] == [0.0]

    def test_a_position_is_saved_some_time_after_its_event(self) -> None:
        run = Run([0, 1, 0, 0])
        assert [at for at, _ in run.positions] == [0.0, 60.0 + SAVE_AFTER]

    def test_before_that_a_restart_repeats_the_event(self) -> None:
        run = Run([0, 1, 0, 0])
        for (_, state), count in zip(run.positions, (1, 0), strict=True):
            assert len(result_of(ArrivalWatch(NUMBER, "now", state), run.inbox).messages) == count

    def test_a_newer_event_does_not_delay_the_position_of_an_older_one(self) -> None:
        run = Run([0, *[1] * 50], interval=1.0)
        saved = [at for at, _ in run.positions]
        assert saved[:3] == [0.0, 1.0 + SAVE_AFTER, 2.0 + SAVE_AFTER]

    def test_a_position_that_was_not_saved_is_saved_after_the_next_poll(self) -> None:
        run = Run([0, 0, 0], saves=False)
        assert [at for at, _ in run.positions] == [0.0, 60.0, 120.0]

    def test_a_position_from_an_earlier_run_is_not_saved_again(self) -> None:
        run = Run([0, 0])
        watch = ArrivalWatch(NUMBER, "now", run.positions[0][1])
        assert watch.due_position(result_of(watch, run.inbox), 0.0) is None


class TestFaults:
    @pytest.mark.parametrize("error", [OUTAGE, IP1AuthError("refused"), IP1Error("odd")], ids=repr)
    def test_every_error_is_waited_out_and_logged(self, error: IP1Error) -> None:
        run = Run([0, *[error] * 30, 1], interval=3600.0)
        assert [event["count"] for _, event in run.events] == [1]
        # Once a minute, although the interval is an hour.
        assert run.polled_at[1:4] == [3600.0, 3660.0, 3720.0]
        assert f"Poll failed (30 in a row): {error}" in run.lines

    def test_retry_after(self) -> None:
        run = Run([IP1RateLimitError("slow down", retry_after=500.0), 0])
        assert run.polled_at == [0.0, 500.0]

    def test_a_hot_loop_is_impossible(self) -> None:
        run = Run([0, *[OUTAGE, 0] * 20], interval=0.0)
        assert run.now >= 40
