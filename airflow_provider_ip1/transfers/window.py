# SPDX-License-Identifier: Apache-2.0
"""Which messages of a conversation an export takes, and how far it has to read for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """
    ``since <= modified < until``.

    :param since: aware, ``None`` for no beginning.
    :param until: aware, ``None`` for no end.
    :param read_back_to: reading newest first may end at the first message that was modified earlier; ``None`` to read
        everything.
    """

    since: datetime | None = None
    until: datetime | None = None
    read_back_to: datetime | None = None

    @classmethod
    def from_arguments(cls, since: Any, until: Any, status_lookback: timedelta | None) -> Window:
        """
        Read the operator's arguments.

        :param since: see :func:`read_moment`.
        :param until: see :func:`read_moment`.
        :param status_lookback: how long before ``since`` a message may have been sent and still change.
        :raises ValueError: a time cannot be read, or ``until`` is not after ``since``; names the argument.
        """
        begin, end = read_moment(since, "since"), read_moment(until, "until")
        if begin is not None and end is not None and end <= begin:
            raise ValueError(
                f"until: {end.isoformat()} is not after since ({begin.isoformat()}), so no message can be in between. "
                "On Airflow 3 a cron schedule's data interval has length zero unless the DAG uses "
                "CronDataIntervalTimetable."
            )
        read_back_to = None
        if begin is not None and status_lookback is not None:
            try:
                read_back_to = begin - status_lookback
            except OverflowError:
                read_back_to = datetime.min.replace(tzinfo=UTC)
        return cls(begin, end, read_back_to)

    @property
    def is_open(self) -> bool:
        """Whether every message is in the window, one without a time included."""
        return self.since is None and self.until is None

    def contains(self, modified: datetime | None) -> bool:
        """
        Whether a message is in the window.

        :param modified: when it was last changed. Without it, only an open window has a place for it.
        """
        if modified is None:
            return self.is_open
        return (self.since is None or self.since <= modified) and (self.until is None or modified < self.until)


def read_moment(value: Any, argument: str) -> datetime | None:
    """
    Read a point in time as DAG authors and templates write it.

    :param value: a datetime, or a date and time in ISO 8601; without zone it is UTC. ``None``, and the empty string and
        ``"None"`` that templates make of it, are not set.
    :param argument: its name, for the error.
    :return: in UTC.
    :raises ValueError: it is neither.
    """
    if isinstance(value, str):
        text = value.strip()
        if text in ("", "None"):
            return None
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            value = text
    if value is None:
        return None
    if not isinstance(value, datetime):
        shown = repr(value) if isinstance(value, str) else f"of type {type(value).__name__}"
        raise ValueError(
            f"{argument}: {shown} is not a point in time. Give a datetime, or ISO 8601 such as 2026-11-01T00:00:00Z."
        )
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        # Not a subclass, such as pendulum's, which calculates in its own way.
        return datetime.combine(moment.date(), moment.time(), UTC)
    except OverflowError:
        pass
    raise ValueError(f"{argument}: {value!s} is outside of the years 1 to 9999 in UTC.")


class NewestFirst:
    """
    Decides where reading a conversation from its newest message backwards may end.

    A message never was modified before it was created. So in a list that is newest first, a message that was modified
    before the limit is followed by messages that are older still. A server that ignores ``order=DESC`` would make this
    lose everything, so the end is believed only in a list that looks newest first: its first message is newer than
    the last one seen, and times fall more often than they rise from one message to the next.

    :param read_back_to: aware.
    """

    def __init__(self, read_back_to: datetime) -> None:
        self._limit = read_back_to
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._rises = 0
        self._falls = 0
        self._has_warned = False

    def end_in(self, times: Sequence[datetime | None]) -> int | None:
        """
        Look at the next messages.

        :param times: when each was last modified. Messages without a time are passed over.
        :return: the position of the first message that need not be read; ``None`` to read on.
        """
        end = None
        for position, time in enumerate(times):
            if time is None:
                continue
            if self._last is None:
                self._first = time
            else:
                self._rises += time > self._last
                self._falls += time < self._last
            self._last = time
            if end is None and time < self._limit:
                end = position
        if end is None or self._first is None or self._last is None:
            return None
        if self._first > self._last and self._falls > self._rises:
            return end
        if self._first < self._last and self._rises > self._falls and not self._has_warned:
            self._has_warned = True
            log.warning(
                "iP.1 does not list this conversation newest first, although it was asked to. It is read to its end, "
                "so that no message is missed."
            )
        return None
