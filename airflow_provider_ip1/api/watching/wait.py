# SPDX-License-Identifier: Apache-2.0
"""
The loop of a wait: poll, pause, and poll again until there is a verdict or time is up.

Poking sensors, deferring sensors and their triggers all drive :meth:`Wait.steps`, so a wait ends the same way in
every mode. Nothing in here does I/O or looks at a clock: the caller sleeps, polls, logs and says what time it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from airflow_provider_ip1.api.watching.poll_schedule import PollSchedule
from airflow_provider_ip1.api.watching.watch import Pollable, PollResult, Reported
from airflow_provider_ip1.exceptions import IP1Error, IP1NotFoundError

#: A wait logs at least one line in this many seconds, so that people can see that it is alive.
SIGN_OF_LIFE = 300.0

WatchT = TypeVar("WatchT", bound=Pollable)

LogLine: TypeAlias = tuple[int, str]
"""A level of :mod:`logging`, and a text without personal data."""

#: The largest trigger event in bytes of JSON. Airflow stores it in its metadata database, and adds to it up to 1 KB.
MAX_EVENT_BYTES = 3000

_MAX_TEXT_BYTES = 2000
_LAST_SECOND: Final = 253_402_300_799.0  # of the year 9999
_UNITS: Final = ((172_800.0, 86_400.0, "days"), (7200.0, 3600.0, "h"), (120.0, 60.0, "min"))


@dataclass(frozen=True, slots=True)
class Pause:
    """
    Sleep until ``until``, then poll if ``polls`` is true.

    :param until: end of the pause, in seconds since 1970.
    :param poll_at: when the next poll is due. A pause that ends earlier only serves to log that the wait is alive.
    :param lines: what to log first.
    """

    until: float
    poll_at: float
    lines: tuple[LogLine, ...] = ()

    @property
    def polls(self) -> bool:
        """Whether to poll after the pause."""
        return self.until >= self.poll_at


@dataclass(frozen=True, slots=True)
class WaitResult:
    """
    How a wait ended.

    :param status: ``"success"``, ``"failure"`` or ``"timeout"``.
    :param text: what the last poll found, or why it failed.
    :param messages: the messages that the wait was about; empty after a timeout.
    :param lines: what to log.
    """

    status: Literal["success", "failure", "timeout"]
    text: str
    messages: tuple[Reported, ...] = ()
    lines: tuple[LogLine, ...] = ()

    def as_dicts(self) -> list[dict[str, Any]]:
        """:return: the messages for XCom."""
        return [message.as_dict() for message in self.messages]

    def as_event(self) -> dict[str, Any]:
        """
        Make the trigger's event.

        :return: JSON values without personal data, at most :data:`MAX_EVENT_BYTES` long: ``status``; ``messages`` after
            a success or failure, or their ``count`` if they do not fit; and ``text`` after a failure or timeout.
        """
        event: dict[str, Any] = {"status": self.status}
        if self.status != "success":
            event["text"] = _shortened(self.text)
        if self.status == "timeout":
            return event
        with_messages = event | {"messages": self.as_dicts()}
        fits = len(json.dumps(with_messages)) <= MAX_EVENT_BYTES
        return with_messages if fits else event | {"count": len(self.messages)}


def error_event(error: str, text: str) -> dict[str, Any]:
    """
    Make the trigger's event for a wait that an error ended.

    :param error: the name of the exception's class.
    :param text: the message of the exception.
    :return: JSON values, at most :data:`MAX_EVENT_BYTES` long.
    """
    return {"status": "error", "error": error, "text": _shortened(text)}


class Wait(Generic[WatchT]):
    """
    One wait, from its first poll in this process to its end. Its text is what to log first.

    :param watch: what to wait for.
    :param schedule: when to poll.
    :param known_at: when iP.1 last returned one of the messages, or else the start of the wait, in seconds since 1970.
    :param not_found_timeout: seconds after ``known_at`` at which a poll that finds none of the messages ends the wait.
        ``None`` (default) means never.
    """

    def __init__(
        self, watch: WatchT, schedule: PollSchedule, *, known_at: float = 0.0, not_found_timeout: float | None = None
    ) -> None:
        self.watch = watch
        self.schedule = schedule
        self.known_at = known_at
        self._not_found_timeout = not_found_timeout
        self._text = ""
        self._logged_at: float | None = None

    def __str__(self) -> str:
        schedule = self.schedule
        return (
            f"Waiting for {self.watch.title}. "
            f"Polling every {duration_text(schedule.interval)} until {_time_text(schedule.deadline)}."
        )

    def steps(
        self, poll_at: float, now: float
    ) -> Generator[Pause | WaitResult, tuple[PollResult | IP1Error | None, float], None]:
        """
        Run the wait.

        After each :class:`Pause`, send the outcome of the poll (``None`` without a poll) and the current time. The
        generator ends with a :class:`WaitResult`. A caller may also stop after a poll and continue with another call.

        :param poll_at: when to poll first, in seconds since 1970.
        :param now: seconds since 1970.
        :return: a generator of pauses and one result.
        :raises IP1NotFoundError: iP.1 has not known any of the messages for ``not_found_timeout``.
        :raises IP1Error: iP.1 refuses the request, or too many polls in a row have failed.
        """
        if self._logged_at is None:
            self._logged_at = now
        lines: tuple[LogLine, ...] = ()
        next_poll: float | None = poll_at
        while next_poll is not None:
            outcome, now = yield Pause(min(next_poll, self._logged_at + SIGN_OF_LIFE), next_poll, lines)
            if outcome is None:
                # A trigger may say this before its first poll.
                known = f" {self._text.rstrip('.')}." if self._text else ""
                lines = ((logging.INFO, f"Still waiting.{known} Next poll at {_time_text(next_poll)}."),)
            elif isinstance(outcome, PollResult):
                lines = _lines_for(outcome)
                if outcome.verdict != "waiting":
                    yield WaitResult(_STATUS[outcome.verdict], outcome.text, outcome.messages, lines)
                    return
                self._text = outcome.text
                if (not_found := self._not_found_error(outcome, now)) is None:
                    next_poll = self.schedule.after_response(now)
                else:
                    next_poll = self.schedule.after_failure(not_found, now)
            else:
                self._text = str(outcome)
                next_poll = self.schedule.after_failure(outcome, now)
                lines = ((logging.WARNING, f"Poll failed ({self.schedule.failures} in a row): {outcome}"),)
            if lines:
                self._logged_at = now
        yield WaitResult("timeout", self._text, lines=lines)

    def _not_found_error(self, result: PollResult, now: float) -> IP1NotFoundError | None:
        if result.messages:
            self.known_at = now
        if self._not_found_timeout is None or now - self.known_at < self._not_found_timeout:
            return None
        return IP1NotFoundError(
            f"iP.1 has not known {self.watch.subject} for {duration_text(now - self.known_at)}, and not_found_timeout "
            f"is {duration_text(self._not_found_timeout)}. Check the id or reference, and that the API key of the "
            "connection belongs to the account that sent the messages. If they are sent later, raise not_found_timeout."
        )


def _lines_for(result: PollResult) -> tuple[LogLine, ...]:
    lines = tuple((logging.WARNING, warning) for warning in result.warnings)
    return (*lines, (logging.INFO, result.text)) if result.has_changed else lines


_STATUS: Final[dict[str, Literal["success", "failure"]]] = {"reached": "success", "failed": "failure"}


def check_not_found_timeout(not_found_timeout: timedelta | float | None) -> float | None:
    """
    Check how long iP.1 may not know the messages.

    :param not_found_timeout: 0 or more, in seconds if it is a number. ``None`` means as long as the wait lasts.
    :return: seconds, or ``None``.
    :raises ValueError: it is negative.
    """
    if isinstance(not_found_timeout, timedelta):
        not_found_timeout = not_found_timeout.total_seconds()
    if not_found_timeout is not None and not_found_timeout < 0:
        raise ValueError(f"not_found_timeout must be 0 or more, or None, not {not_found_timeout}")
    return not_found_timeout


def _shortened(text: str) -> str:
    sizes = accumulate(len(json.dumps(character)) - 2 for character in text)
    kept = sum(size <= _MAX_TEXT_BYTES for size in sizes)
    return text if kept == len(text) else f"{text[:kept]}..."


def duration_text(seconds: float) -> str:
    """
    Put a duration into words.

    :param seconds: the duration.
    :return: such as ``30 s``, ``10 min``, ``1.5 h`` or ``7 days``.
    """
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"


def _time_text(moment: float) -> str:
    return f"{datetime.fromtimestamp(min(moment, _LAST_SECOND), UTC):%Y-%m-%d %H:%M:%S} UTC"
