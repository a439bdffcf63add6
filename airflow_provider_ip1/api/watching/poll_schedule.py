# SPDX-License-Identifier: Apache-2.0
"""When to poll again, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from airflow_provider_ip1.exceptions import (
    IP1Error,
    IP1NotFoundError,
    IP1PagingError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)

#: Failed polls in a row that end a wait. Each poll sends a request up to ``max_attempts`` times before it fails.
MAX_FAILED_POLLS = 10
#: The shortest pause between two polls in seconds, whatever ``poke_interval`` is.
MIN_PAUSE = 1.0
#: The longest pause in seconds after a failed poll, unless iP.1 asks for more. Most outages are short.
MAX_PAUSE_AFTER_FAILURE = 60.0
#: Pauses are longer by a random share up to this one, so that waits which began together drift apart.
JITTER = 0.1
#: Overdue polls are spread over this many seconds, so that the waits of a restarted triggerer do not poll all at once.
OVERDUE_SPREAD = 10.0
#: Errors that may be gone at the next poll. Others, such as a refused key, end the wait at once. So does
#: IP1NotFoundError, although it is an IP1ResponseError.
PASSING_ERRORS: Final = (IP1ServerError, IP1RateLimitError, IP1ResponseError, IP1PagingError)


class PollSchedule:
    """
    Decides when to poll again and when to give up.

    :param poke_interval: seconds between polls, 0 or more. Values below :data:`MIN_PAUSE` count as that.
    :param deadline: end of the wait, in seconds since 1970.
    :param started_at: start of the wait, in seconds since 1970.
    :param exponential_backoff: whether each pause is as long as the wait has lasted so far. Default no.
    :param max_wait: the longest pause in seconds with ``exponential_backoff``. ``None`` (default) means no limit.
    :param never_gives_up: whether to wait out every error until the deadline (a sensor's ``silent_fail``). Default no.
    :param failures: failed polls in a row so far. Default 0.
    :param uniform: draws a number from a range. Tests replace it.
    """

    def __init__(
        self,
        *,
        poke_interval: float,
        deadline: float,
        started_at: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        never_gives_up: bool = False,
        failures: int = 0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.interval = max(poke_interval, MIN_PAUSE)
        self.deadline = deadline
        self.failures = failures
        self.started_at = started_at
        self._exponential_backoff = exponential_backoff
        self._max_wait = max_wait
        self._never_gives_up = never_gives_up
        self._uniform = uniform

    def first_poll(self, planned_at: float, now: float) -> float:
        """
        When to poll first, in a wait that was planned in another process.

        :param planned_at: when the poll was planned, in seconds since 1970.
        :param now: seconds since 1970.
        :return: when to poll, in seconds since 1970.
        """
        if planned_at > now:
            return planned_at
        return now + self._uniform(0.0, min(self.interval, OVERDUE_SPREAD))

    def after_response(self, now: float) -> float | None:
        """
        When to poll again after a poll that succeeded.

        :param now: seconds since 1970.
        :return: seconds since 1970. The last poll is at the deadline; ``None`` means that it has passed.
        """
        self.failures = 0
        pause = self.interval
        if self._exponential_backoff:
            pause = max(pause, now - self.started_at)
            if self._max_wait is not None:
                pause = min(pause, max(self._max_wait, MIN_PAUSE))
        return self._next_poll(now, pause, earliest=now)

    def after_failure(self, error: IP1Error, now: float) -> float | None:
        """
        When to poll again after a poll that failed.

        :param error: the error that the poll raised.
        :param now: seconds since 1970.
        :return: seconds since 1970. ``None`` means that the deadline has passed, or will have passed when iP.1 wants to
            be asked again (``Retry-After``).
        :raises IP1Error: the error will not pass, or :data:`MAX_FAILED_POLLS` polls in a row have failed. The type is
            that of the given error.
        """
        self.failures += 1
        if not self._never_gives_up:
            if not isinstance(error, PASSING_ERRORS) or isinstance(error, IP1NotFoundError):
                raise error
            if self.failures >= MAX_FAILED_POLLS and now < self.deadline:
                raise type(error)(f"{error} {self.failures} polls in a row failed, so the wait ends here.")
        retry_after = getattr(error, "retry_after", None) or 0.0
        if now + retry_after > self.deadline:
            return None
        return self._next_poll(now, min(self.interval, MAX_PAUSE_AFTER_FAILURE), earliest=now + retry_after)

    def _next_poll(self, now: float, pause: float, earliest: float) -> float | None:
        if now >= self.deadline:
            return None
        return max(min(now + pause * self._uniform(1.0, 1.0 + JITTER), self.deadline), earliest)
