# SPDX-License-Identifier: Apache-2.0
"""
Watching a participant's incoming messages without end.

:meth:`ArrivalWatch.steps` decides what to do next. The trigger only sleeps, polls, sends events and saves positions.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.watching.cursor import Cursor, IncomingSms, Start
from airflow_provider_ip1.api.watching.poll_schedule import PollSchedule
from airflow_provider_ip1.api.watching.wait import LogLine
from airflow_provider_ip1.api.watching.watch import PollResult, Query, count_text
from airflow_provider_ip1.exceptions import IP1Error

#: Seconds from an event until its position is saved. Airflow stores an event within a second or two, without telling
#: the trigger. If the triggerer ends before the position is saved, the next triggerer sends the event again.
SAVE_AFTER: Final = 20.0
#: The most messages that an event lists. Its ``count`` includes the others.
MAX_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class ArrivalStep:
    """
    Log, send the event, save the state, sleep until ``until``, then poll if ``polls`` is true. In this order.

    :param until: end of the pause, in seconds since 1970.
    :param polls: whether to poll after the pause.
    :param lines: what to log.
    :param event: what to send, if anything.
    :param state: what to save, if anything.
    """

    until: float
    polls: bool
    lines: tuple[LogLine, ...] = ()
    event: dict[str, Any] | None = None
    state: dict[str, Any] | None = None


class ArrivalWatch:
    """
    The incoming messages of a participant, from poll to poll.

    :param participant: phone number with country code, or sender name.
    :param start: where to begin without a state, see :class:`Cursor`.
    :param state: the state that was saved last; ``None`` if there is none.
    :raises IP1ParticipantError: the participant cannot be used.
    """

    def __init__(self, participant: str, start: Start | datetime, state: Mapping[str, Any] | None = None) -> None:
        self._cursor = Cursor(participant, start, state)
        self._saved = None if state is None else self._cursor.state()

    @property
    def subject(self) -> str:
        """The messages in words, with a masked number."""
        return f"SMS from {mask_number(self._cursor.participant)}"

    @property
    def title(self) -> str:
        """What the watch is for, in words."""
        return self.subject

    def poll(self) -> Generator[Query | PollResult, Any, None]:
        """
        Read the new messages, as :meth:`Watch.poll <airflow_provider_ip1.api.watching.watch.Watch.poll>` does.

        :return: a generator of queries and one result, whose messages are the new ones, oldest first.
        :raises IP1PagingError: there are too many messages to read.
        :raises IP1ResponseError: iP.1's list cannot be used.
        """
        steps = self._cursor.poll()
        step = next(steps)
        while not isinstance(step, tuple):
            step = steps.send((yield step))
        messages = tuple(IncomingSms.of(message, self._cursor.participant) for message in step)
        text = f"{count_text(len(messages), 'new message')}: {self.subject}"
        yield PollResult("waiting", messages, text, has_changed=bool(messages), warnings=())

    def has_saved(self, state: dict[str, Any]) -> None:
        """Note that a state was saved. Without this, :meth:`steps` asks for it again after the next poll."""
        self._saved = state

    def steps(
        self, schedule: PollSchedule, now: float
    ) -> Generator[ArrivalStep, tuple[PollResult | IP1Error | None, float], None]:
        """
        Watch without end.

        After each step, send the outcome of the poll (``None`` without a poll) and the current time.

        :param schedule: when to poll. It must not have a deadline, and must never give up.
        :param now: seconds since 1970.
        :return: a generator of steps.
        """
        next_poll = schedule.first_poll(0.0, now)
        # When to save which state.
        unsaved: deque[tuple[float, dict[str, Any]]] = deque()
        step = ArrivalStep(next_poll, polls=True)
        while True:
            outcome, now = yield step
            event = state = None
            lines: tuple[LogLine, ...] = ()
            if isinstance(outcome, PollResult):
                next_poll = schedule.after_response(now) or now
                current = self._cursor.state()
                if outcome.messages:
                    lines = ((logging.INFO, outcome.text),)
                    event = _event(outcome)
                    unsaved.append((now + SAVE_AFTER, current))
                elif not unsaved and current != self._saved:
                    state = current
            elif outcome is not None:
                next_poll = schedule.after_failure(outcome, now) or now
                lines = ((logging.WARNING, f"Poll failed ({schedule.failures} in a row): {outcome}"),)
            while unsaved and unsaved[0][0] <= now:
                _, state = unsaved.popleft()
            until = min(next_poll, unsaved[0][0]) if unsaved else next_poll
            step = ArrivalStep(until, polls=until >= next_poll, lines=lines, event=event, state=state)


def _event(outcome: PollResult) -> dict[str, Any]:
    messages = [message.as_dict() for message in outcome.messages]
    times = sorted(message["received"] for message in messages if message["received"] is not None)
    return {
        "count": len(messages),
        "first_received": times[0] if times else None,
        "last_received": times[-1] if times else None,
        "messages": [
            {name: message[name] for name in ("message_id", "batch_id", "received")}
            for message in messages[-MAX_LISTED:]
        ],
    }
