# SPDX-License-Identifier: Apache-2.0
"""Where a read that starts with the newest messages may stop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import combinations
from math import sqrt
from typing import Final

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.timestamps import is_plausible

log = logging.getLogger(__name__)

# Five standard deviations: a random order passes once in three million times.
_CERTAIN: Final = 5.0
_SAMPLE: Final = 64


class NewestFirst:
    """
    Decides where reading messages from the newest one backwards may stop.

    A message is never modified before it is created. So in a list ordered newest first, every message after one that
    was modified before ``since - lookback`` was created before that as well, and cannot have been modified at ``since``
    or later. On a server that ignores ``order=DESC``, this rule would lose messages. So the end is trusted only if the
    times read so far exclude both other orders:

    - Oldest first: a message was modified more than ``lookback`` before one that precedes it. Late changes of status
      cannot explain that, because they come within ``lookback``.
    - No order: times fall from one message to a later one far more often than in a random order (Kendall's test). That
      takes at least 15 times.

    If the times do not show that, reading goes on. That costs requests, and no message.

    :param since: messages modified at this time or later are wanted; aware.
    :param lookback: how long a message may still change after it was created, 0 or more.
    :param everything: what is read if the list is in another order, for the log.
    """

    def __init__(self, since: datetime, lookback: timedelta, everything: str = "the entire conversation") -> None:
        self._since = since
        self._lookback = lookback
        self._everything = everything
        self._newest: datetime | None = None
        self._sample: list[datetime] = []
        self._seen = 0
        self._stride = 1
        self._has_warned = False

    def end_in(self, times: Sequence[datetime | None]) -> int | None:
        """
        Look at the next messages.

        :param times: when each message was last modified. Messages without a time are ignored.
        :return: the index of the first message that need not be read; ``None`` to continue reading.
        """
        end, has_old = None, False
        for position, time in enumerate(times):
            if time is None:
                continue
            self._add_to_sample(time)
            if self._newest is None or time > self._newest:
                self._newest = time
            # Differences, because a time minus the lookback may lie before the year 1.
            if end is None and self._since - time > self._lookback:
                has_old = True
                if self._newest - time > self._lookback:
                    end = position
        if not has_old:
            return None
        descent = _descent(self._sample)
        if descent >= _CERTAIN:
            return end
        if descent <= -_CERTAIN and not self._has_warned:
            self._has_warned = True
            log.warning(
                "iP.1 does not list messages newest first, although the request asked for it. Reading %s, so that no "
                "message is missed.",
                self._everything,
            )
        return None

    @property
    def is_reversed(self) -> bool:
        """Whether the times so far show that the list has the oldest first."""
        return _descent(self._sample) <= -_CERTAIN

    def _add_to_sample(self, time: datetime) -> None:
        """Keep up to 64 times, evenly spaced over all of them, so that bursts of equal age do not hide the order."""
        if self._seen % self._stride == 0:
            self._sample.append(time)
        self._seen += 1
        if len(self._sample) > _SAMPLE:
            del self._sample[1::2]
            self._stride *= 2


def _descent(times: Sequence[datetime]) -> float:
    """
    Return by how many standard deviations of a random order the falls among all pairs of times outnumber the rises.

    The test is Kendall's: https://en.wikipedia.org/wiki/Kendall_rank_correlation_coefficient#Hypothesis_test
    """
    count = len(times)
    if count < 2:
        return 0.0
    falls = sum((earlier > later) - (earlier < later) for earlier, later in combinations(times, 2))
    return float(falls / sqrt(count * (count - 1) * (2 * count + 5) / 18))


class NewestBatchesFirst:
    """
    Decides where reading the account from its newest batch backwards may stop.

    A message is never modified before it is created, and iP.1 lists batches by creation. So once a batch contains a
    message that was modified before ``since - lookback``, that batch and all that follow it were created before that.
    :class:`NewestFirst` describes when the order of the list is trusted.

    A batch without messages, or whose messages have no plausible time, shows nothing. Neither does a batch with a
    delivery window that opens at ``since - lookback`` or later: if iP.1 lists such a batch by its delivery, newer ones
    may follow.

    :param since: messages modified at this time or later are wanted; aware.
    :param lookback: how long a message may still change after it was created, 0 or more.
    :param latest: the latest plausible time, see :func:`~airflow_provider_ip1.api.timestamps.is_plausible`.
    """

    def __init__(self, since: datetime, lookback: timedelta, latest: datetime) -> None:
        self._since = since
        self._lookback = lookback
        self._latest = latest
        self._newest_first = NewestFirst(since, lookback, "all batches")
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
        return all(
            window.opens is not None and self._since - window.opens > self._lookback
            for window in batch.delivery_windows
        )
