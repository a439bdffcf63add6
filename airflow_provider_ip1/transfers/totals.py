# SPDX-License-Identifier: Apache-2.0
"""What an export has read and written so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.timestamps import is_plausible
from airflow_provider_ip1.transfers.pending import pending_indexes


@dataclass
class Totals:
    """
    Counts for the result of an export.

    :param latest: the latest plausible time, see :func:`~airflow_provider_ip1.api.timestamps.is_plausible`.
    :param messages: messages written.
    :param pages: pages read.
    :param first_modified: the earliest time of modification among the messages written.
    :param last_modified: the latest one.
    :param pending: messages read, in the window or not, whose status can still change.
    :param oldest_pending: the earliest time of modification among these.
    """

    latest: datetime
    messages: int = 0
    pages: int = 0
    first_modified: datetime | None = None
    last_modified: datetime | None = None
    pending: int = 0
    oldest_pending: datetime | None = None

    def add(self, page: Page, selected: Page) -> None:
        """
        Count one page.

        :param page: the page as it was read.
        :param selected: the part of it that belongs in the object.
        """
        self.pages += 1
        self.messages += len(selected)
        if times := _plausible_range(selected, self.latest):
            first, last = times
            self.first_modified = _earlier(self.first_modified, first)
            if self.last_modified is None or last > self.last_modified:
                self.last_modified = last
        if pending := pending_indexes(page):
            self.pending += len(pending)
            for index in pending:
                if is_plausible(time := page.modified[index], self.latest):
                    self.oldest_pending = _earlier(self.oldest_pending, time)

    @property
    def result(self) -> dict[str, Any]:
        """The counts as they appear in the operator's result. Times are ISO 8601 text."""
        return {
            "messages": self.messages,
            "pages": self.pages,
            "first_modified": self.first_modified and self.first_modified.isoformat(),
            "last_modified": self.last_modified and self.last_modified.isoformat(),
            "pending": self.pending,
            "oldest_pending": self.oldest_pending and self.oldest_pending.isoformat(),
        }


def _plausible_range(page: Page, latest: datetime) -> tuple[datetime, datetime] | None:
    """Return the earliest and the latest plausible time of modification; ``None`` if no message has one."""
    if (found := page.modified_range) and all(is_plausible(time, latest) for time in found):
        return found
    times = [time for time in page.modified if is_plausible(time, latest)]
    return (min(times), max(times)) if times else None


def _earlier(known: datetime | None, time: datetime) -> datetime:
    return time if known is None or time < known else known
