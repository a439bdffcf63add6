# SPDX-License-Identifier: Apache-2.0
"""
Which incoming messages of the whole account are new since the last poll.

iP.1 has no list of incoming messages, and documents no filter of its list of batches. So a poll reads the newest
batches of both directions, and only then the messages of the new batches of direction MO. Batches have no times, so the
first poll finds the place to begin by the times of messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_ip1.api.paging.listing import BATCHES_PER_PAGE, batch_list
from airflow_provider_ip1.api.participant_search import UNKNOWN_DIRECTION
from airflow_provider_ip1.api.timestamps import LATEST_TIME
from airflow_provider_ip1.api.watching.cursor import MAX_ROWS, ListCursor, Read, Row, Start, Steps, received_at
from airflow_provider_ip1.api.watching.watch import read_batch
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.batches import Batch
    from airflow_provider_ip1.api.messages import Message
    from airflow_provider_ip1.api.paging.page import Page

#: New incoming batches whose messages a poll reads, one request each. The next poll, a second later, reads the next.
MAX_NEW: Final = 200
#: The most batches that a poll lists, in pages of 200.
MAX_BATCHES: Final = 100_000
#: Seconds for which a batch without messages is looked at again, because iP.1 may list it before its messages.
UNFINISHED_FOR: Final = 600.0


class AccountCursor(ListCursor["Batch"]):
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
    most_rows = MAX_BATCHES
    too_many = (
        "There are more than {:,} batches to list, so the poll ended without a result. Start "
        "at a later time, and export older messages with MessagesToS3Operator."
    )
    participant = None

    def __init__(self, start: Start | datetime, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(start, state)
        self._unfinished: dict[str, float] = {} if state is None else dict(state["unfinished"])
        # how far the lowest of them was below the known rows
        self._depth: int = 0 if state is None else state["depth"]
        # batch id -> the earliest time of its messages, during a poll
        self._times: dict[str, datetime | None] = {}

    def state(self) -> dict[str, Any]:
        """:return: what another process needs in order to continue, as JSON values without personal data."""
        return super().state() | {"unfinished": dict(self._unfinished), "depth": self._depth}

    def poll(self, latest: datetime = LATEST_TIME) -> Steps[tuple[Message, ...]]:
        """
        Read what is new, as :meth:`ListCursor.poll` describes it.

        :raises IP1PagingError: more than :data:`MAX_BATCHES` batches would have to be listed.
        :raises IP1ResponseError: iP.1 does not list the newest batches first, or does not say which direction a batch
            and its messages have.
        """
        self._times = {}
        read = yield from self._read(batch_list(page_size=BATCHES_PER_PAGE), latest)
        is_ordered = yield from self._check_order(read, latest)
        read, place = yield from self._first_old(read, is_ordered, latest)
        new = [
            row
            for row in reversed(read.rows)
            if not row.is_known and row.item.direction != "mt" and (row.place < place or row.digest in self._unfinished)
        ]
        now = (latest - timedelta(days=1)).timestamp()
        messages: list[Message] = []
        unfinished: dict[str, float] = {}
        newest, given_up = self._newest, 0
        for row in new[:MAX_NEW]:
            found = yield from self._messages_of(row.item)
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
        self._advance(read, new[:MAX_NEW], cut, unfinished.keys())
        lowest = max((row.place for row in new if row.digest in unfinished), default=0)
        self._unfinished, self._newest, self._depth = unfinished, newest, max(lowest - cut - self.window, 0)
        return tuple(messages)

    def _is_enough(self, read: Read[Batch]) -> bool:
        has_unfinished = self._unfinished.keys() <= read.digests or read.rows_below >= self._depth + self.guard
        return read.is_enough and has_unfinished

    def _items(self, page: Page, latest: datetime) -> Iterable[tuple[Batch, datetime | None]]:
        return ((batch, None) for batch in page.batches)

    def _first_old(self, read: Read[Batch], is_ordered: bool, latest: datetime) -> Steps[tuple[Read[Batch], int]]:
        """Return the place from which on no batch is new, and what was read, which may be more."""
        if (boundary := self._boundary(read)) is not None:
            return read, boundary
        time = self._newest
        if not self._has_polled:
            time = self._since if is_ordered else None
        return (read, len(read.rows)) if time is None else (yield from self._locate(time, read, latest))

    def _locate(self, time: datetime, read: Read[Batch], latest: datetime) -> Steps[tuple[Read[Batch], int]]:
        """
        Find a place from which on all batches were created before a time, in a longer list if necessary.

        No message has an earlier time than the creation of its batch. So one message from before that time shows that
        its batch and all below were created before it.
        """
        while True:
            if not read.rows or (yield from self._is_before(time, read.rows[0], latest)):
                return read, 0
            newer, older = 0, len(read.rows) - 1
            if (yield from self._is_before(time, read.rows[older], latest)):
                break
            if read.is_whole:
                return read, len(read.rows)
            read = yield from self._read(batch_list(page_size=BATCHES_PER_PAGE), latest, least=2 * len(read.rows))
        while older - newer > 1:
            middle = (newer + older) // 2
            if (yield from self._is_before(time, read.rows[middle], latest)):
                older = middle
            else:
                newer = middle
        return read, older

    def _is_before(self, time: datetime, row: Row[Batch], latest: datetime) -> Steps[bool]:
        found = yield from self._earliest(row.item, latest)
        return found is not None and found < time

    def _earliest(self, batch: Batch, latest: datetime) -> Steps[datetime | None]:
        """Return the earliest time among the first messages of a batch."""
        if batch.id not in self._times:
            page = yield read_batch(batch.id)
            messages: Sequence[Message] = () if page is None else page.messages
            times = (received_at(message, latest) for message in messages)
            self._times[batch.id] = min((time for time in times if time is not None), default=None)
        return self._times[batch.id]

    def _check_order(self, read: Read[Batch], latest: datetime) -> Steps[bool]:
        """
        Check that the list begins with the newest batch, because the rows themselves have no times.

        :return: whether it does. A short list, which is read completely, may have another order.
        :raises IP1ResponseError: it does not, so new batches would never be seen.
        """
        # While the cursor knows all rows of a short list, their order does not matter. It does for finding a time.
        least = self.window if self._since is None or self._has_polled else 1
        if len(read.rows) <= least or (self._has_polled and not self.is_whole):
            return True
        page = yield batch_list(order="ASC", page_size=2)
        if page is None:
            return True
        first, last = read.rows[0].item, page.batches[0]
        is_ordered = first.id != last.id
        if is_ordered and first.direction == last.direction == "mo":
            # Unlike the time of a sent message, that of an incoming one does not change later.
            newest = yield from self._earliest(first, latest)
            oldest = yield from self._earliest(last, latest)
            is_ordered = newest is None or oldest is None or newest >= oldest
        if not is_ordered and len(read.rows) > self.window:
            raise IP1ResponseError(
                "iP.1 does not list the account's batches newest first, although the request asked for it. "
                "New messages cannot be found this way. Report it to iP.1."
            )
        return is_ordered

    def _messages_of(self, batch: Batch) -> Steps[list[Message] | None]:
        """Read the incoming messages of a batch. Returns ``None`` if it was sent."""
        query = read_batch(batch.id)
        messages: list[Message] = []
        while (page := (yield query)) is not None:
            if batch.direction != "mo":
                directions = {message.direction for message in page.messages}
                if directions == {"mt"}:
                    return None
                if directions != {"mo"}:
                    raise IP1ResponseError(UNKNOWN_DIRECTION)
            messages += (msgspec.structs.replace(message, batch_id=batch.id) for message in page.messages)
            if len(messages) > MAX_ROWS:
                raise IP1PagingError(f"A batch has more than {MAX_ROWS:,} incoming messages.")
        return messages
