# SPDX-License-Identifier: Apache-2.0
"""
A wait: what it looks at, when it polls, and how it ends.

A sensor makes a :class:`Wait`, its trigger gets the same wait as a dictionary, and both report to it what each poll
found. A wait therefore ends the same way in every mode. Nothing in here does I/O or looks at a clock: the caller
sleeps, polls and says what time it is.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from itertools import accumulate
from typing import Any, Final, Generic, TypeVar

from airflow_provider_ip1.api.watching.watch import PollResult, Watch
from airflow_provider_ip1.api.wording import Log, duration_text, moment_text
from airflow_provider_ip1.exceptions import (
    IP1Error,
    IP1NotFoundError,
    IP1PagingError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)

#: A wait logs at least one line in this many seconds, so that people can see that it is alive.
SIGN_OF_LIFE: Final = 300.0
#: A message counts as unknown only after this many polls in a row without it, :data:`NOT_FOUND_PAUSE` seconds apart.
#: A single 404 proves nothing, and a process that has just begun does not know when others last saw the message.
NOT_FOUND_POLLS: Final = 3
NOT_FOUND_PAUSE: Final = 10.0
#: The shortest pause between two polls in seconds, even if ``poke_interval`` is shorter.
MIN_PAUSE: Final = 1.0
#: The longest pause in seconds after a failed poll, unless iP.1 asks for more. Most outages are short.
MAX_PAUSE_AFTER_FAILURE: Final = 60.0
#: Pauses are longer by a random share up to this one, so that waits which began together drift apart.
JITTER: Final = 0.1
#: Overdue polls are spread over this many seconds, so that the waits of a restarted triggerer do not poll all at once.
OVERDUE_SPREAD: Final = 10.0
#: Errors that may be gone at the next poll. Others, such as a refused key, end the wait at once. So does
#: IP1NotFoundError, although it is an IP1ResponseError.
PASSING_ERRORS: Final = (IP1ServerError, IP1RateLimitError, IP1ResponseError, IP1PagingError)
#: The largest trigger event in bytes of JSON. Airflow stores it in its metadata database, and adds to it up to 1 KB.
MAX_EVENT_BYTES: Final = 3000

_MAX_TEXT_BYTES = 2000

WatchT = TypeVar("WatchT", bound=Watch)


def end_event(result: PollResult) -> dict[str, Any]:
    """
    Make the trigger's event for the end of a wait.

    :param result: how the wait ended.
    :return: JSON values without personal data, at most :data:`MAX_EVENT_BYTES` long: ``status``; ``messages`` after a
        success or failure, or their ``count`` if they do not fit; and ``text`` after a failure or timeout.
    """
    event: dict[str, Any] = {"status": result.verdict}
    if result.verdict != "success":
        event["text"] = _shortened(result.text)
    if result.verdict == "timeout":
        return event
    with_messages = event | {"messages": result.messages}
    fits = len(json.dumps(with_messages)) <= MAX_EVENT_BYTES
    return with_messages if fits else event | {"count": len(result.messages)}


def error_event(error: str, text: str) -> dict[str, Any]:
    """
    Make the trigger's event for a wait that an error ended.

    :param error: the name of the exception's class.
    :param text: the message of the exception.
    :return: JSON values, at most :data:`MAX_EVENT_BYTES` long.
    """
    return {"status": "error", "error": error, "text": _shortened(text)}


@dataclass(kw_only=True, repr=False)
class Wait(Generic[WatchT]):
    """
    One wait. Its text is what to log first.

    :param watch: what to look at.
    :param deadline: end of the wait, in seconds since 1970; infinite for a watcher that never ends.
    :param started_at: start of the wait, in seconds since 1970.
    :param poke_interval: seconds between polls, 0 or more. Values below :data:`MIN_PAUSE` count as that.
    :param exponential_backoff: whether each pause is as long as the wait has lasted so far. Default no.
    :param max_wait: the longest pause in seconds with ``exponential_backoff``. ``None`` (default) means no limit.
    :param silent_fail: whether to wait out every error until the deadline. Default no.
    :param max_outage: seconds after the first of several failed polls in a row at which another one ends the wait.
        Default one hour; ``None`` means never.
    :param not_found_timeout: seconds after ``known_at`` at which a poll that finds none of the messages ends the wait.
        ``None`` (default) means never.
    :param known_at: when iP.1 last returned one of the messages, in seconds since 1970. Default: ``started_at``.
    :param failures: failed polls in a row so far.
    :param failing_since: time of the first of them, in seconds since 1970; ``None`` if it is not known.
    :param poll_at: when the next poll is due, in seconds since 1970. Default: at once.
    """

    watch: WatchT
    deadline: float
    started_at: float
    poke_interval: float = 60.0
    exponential_backoff: bool = False
    max_wait: float | None = None
    silent_fail: bool = False
    max_outage: float | None = 3600.0
    not_found_timeout: float | None = None
    known_at: float | None = None
    failures: int = 0
    failing_since: float | None = None
    poll_at: float = 0.0

    def __post_init__(self) -> None:
        #: Draws a number from a range. Tests replace it.
        self.uniform: Callable[[float, float], float] = random.uniform
        #: How the wait ended; ``None`` while it goes on.
        self.result: PollResult | None = None
        #: What the last poll that succeeded has found.
        self.found = PollResult("waiting", [], "")
        #: Whether the last poll found nothing and must be repeated before that ends the wait, or left something to the
        #: next one, which therefore follows at once.
        self.is_in_doubt = False
        self._empty_polls = 0
        self._text = ""
        self._logged_at = math.inf

    def __str__(self) -> str:
        polling = f"{self.watch.title}. Polling every {duration_text(self.interval)}"
        if math.isinf(self.deadline):
            return f"Watching for {polling}."
        return f"Waiting for {polling} until {moment_text(self.deadline)}."

    # -- in another process

    def to_dict(self) -> dict[str, Any]:
        """:return: this wait, for :meth:`from_dict`: its own entries and those of its watch, as JSON values."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "watch"}
        return own | self.watch.to_dict()

    @classmethod
    def from_dict(cls, description: Mapping[str, Any], watch_class: Callable[..., WatchT]) -> Wait[WatchT]:
        """
        Continue a wait of another process.

        :param description: what :meth:`to_dict` returned. 0.2.0 described waits in the same way.
        :param watch_class: makes the watch from its entries.
        :raises ValueError: an entry is invalid; the message names the entry.
        :raises TypeError: an entry is missing or unknown.
        """
        own = {field.name for field in fields(cls)} & description.keys()
        watch = watch_class(**{name: value for name, value in description.items() if name not in own})
        return cls(watch=watch, **{name: description[name] for name in own})

    def begin(self, now: float, log: Log) -> None:
        """
        Begin in this process.

        :param now: seconds since 1970.
        :param log: gets the first line.
        """
        log.info("%s", self)
        # An event trigger logs no signs of life, because no task waits for it.
        self._logged_at = math.inf if math.isinf(self.deadline) else now

    def resume(self, now: float, log: Log) -> None:
        """Like :meth:`begin`, in a triggerer, which may have just been restarted: spread overdue polls."""
        self.begin(now, log)
        if self.poll_at <= now:
            self.poll_at = now + self.uniform(0.0, min(self.interval, OVERDUE_SPREAD))

    # -- when to poll

    @property
    def interval(self) -> float:
        """Seconds between two polls."""
        return max(self.poke_interval, MIN_PAUSE)

    @property
    def wake_at(self) -> float:
        """When to call :meth:`take` next, in seconds since 1970: for a poll, or only to log that the wait is alive."""
        return min(self.poll_at, self._logged_at + SIGN_OF_LIFE)

    def after_response(self, now: float) -> float | None:
        """
        When to poll again after a poll that succeeded.

        :param now: seconds since 1970.
        :return: seconds since 1970. The last poll is at the deadline; ``None`` means that it has passed.
        """
        pause = self.interval
        if self.exponential_backoff:
            pause = max(pause, now - self.started_at)
            if self.max_wait is not None:
                pause = min(pause, max(self.max_wait, MIN_PAUSE))
        return self._next_poll(now, pause, earliest=now)

    def after_failure(self, error: IP1Error, now: float) -> float | None:
        """
        When to poll again after a poll that failed.

        :param error: the error that the poll raised.
        :param now: seconds since 1970.
        :return: seconds since 1970. ``None`` means that the deadline has passed, or will have passed when iP.1 wants to
            be asked again (``Retry-After``).
        :raises IP1Error: the error will not pass, or the outage lasts too long. The type is that of the given error.
        """
        self.failures += 1
        if self.failing_since is None:
            self.failing_since = now
        outage = now - self.failing_since
        if not self.silent_fail:
            if not isinstance(error, PASSING_ERRORS) or isinstance(error, IP1NotFoundError):
                raise error
            if self.max_outage is not None and outage >= self.max_outage and now < self.deadline:
                raise type(error)(
                    f"{error} All {self.failures} polls of the last {duration_text(outage)} failed, and max_outage is "
                    f"{duration_text(self.max_outage)}, so the wait ends here."
                )
        retry_after = getattr(error, "retry_after", None) or 0.0
        if now + retry_after > self.deadline:
            return None
        # A long outage is polled less often than a short one.
        pause = min(max(self.interval, outage), MAX_PAUSE_AFTER_FAILURE)
        return self._next_poll(now, pause, earliest=now + retry_after)

    def _next_poll(self, now: float, pause: float, earliest: float) -> float | None:
        if now >= self.deadline:
            return None
        return max(min(now + pause * self.uniform(1.0, 1.0 + JITTER), self.deadline), earliest)

    # -- what a poll means

    def take(self, outcome: PollResult | IP1Error | None, now: float, log: Log) -> None:
        """
        Go on after a poll or a pause: set :attr:`result` or :attr:`poll_at`.

        :param outcome: what the poll found, or the error that it raised; ``None`` after a pause without a poll.
        :param now: seconds since 1970.
        :param log: gets the changes, and signs of life.
        :raises IP1NotFoundError: iP.1 has not known any of the messages for ``not_found_timeout``.
        :raises IP1Error: iP.1 refuses the request, or has not responded for ``max_outage``.
        """
        if outcome is None:
            if now >= self._logged_at + SIGN_OF_LIFE:
                # A trigger may say this before its first poll.
                known = f" {self._text.rstrip('.')}." if self._text else ""
                self._log(log.info, f"Still waiting.{known} Next poll at {moment_text(self.poll_at)}.", now)
            return
        if isinstance(outcome, IP1Error):
            self._text, next_poll = str(outcome), self.after_failure(outcome, now)
            self._log(log.warning, f"Poll failed ({self.failures} in a row): {outcome}", now)
        else:
            self._text = outcome.text
            self._look_at(outcome, now, log)
            if self.result is not None or self.is_in_doubt:
                return
            next_poll = self.after_response(now)
        if next_poll is None:
            self.result = PollResult("timeout", [], self._text)
        else:
            self.poll_at = next_poll

    def _look_at(self, found: PollResult, now: float, log: Log) -> None:
        for warning in found.warnings:
            self._log(log.warning, warning, now)
        if found.text != self.found.text:
            self._log(log.info, found.text, now)
        self.found = found
        self.failures, self.failing_since, self.is_in_doubt = 0, None, False
        self._empty_polls = 0 if found.messages else self._empty_polls + 1
        if found.messages:
            self.known_at = now
        if found.verdict != "waiting":
            self.result = found
            return
        if found.has_more and now < self.deadline:
            self.is_in_doubt, self.poll_at = True, now + MIN_PAUSE
            return
        unknown_for = now - (self.started_at if self.known_at is None else self.known_at)
        if self.not_found_timeout is None or self.silent_fail or unknown_for < self.not_found_timeout:
            return
        if self._empty_polls < NOT_FOUND_POLLS:
            # Also after the deadline, so that the wait ends the same way in every mode.
            self.is_in_doubt, self.poll_at = True, now + NOT_FOUND_PAUSE
            return
        raise IP1NotFoundError(
            f"iP.1 has not known {self.watch.subject} for {duration_text(unknown_for)}, and not_found_timeout is "
            f"{duration_text(self.not_found_timeout)}. Check the id or reference, and that the API key of the "
            "connection belongs to the account that sent the messages. If they are sent later, raise not_found_timeout."
        )

    def _log(self, write: Callable[[str, str], object], text: str, now: float) -> None:
        write("%s", text)
        self._logged_at = max(self._logged_at, now)


def seconds(duration: timedelta | float | str | None, argument: str) -> float | None:
    """
    Check a duration that a DAG author wrote.

    :param duration: a timedelta, or seconds as a number or as text, 0 or more. ``None`` means without end.
    :param argument: the name of the argument, for the error.
    :return: seconds, or ``None``.
    :raises ValueError: it is anything else.
    """
    if duration is None:
        return None
    try:
        number = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(duration, bool) or not 0 <= number < math.inf:
        raise ValueError(f"{argument} must be a timedelta or a number of seconds, 0 or more, not {duration!r}")
    return number


def _shortened(text: str) -> str:
    sizes = accumulate(len(json.dumps(character)) - 2 for character in text)
    kept = sum(size <= _MAX_TEXT_BYTES for size in sizes)
    return text if kept == len(text) else f"{text[:kept]}..."
