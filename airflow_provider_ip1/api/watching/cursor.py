# SPDX-License-Identifier: Apache-2.0
"""
Which incoming messages of a participant are new since the last poll.

iP.1 lists messages by the time of their creation, which it does not reveal, so a cursor cannot be a time. A
:class:`ListCursor` remembers the newest rows of a list instead. A poll reads the list newest first until it has passed
these rows, and every unknown row among or above them is new. Rows may arrive, disappear and come back, rows with the
same creation time may change places, and rows may appear late, below newer ones. :class:`Cursor` does this for the
messages of a participant, :class:`~airflow_provider_ip1.api.watching.account_cursor.AccountCursor` for the batches of
the account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from airflow_provider_ip1.api.checkpoint.known_rows import HasId
from airflow_provider_ip1.api.requests import normalize_participant
from airflow_provider_ip1.api.timestamps import LATEST_TIME, is_plausible
from airflow_provider_ip1.api.watching.watch import Query, read_conversation
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message
    from airflow_provider_ip1.api.paging.page import Page

#: See :attr:`ListCursor.window` and :attr:`ListCursor.guard`.
WINDOW: Final = 40
GUARD: Final = 10
#: Rows per request. Up to ``PAGE_SIZE - WINDOW`` new messages take one request per poll.
PAGE_SIZE: Final = 50
#: The most rows that a poll reads.
MAX_ROWS: Final = 10_000

Start = Literal["now", "beginning"]
T = TypeVar("T")
ItemT = TypeVar("ItemT", bound=HasId)
#: Yields queries and receives their pages, see :meth:`ListCursor.poll`.
Steps: TypeAlias = Generator[Query, "Page | None", T]


def received_at(message: Message, latest: datetime = LATEST_TIME) -> datetime | None:
    """
    Return when a message was received: the earliest time that iP.1 sent for it.

    :param message: an incoming message.
    :param latest: the latest plausible time.
    :return: the time in UTC; ``None`` if iP.1 sent no readable time.
    """
    times = [message.modified, *(status.created for status in message.statuses)]
    return min((time for time in times if is_plausible(time, latest)), default=None)


class ListCursor(Generic[ItemT]):
    """
    The position in a list that is read newest first, from poll to poll.

    :param start: where to begin without a state: ``"now"`` (rows that the first poll finds are not new),
        ``"beginning"``, or an aware time (messages received before it are never new).
    :param state: what :meth:`state` returned, maybe in another process.
    """

    #: Rows that the cursor remembers.
    window = WINDOW
    #: The oldest remembered rows do not count as a boundary, because a row that was forgotten may have the same
    #: creation time as one of them and change places with it.
    guard = GUARD
    #: The most rows that a poll reads, and the error if there are more.
    most_rows: ClassVar[int]
    too_many: ClassVar[str]
    #: Whether the last poll left new messages to the next one.
    has_more = False
    #: What the last poll found that people should know.
    warnings: tuple[str, ...] = ()

    def __init__(self, start: Start | datetime, state: Mapping[str, Any] | None) -> None:
        self._since = start if isinstance(start, datetime) else None
        #: Digests of ids, newest first.
        self.known: tuple[str, ...] = ()
        #: Digests of ids that may come back near the top of the list.
        self.others: tuple[str, ...] = ()
        #: Whether the remembered rows are the whole list.
        self.is_whole = start == "beginning"
        self._newest: datetime | None = None
        self._has_polled = start == "beginning"
        if state is not None:
            self.known, self.others = tuple(state["known"]), tuple(state["others"])
            self.is_whole, self._has_polled = state["whole"], True
            self._newest = None if state["newest"] is None else datetime.fromtimestamp(state["newest"], UTC)

    def state(self) -> dict[str, Any]:
        """
        What another process needs in order to continue after the last poll.

        :return: JSON values without personal data: ``known`` and ``others`` (digests of message ids), ``whole``
            (whether these are all messages), and ``newest`` (seconds since 1970).
        """
        return {
            "known": [*self.known],
            "others": [*self.others],
            "whole": self.is_whole,
            "newest": None if self._newest is None else self._newest.timestamp(),
        }

    def poll(self, latest: datetime = LATEST_TIME) -> Steps[tuple[Message, ...]]:
        """
        Read what is new.

        Send each page to the query that the generator yields, and ``None`` after the last one, as in
        :meth:`Watch.poll <airflow_provider_ip1.api.watching.watch.Watch.poll>`. If the generator fails or is dropped
        before it returns, the cursor stays where it is.

        :param latest: the latest plausible time: a day from now.
        :return: a generator of queries, which returns the new messages, oldest first.
        :raises IP1PagingError: more rows than a poll may read would have to be read.
        :raises IP1ResponseError: iP.1 does not list the newest rows first.
        """
        raise NotImplementedError

    def _read(
        self, query: Query, latest: datetime, *, since: datetime | None = None, least: int = 0
    ) -> Steps[Read[ItemT]]:
        """Read the newest rows, down to those that cannot be new, and at least so many."""
        read = Read(self, since)
        while len(read.rows) < least or not self._is_enough(read):
            page = yield query
            if page is None:
                read.is_whole = True
                break
            if len(read.rows) + len(page) > self.most_rows:
                raise IP1PagingError(self.too_many.format(self.most_rows))
            for item, received in self._items(page, latest):
                read.add(item, received, is_late=page.is_late)
        return read

    def _is_enough(self, read: Read[ItemT]) -> bool:
        return read.is_enough

    def _items(self, page: Page, latest: datetime) -> Iterable[tuple[ItemT, datetime | None]]:
        """Return the rows of a page, each with the time when the message was received, if that is known."""
        raise NotImplementedError

    def _boundary(self, read: Read[ItemT]) -> int | None:
        """Return the place above which unknown rows are new; ``None`` if only the times of messages can tell."""
        if not self._has_polled:
            return 0 if self._since is None else None
        if self.is_whole:
            return len(read.rows)
        inner = frozenset(self.known[: self.window - self.guard])
        # A known row that came late belongs further up, so old rows may have been read before it.
        in_place = [row for row in read.rows if not row.is_late]
        boundary = max((row.place for row in in_place if row.digest in inner), default=None)
        if boundary is None:
            # The boundary has disappeared: fall back to the guard.
            boundary = next((row.place for row in in_place if row.is_known), None)
        return boundary

    def _advance(
        self, read: Read[ItemT], new: Sequence[Row[ItemT]], cut: int = 0, unfinished: Set[str] = frozenset()
    ) -> None:
        """
        Remember the newest rows.

        :param read: what was read.
        :param new: the new rows.
        :param cut: how many rows at the top are left to the next poll, as if they had not arrived yet.
        :param unfinished: digests of rows that are left to the next poll wherever they are.
        """
        # A row in the wrong place that does not count as new is left to the next poll, which may find it in its place.
        # Except at first with "now", which means that everything that is there is old.
        counted, is_first = {row.digest for row in new}, not self._has_polled and self._since is None
        rows = [
            row
            for row in read.rows[cut:]
            if (not row.is_late or row.is_known or is_first or row.digest in counted) and row.digest not in unfinished
        ]
        if cut:
            # Above a cut are rows that were not looked at. A row that belongs there must not seem to be where they end.
            rows = [row for row in rows if not row.is_late] or rows
        listed = {row.digest for row in rows}
        # A row that arrives during the poll may be read last. So may one that has changed its place.
        below = (
            row
            for row in new
            if (row.place - cut >= self.window or row.digest not in listed) and row.digest not in unfinished
        )
        misplaced = sorted(below, key=lambda row: (row.is_late, row.received or LATEST_TIME))
        gone = (digest for digest in (*self.known, *self.others) if digest not in listed)
        self.is_whole = read.is_whole and len(rows) <= self.window
        self.known = tuple(row.digest for row in rows[: self.window])
        self.others = tuple(islice((*(row.digest for row in reversed(misplaced)), *gone), self.window))
        times = [row.received for row in rows[: self.window] if row.received is not None]
        self._newest = max([*times, *([self._newest] if self._newest else [])], default=None)
        self._has_polled = True


class Cursor(ListCursor["Message"]):
    """
    The position in a participant's incoming messages, from poll to poll.

    :param participant: phone number with country code, or sender name.
    :param start: see :class:`ListCursor`, like ``state``.
    :raises IP1ParticipantError: the participant cannot be used.
    """

    most_rows = MAX_ROWS
    too_many = (
        "There are more than {:,} incoming messages to read, so the poll ended without a result. "
        "Start at a later time, and export older messages with ConversationToS3Operator."
    )

    def __init__(self, participant: str, start: Start | datetime, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(start, state)
        self.participant = normalize_participant(participant)

    def poll(self, latest: datetime = LATEST_TIME) -> Steps[tuple[Message, ...]]:
        """Read what is new, as :meth:`ListCursor.poll` describes it, with one query."""
        query = read_conversation(self.participant, "mo", PAGE_SIZE)
        read = yield from self._read(query, latest, since=self._since)
        read.check_order()
        new = self._new_rows(read)
        self._advance(read, new)
        return tuple(row.item for row in reversed(new))

    def _items(self, page: Page, latest: datetime) -> Iterable[tuple[Message, datetime | None]]:
        return ((message, received_at(message, latest)) for message in page.messages)

    def _new_rows(self, read: Read[Message]) -> list[Row[Message]]:
        candidates = [row for row in read.rows if not row.is_known and not row.is_before_start]
        if (boundary := self._boundary(read)) is not None:
            return [row for row in candidates if row.place < boundary]
        if not self._has_polled:
            first_old = next((row.place for row in read.rows if row.is_before_start), len(read.rows))
            return [row for row in candidates if row.received is not None or row.place < first_old]
        newest = self._newest
        return [row for row in candidates if row.received is None or newest is None or row.received >= newest]


@dataclass(frozen=True, slots=True)
class Row(Generic[ItemT]):
    """
    A row that a poll has read.

    :param place: how many rows were read before it.
    :param item: the message or batch.
    :param digest: stands for its id.
    :param received: when the message was received; ``None`` if that is unknown.
    """

    place: int
    item: ItemT
    digest: str
    received: datetime | None
    is_known: bool
    is_before_start: bool
    #: Whether it belongs further up, because the pager found it late.
    is_late: bool


class Read(Generic[ItemT]):
    """
    The rows that a poll has read so far, newest first.

    :param cursor: what is known from earlier polls.
    :param since: messages that were received before this time are not new; ``None`` if no row has a time.
    """

    def __init__(self, cursor: ListCursor[ItemT], since: datetime | None) -> None:
        self.rows: list[Row[ItemT]] = []
        #: The digests of the rows.
        self.digests: set[str] = set()
        #: Whether the list was read to its end.
        self.is_whole = False
        self._cursor = cursor
        self._known = frozenset(cursor.known)
        self._seen = self._known.union(cursor.others)
        self._since = since
        self._first_old: int | None = None
        #: How many rows were read below the known ones.
        self.rows_below = 0

    def add(self, item: ItemT, received: datetime | None, *, is_late: bool) -> None:
        """
        Add the next row.

        :param item: the message or batch.
        :param received: when the message was received; ``None`` if that is unknown.
        :param is_late: see :attr:`Page.is_late <airflow_provider_ip1.api.paging.page.Page.is_late>`.
        """
        digest, place = digest_of(item.id), len(self.rows)
        is_before_start = self._since is not None and received is not None and received < self._since
        is_known = digest in self._seen
        self.rows.append(Row(place, item, digest, received, is_known, is_before_start, is_late))
        self.digests.add(digest)
        self.rows_below = 0 if digest in self._known else self.rows_below + 1
        if self._first_old is None and (digest in self._known or (is_before_start and not self._known)):
            self._first_old = place

    @property
    def is_enough(self) -> bool:
        """Whether the rows reach down to messages that cannot be new."""
        count, window = len(self.rows), self._cursor.window
        if self._cursor.is_whole or count < window:
            return False
        if not self._known and self._since is None:
            return True
        if self._first_old is None:
            return False
        if self._known and self._known <= self.digests:
            return True
        # Some of the known rows have disappeared, or late messages have pushed them down.
        return count - self._first_old >= window and self.rows_below >= self._cursor.guard

    def check_order(self) -> None:
        """
        Check that a list that was not read to its end is listed newest first.

        :raises IP1ResponseError: it is not, so the newest messages may not have been read.
        """
        times = [row.received for row in self.rows if row.received is not None]
        if self.is_whole or not times:
            return
        rises = sum(earlier < later for earlier, later in pairwise(times))
        falls = sum(earlier > later for earlier, later in pairwise(times))
        if times[0] < times[-1] and rises > falls:
            raise IP1ResponseError(
                "iP.1 does not list this conversation newest first, although the request asked for it. "
                "New messages cannot be found this way. Report it to iP.1."
            )


def digest_of(row_id: str) -> str:
    """Return 16 hexadecimal digits that stand for an id. An id might contain a phone number; the digest does not."""
    return hashlib.blake2b(row_id.encode(), digest_size=8).hexdigest()
