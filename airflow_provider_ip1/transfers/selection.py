# SPDX-License-Identifier: Apache-2.0
"""Which messages an export takes, and where it may stop reading a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_ip1.api.paging.newest_first import NewestFirst
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.timestamps import is_plausible
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.template_values import time_or_none


@dataclass(frozen=True)
class Window:
    """
    The time window ``since <= modified < until``.

    :param since: start of the window, aware; ``None`` for no start.
    :param until: end of the window, aware; ``None`` for no end.
    :param lookback: with a start, reading newest first may stop before messages that were modified longer than this
        before the start; ``None`` to read the entire conversation.
    """

    since: datetime | None = None
    until: datetime | None = None
    lookback: timedelta | None = None

    @classmethod
    def from_arguments(cls, since: Any, until: Any, status_lookback: timedelta | None) -> Window:
        """
        Build the window from the operator's arguments.

        :param since: see :func:`~airflow_provider_ip1.template_values.time_or_none`.
        :param until: see :func:`~airflow_provider_ip1.template_values.time_or_none`.
        :param status_lookback: how long a message may still change after it was sent; ``None`` for no limit.
        :raises ValueError: a time is unreadable, or ``until`` is not after ``since``. The message names the argument.
        """
        begin, end = time_or_none(since, "since"), time_or_none(until, "until")
        if begin is not None and end is not None and end <= begin:
            raise ValueError(
                f"until: {end.isoformat()} is not after since ({begin.isoformat()}), so the window is empty. "
                "On Airflow 3 a cron schedule's data interval has length zero unless the DAG uses "
                "CronDataIntervalTimetable."
            )
        return cls(begin, end, None if begin is None else status_lookback)

    @property
    def is_open(self) -> bool:
        """Whether the window contains every message, including those without a time."""
        return self.since is None and self.until is None

    def contains(self, modified: datetime | None) -> bool:
        """
        Return whether a message is in the window.

        :param modified: when the message was last changed; ``None`` is only in an open window.
        """
        if modified is None:
            return self.is_open
        return (self.since is None or self.since <= modified) and (self.until is None or modified < self.until)

    def covers(self, since: datetime | None, until: datetime | None) -> bool:
        """
        Return whether this window contains another one.

        :param since: start of the other window.
        :param until: its end.
        """
        starts_before = self.since is None or (since is not None and self.since <= since)
        return starts_before and (self.until is None or (until is not None and until <= self.until))


class Selection:
    """
    Selects from each page the messages in the window.

    Implausible times count as missing, so they never end the reading of a conversation.

    :param window: the time window.
    :param latest: the latest plausible time, see
        :func:`~airflow_provider_ip1.api.timestamps.is_plausible`.
    """

    def __init__(self, window: Window, latest: datetime) -> None:
        self._window = window
        self._latest = latest
        self._newest_first: NewestFirst | None = None
        self.undated = 0
        """Number of messages left out because iP.1 sent no plausible time for them."""

    def select(self, page: Page) -> tuple[Page, bool]:
        """
        Select from the next page.

        :param page: the pages of a conversation in order, one conversation after the other.
        :return: the page with only the selected messages, which may be none; and whether the rest of the conversation
            need not be read.
        """
        window = self._window
        if window.is_open:
            return page, False
        times = [time if is_plausible(time, self._latest) else None for time in page.modified]
        is_last = False
        if window.since is not None and window.lookback is not None:
            if page.number == 0 or self._newest_first is None:
                self._newest_first = NewestFirst(window.since, window.lookback)
            is_last = self._newest_first.end_in(times) is not None
        self.undated += times.count(None)
        # Of the last page, too, all messages: a server may sort the pages in one order, and each page in the other.
        indexes = [index for index, time in enumerate(times) if window.contains(time)]
        return page.only(indexes), is_last

    def warnings(self) -> Iterator[str]:
        """Warn about the messages that no window contains."""
        if self.undated:
            yield (
                f"Left out {counted(self.undated, 'message')}: iP.1 sent no plausible time of modification for them, "
                "so no window contains them."
            )
