# SPDX-License-Identifier: Apache-2.0
"""
Which incoming messages of the whole account are new since the last poll.

iP.1 has no list of incoming messages, and documents no filter of its list of batches. So a poll reads the newest
batches of both directions, and only then the messages of the new batches of direction MO. Batches have no times, so the
first poll finds the place to begin by the times of messages.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_ip1.api.participant_search import UNKNOWN_DIRECTION
from airflow_provider_ip1.api.timestamps import LATEST_TIME
from airflow_provider_ip1.api.watching.cursor import MAX_ROWS, ListCursor, Read, Row, Start, received_at
from airflow_provider_ip1.api.watching.watch import Query, ReadBatch, ReadBatches
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message
    from airflow_provider_ip1.api.paging.page import Page

#: New incoming batches whose messages a poll reads, one request each. The next poll, a second later, reads the next.
MAX_NEW: Final = 200
#: The most batches that a poll lists, in pages of 200.
MAX_BATCHES: Final = 100_000
#: Seconds for which a batch without messages is looked at again, because iP.1 may list it before its messages.
UNFINISHED_FOR: Final = 600.0

Steps = Generator[Query, "Page | None", Any]


class AccountCursor(ListCursor):
    """
    The position in the account's list of batches, from poll to poll.

    :param start: see :class:`~airflow_provider_ip1.api.watching.cursor.ListCursor`.
    :param state: what :meth:`state` returned. In addition to what it has there, ``unfinished`` contains the digests of
        batches without messages and when they were first seen, in seconds since 1970, and ``depth`` says how far the
        lowest of them was below the remembered rows.
    """

    # A list of the account moves faster than a conversation, and more of its rows may share a creation time.
    window = 150
    guard = 50
    participant = None

    def __init__(self, start: Start | datetime, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(start, state)
        self._unfinished: dict[str, float] = {} if state is None else dict(state["unfinished"])
        # how far the lowest of them was below the known rows
        self._depth: int = 0 if state is None else state["depth"]

    def state(self) -> dict[str, Any]:
        """:return: what another process needs in order to continue, as JSON values without personal data."""
        return super().state() | {"unfinished": dict(self._unfinished), "depth": self._depth}

    def poll(self, latest: datetime = LATEST_TIME) -> Steps:
        """
        Read what is new, as :meth:`ListCursor.poll` describes it.

        :raises IP1PagingError: more than :data:`MAX_BATCHES` batches would have to be listed.
        :raises IP1ResponseError: iP.1 does not list the newest batches first, or does not say which direction a batch
            and its messages have.
        """
        reading = yield from self._list(0)
        if not self._has_polled or (self._is_whole and len(reading.ids) > self.window):
            reading.is_ordered = yield from self._check_order(reading, latest)
        new = yield from self._new_rows(reading, latest)
        now = (latest - timedelta(days=1)).timestamp()
        messages: list[Message] = []
        unfinished: dict[str, float] = {}
        newest, given_up = self._newest, 0
        for row in new[:MAX_NEW]:
            found = yield from self._messages_of(reading, row)
            if found == []:
                first_seen = self._unfinished.get(row.digest, now)
                if now - first_seen < UNFINISHED_FOR:
                    unfinished[row.digest] = first_seen
                else:
                    given_up += 1
            for message in found or ():
                received = received_at(message, latest)
                if received is not None:
                    newest = received if newest is None else max(newest, received)
                if self._since is None or received is None or received >= self._since:
                    messages.append(message)
        # The rest looks as if it had arrived after this poll.
        cut = new[MAX_NEW].place + 1 if len(new) > MAX_NEW else 0
        self.has_more = cut > 0
        self.warnings = ()
        if given_up:
            self.warnings = (
                f"iP.1 has listed no messages of {counted(given_up, 'incoming batch', 'incoming batches')} for "
                f"{UNFINISHED_FOR / 60:.0f} minutes, so they are not looked at any more.",
            )
        self._advance(reading.read, new[:MAX_NEW], cut, unfinished.keys())
        lowest = max((row.place for row in new if row.digest in unfinished), default=0)
        self._unfinished, self._newest, self._depth = unfinished, newest, max(lowest - cut - self.window, 0)
        return tuple(messages)

    def _list(self, least: int) -> Generator[Query, Page | None, _Reading]:
        """Read the newest batches: down to the known ones, and at least this many."""
        reading, query = _Reading(self._read(None)), ReadBatches()
        read = reading.read
        missing = set(self._unfinished)
        while not read.is_enough or len(read.rows) < least or (missing and read.rows_below < self._depth + self.guard):
            page = yield query
            if page is None:
                read.is_whole = True
                break
            if len(read.rows) + len(page) > MAX_BATCHES:
                raise IP1PagingError(
                    f"There are more than {MAX_BATCHES:,} batches to list, so the poll ended without a result. Start "
                    "at a later time, and export older messages with MessagesToS3Operator."
                )
            for batch in page.batches:
                read.add(batch.id, None, is_late=page.is_late)
                reading.ids.append(batch.id)
                reading.directions.append(batch.direction)
            missing.difference_update(row.digest for row in read.rows[-len(page) :])
        return reading

    def _new_rows(self, reading: _Reading, latest: datetime) -> Generator[Query, Page | None, list[Row]]:
        """Return the rows of new batches that may have incoming messages, oldest first."""
        read, place = reading.read, len(reading.read.rows)
        if not self._has_polled:
            if self._since is None:
                place = 0
            elif reading.is_ordered:
                place = yield from self._locate(self._since, reading, latest)
        elif not self._is_whole:
            boundary = self._boundary(read)
            if boundary is not None:
                place = boundary
            elif self._newest is not None:
                place = yield from self._locate(self._newest, reading, latest)
        return [
            row
            for row in reversed(reading.read.rows)
            if not row.is_known
            and reading.directions[row.place] != "mt"
            and (row.place < place or row.digest in self._unfinished)
        ]

    def _locate(self, time: datetime, reading: _Reading, latest: datetime) -> Generator[Query, Page | None, int]:
        """
        Find a place from which on all batches were created before a time.

        No message has an earlier time than the creation of its batch. So one message from before that time shows that
        its batch and all below were created before it.
        """
        while True:
            read = reading.read
            if not read.rows or (yield from self._is_before(time, reading, 0, latest)):
                return 0
            newer, older = 0, len(read.rows) - 1
            if (yield from self._is_before(time, reading, older, latest)):
                break
            if read.is_whole:
                return len(read.rows)
            longer = yield from self._list(2 * len(read.rows))
            reading.replace(longer)
        while older - newer > 1:
            middle = (newer + older) // 2
            if (yield from self._is_before(time, reading, middle, latest)):
                older = middle
            else:
                newer = middle
        return older

    def _is_before(
        self, time: datetime, reading: _Reading, place: int, latest: datetime
    ) -> Generator[Query, Page | None, bool]:
        found = yield from reading.earliest(reading.ids[place], latest)
        return found is not None and found < time

    def _check_order(self, reading: _Reading, latest: datetime) -> Generator[Query, Page | None, bool]:
        """
        Check that the list begins with the newest batch, because the rows themselves have no times.

        :return: whether it does. A short list, which is read completely, may have another order.
        :raises IP1ResponseError: it does not, so new batches would never be seen.
        """
        # While the cursor knows all rows of a short list, their order does not matter. It does for finding a time.
        least = self.window if self._since is None or self._has_polled else 1
        if len(reading.ids) <= least:
            return True
        first = reading.ids[0]
        page = yield ReadBatches("ASC", 2)
        if page is None:
            return True
        is_ordered = page.ids[0] != first
        if is_ordered and reading.directions[0] == page.batches[0].direction == "mo":
            # Unlike the time of a sent message, that of an incoming one does not change later.
            newest = yield from reading.earliest(first, latest)
            oldest = yield from reading.earliest(page.ids[0], latest)
            is_ordered = newest is None or oldest is None or newest >= oldest
        if not is_ordered and len(reading.ids) > self.window:
            raise IP1ResponseError(
                "iP.1 does not list the account's batches newest first, although the request asked for it. "
                "New messages cannot be found this way. Report it to iP.1."
            )
        return is_ordered

    def _messages_of(self, reading: _Reading, row: Row) -> Generator[Query, Page | None, list[Message] | None]:
        """Read the incoming messages of a batch. Returns ``None`` if it was sent."""
        batch_id, query = reading.ids[row.place], ReadBatch(reading.ids[row.place])
        messages: list[Message] = []
        while (page := (yield query)) is not None:
            if reading.directions[row.place] != "mo":
                directions = {message.direction for message in page.messages}
                if directions == {"mt"}:
                    return None
                if directions != {"mo"}:
                    raise IP1ResponseError(UNKNOWN_DIRECTION)
            messages += (msgspec.structs.replace(message, batch_id=batch_id) for message in page.messages)
            if len(messages) > MAX_ROWS:
                raise IP1PagingError(f"A batch has more than {MAX_ROWS:,} incoming messages.")
        return messages


class _Reading:
    """What a poll has listed: rows, and the id and direction of each."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.ids: list[str] = []
        self.directions: list[str | None] = []
        self.is_ordered = True
        self._times: dict[str, datetime | None] = {}

    def replace(self, other: _Reading) -> None:
        """Continue with a longer list."""
        self.read, self.ids, self.directions = other.read, other.ids, other.directions

    def earliest(self, batch_id: str, latest: datetime) -> Generator[Query, Page | None, datetime | None]:
        """Return the earliest time among the first messages of a batch."""
        if batch_id not in self._times:
            page = yield ReadBatch(batch_id)
            messages: Sequence[Message] = () if page is None else page.messages
            times = (received_at(message, latest) for message in messages)
            self._times[batch_id] = min((time for time in times if time is not None), default=None)
        return self._times[batch_id]
