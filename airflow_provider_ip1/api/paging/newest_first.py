# SPDX-License-Identifier: Apache-2.0
"""Where a read that starts with the newest messages may stop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.timestamps import is_plausible

log = logging.getLogger(__name__)


class NewestFirst:
    """
    Decides where reading messages from the newest one backwards may stop.

    A message is never modified before it is created. So in a list ordered newest first, every message after one that
    was modified before the limit is older than the limit as well. A server that ignores ``order=DESC`` would turn this
    rule into data loss. Therefore the end is trusted only if the list looks newest first: its first message is newer
    than the latest one read, and times fall more often than they rise from one message to the next.

    :param read_back_to: the limit, aware.
    :param everything: what is read if the list is in another order, for the log.
    """

    def __init__(self, read_back_to: datetime, everything: str = "the entire conversation") -> None:
        self._limit = read_back_to
        self._everything = everything
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._rises = 0
        self._falls = 0
        self._has_warned = False

    def end_in(self, times: Sequence[datetime | None]) -> int | None:
        """
        Look at the next messages.

        :param times: when each message was last modified. Messages without a time are ignored.
        :return: the index of the first message that need not be read; ``None`` to continue reading.
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
                "iP.1 does not list messages newest first, although the request asked for it. Reading %s, so that no "
                "message is missed.",
                self._everything,
            )
        return None


class NewestBatchesFirst:
    """
    Decides where reading the account from its newest batch backwards may stop.

    A message is never modified before it is created, and iP.1 lists batches by creation. So once a batch contains a
    message that was modified before the limit, that batch and all that follow it were created before the limit.

    A batch without messages, or whose messages have no plausible time, shows nothing. Neither does a batch with a
    delivery window that opens at the limit or later: if iP.1 lists such a batch by its delivery, newer ones may follow.

    :param read_back_to: the limit, aware.
    :param latest: the latest plausible time, see :func:`~airflow_provider_ip1.api.timestamps.is_plausible`.
    """

    def __init__(self, read_back_to: datetime, latest: datetime) -> None:
        self._limit = read_back_to
        self._latest = latest
        self._newest_first = NewestFirst(read_back_to, "all batches")
        self._earliest: datetime | None = None

    def ends_before(self, page: Page) -> bool:
        """
        Return whether neither this page nor any page after it needs to be read.

        The batch that shows this is read completely. Call this for each page, in order.

        :param page: the next page.
        """
        if page.number == 0:
            earliest, self._earliest = self._earliest, None
            if earliest is not None and self._newest_first.end_in([earliest]) is not None:
                return True
        if page.batch is None or self._was_due(page.batch):
            times = [time for time in page.modified if is_plausible(time, self._latest)]
            self._earliest = min(times if self._earliest is None else [*times, self._earliest], default=None)
        return False

    def _was_due(self, batch: Batch) -> bool:
        return all(window.opens is not None and window.opens < self._limit for window in batch.delivery_windows)
