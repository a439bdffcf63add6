# SPDX-License-Identifier: Apache-2.0
"""The participants of the account: the other sides of its messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from airflow_provider_ip1.api.paging.newest_first import NewestBatchesFirst
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.routes import normalize_address
from airflow_provider_ip1.api.timestamps import is_plausible, read_time
from airflow_provider_ip1.exceptions import IP1ResponseError

#: How long after sending a message may still change, unless a user says otherwise.
STATUS_LOOKBACK: Final = timedelta(days=3)


class SeenParticipants:
    """Remembers the other sides of messages, in about 70 bytes each."""

    def __init__(self) -> None:
        # A number takes less memory as an integer.
        self._seen: set[int | str] = set()
        #: Messages whose other side is unknown.
        self.unknown = 0

    def __len__(self) -> int:
        return len(self._seen)

    def new_in(self, page: Page) -> list[str]:
        """
        Return the other sides that no page before had.

        :param page: the next page.
        :return: numbers in digits, and sender names as iP.1 wrote them first.
        """
        new = []
        for _, participant in page.routes:
            if participant is None:
                self.unknown += 1
                continue
            address = normalize_address(participant)
            is_number = address.isdecimal()
            key = int(address) if is_number and not address.startswith("0") else address
            if key not in self._seen:
                self._seen.add(key)
                new.append(address if is_number else participant)
        return new


class ParticipantSearch:
    """
    Collects the participants of the account, from the pages of its batches.

    :param since: only participants of messages modified at this time or later, as a datetime or in ISO 8601, UTC
        without a zone; ``None`` for all.
    :param now: the present time, aware.
    :raises ValueError: ``since`` is not a time.
    """

    def __init__(self, since: datetime | str | None, now: datetime) -> None:
        self._since = None if since is None else read_time(since, "since")
        self._latest = now + timedelta(days=1)
        self._seen = SeenParticipants()
        self._batches = None
        if self._since is not None:
            self._batches = NewestBatchesFirst(self._since, STATUS_LOOKBACK, self._latest)

    def is_over(self, page: Page) -> bool:
        """
        Return whether neither this page nor any page after it needs to be read.

        :param page: the next page, from the newest batch on.
        """
        return self._batches is not None and self._batches.ends_before(page)

    def new_in(self, page: Page) -> Iterator[str]:
        """
        Return the participants that no page before had.

        :param page: the next page.
        :raises IP1ResponseError: a message has no other side, because its direction is unknown.
        """
        since = self._since
        if since is not None:
            times = page.modified
            page = page.only(
                [at for at, time in enumerate(times) if is_plausible(time, self._latest) and time >= since]
            )
        yield from self._seen.new_in(page)
        if self._seen.unknown:
            raise IP1ResponseError(UNKNOWN_DIRECTION)


UNKNOWN_DIRECTION: Final = (
    "Neither a message nor its batch says, as the text mt or mo, whether it was sent or received. So it is unknown "
    "which of its addresses is the participant. iP.1 does not document the meaning of its integers for the direction."
)
