# SPDX-License-Identifier: Apache-2.0
"""
Which messages an export with a checkpoint has to read and to export, and what the checkpoint then holds.

Messages that appear late, and a clock of iP.1 that differs, are covered up to :data:`OVERLAP` in all. Everything here
is decided by the responses, the previous state and the time of the run, so a repeated run that starts from the same
state exports at least the same messages. The exception is a remembered message that only the first try met, by chance:
it stays remembered, and a later run looks at it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from msgspec.structs import replace

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.checkpoint.known_rows import HasId, KnownRows
from airflow_provider_ip1.api.checkpoint.state import Remembered, State
from airflow_provider_ip1.api.decoding import decode_leniently
from airflow_provider_ip1.api.paging.newest_first import NewestFirst
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.status import is_terminal, status_category
from airflow_provider_ip1.api.timestamps import is_plausible
from airflow_provider_ip1.exceptions import IP1PagingError

#: How late a message may appear, and how far the clocks may differ, in all.
OVERLAP: Final = timedelta(minutes=5)
#: A batch whose newest message is younger may still get messages.
YOUNG: Final = timedelta(minutes=10)
#: When a final status other than 201 is looked at again for the first time. The second time is ``status_lookback``.
FIRST_LOOK: Final = timedelta(days=1)
#: The second time, if ``status_lookback`` is ``None``.
LAST_LOOK: Final = timedelta(days=3)
#: Ids that are remembered of a conversation, and of the account.
KNOWN_MESSAGES: Final = 20
KNOWN_BATCHES: Final = 200
#: How long a batch stays known, even if it is not among the newest.
KNOWN_FOR: Final = timedelta(hours=1)

_DELIVERED: Final = 201

B = TypeVar("B", bound=HasId)


@dataclass(slots=True, eq=False)
class Row:
    """
    A message of a page.

    :param id: its id.
    :param status: the code of its latest status; ``None`` without one.
    :param time: the later of its time of modification and that of its latest status; ``None`` if neither is plausible.
    :param is_incoming: whether it was received.
    :param place: for the caller: its page, and its place on that.
    """

    id: str
    status: int | None
    time: datetime | None
    is_incoming: bool = False
    place: Any = None


def rows_of(page: Page, latest: datetime) -> list[Row]:
    """
    Read the rows of a page.

    :param page: a page of messages.
    :param latest: the latest plausible time.
    :raises IP1ResponseError: a row cannot be a message.
    """
    rows = []
    for at, raw in enumerate(page.raws):
        message, _ = decode_leniently(raw, participant=page.participant, direction=page.direction)
        report = message.latest_status_until(latest)
        code, reported = (None, None) if report is None else (report.code, report.created)
        times = [time for time in (message.modified, reported) if is_plausible(time, latest)]
        rows.append(Row(message.id, code, max(times, default=None), message.direction == "mo", (page, at)))
    return rows


def closing_time(batch: Batch) -> datetime | None:
    """Return when the last delivery window of a batch ends; ``None`` without one."""
    times = [time for window in batch.delivery_windows for time in (window.opens, window.closes) if time is not None]
    return max(times, default=None)


class _Increment:
    """
    What the increments of a conversation and of the account share.

    :param state: the state that the run starts from; ``None`` for the first run.
    :param now: when the read began, by the earlier of iP.1's clock and this machine's; aware.
    :param lookback: how long a status is waited for; ``None`` for ever.
    :param since: the time from which on a first run exports; ``None`` for everything.
    """

    def __init__(
        self, state: State | None, now: datetime, lookback: timedelta | None, since: datetime | None = None
    ) -> None:
        self.is_first = state is None
        self.state = State(position=since) if state is None else state
        #: How many messages were given up, because their status did not become final in time.
        self.given_up = 0
        self._now = now
        self._lookback = lookback
        self._unsettled = dict(self.state.unsettled)
        self._due = {key for key, one in self.state.unsettled.items() if self._is_due(one)}
        self._unmet = set(self._due)

    def _is_due(self, one: Remembered) -> bool:
        if not _is_correctable(one.status):
            return True
        return self._now - one.since >= (FIRST_LOOK if one.looks == 0 else self._lookback or LAST_LOOK)

    def _is_wanted(self, row: Row) -> bool:
        """Whether a row is exported, wherever it stands."""
        known = self.state.unsettled.get(row.id)
        has_changed = known is not None and known.status != row.status
        position = self.state.position
        return has_changed or position is None or row.time is None or row.time >= position

    def _note(self, row: Row, is_exported: bool, batch: str = "", closes: datetime | None = None) -> None:
        """
        Remember a row, or drop it.

        A row that is remembered without being due may be met by chance. That must not change anything, because a
        repeated run may not meet it. Of the first run, what lies before ``since`` may change later.
        """
        self._unmet.discard(row.id)
        if row.id in self._due:
            # A row that waited for its place comes twice, but was looked at once.
            self._due.discard(row.id)
        elif row.id in self.state.unsettled or not (is_exported or self.is_first):
            return
        known = self._unsettled.get(row.id)
        if row.is_incoming or row.status == _DELIVERED:
            self._unsettled.pop(row.id, None)
        elif known is None or known.status != row.status:
            first_seen = self._now if known is None else known.first_seen
            self._unsettled[row.id] = Remembered(row.status, self._now, first_seen, batch, closes)
        elif _is_correctable(row.status) and known.looks == 0:
            self._unsettled[row.id] = replace(known, looks=1)
        elif _is_correctable(row.status):
            del self._unsettled[row.id]
        elif self._is_over(known):
            del self._unsettled[row.id]
            self.given_up += 1

    def _is_over(self, one: Remembered) -> bool:
        waits_from = max(one.first_seen, one.closes or one.first_seen)
        return self._lookback is not None and self._now - waits_from > self._lookback

    def _state(self, **fields: Any) -> State:
        return State(position=self._now - OVERLAP, unsettled=self._unsettled, **fields)


class ConversationIncrement(_Increment):
    """
    Reads one conversation, newest first.

    Pass each page to :meth:`take` until :attr:`is_done` or the end of the list, and then call :meth:`end`.
    """

    def __init__(
        self, state: State | None, now: datetime, lookback: timedelta | None, since: datetime | None = None
    ) -> None:
        super().__init__(state, now, lookback, since)
        #: Where the known messages stand.
        self.place = KnownRows[Row](self.state.known, KNOWN_MESSAGES)
        self._newest_first: NewestFirst | None = None
        if self.state.position is not None and (lookback is not None or not self.is_first):
            # Known rows need no lookback: those that may still change are remembered.
            self._newest_first = NewestFirst(self.state.position, (self.is_first and lookback) or timedelta(0))
        self._has_passed_position = False

    def take(self, rows: Sequence[Row], is_late: bool = False) -> list[Row]:
        """
        Look at the next page.

        :param rows: its rows.
        :param is_late: see :attr:`Page.is_late <airflow_provider_ip1.api.paging.page.Page.is_late>`.
        :return: the rows to export now. Those of earlier pages come first.
        """
        new = self.place.take(rows, is_late)
        chosen = dict.fromkeys(() if self.is_first else new)
        chosen |= dict.fromkeys(filter(self._is_wanted, rows))
        self.place.waiting = [row for row in self.place.waiting if row not in chosen]
        if self._newest_first is not None and not (is_late or self._has_passed_position):
            self._has_passed_position = self._newest_first.end_in([row.time for row in rows]) is not None
        for row in {**chosen, **dict.fromkeys(rows)}:
            self._note(row, row in chosen)
        return list(chosen)

    @property
    def is_done(self) -> bool:
        """Whether enough of the conversation was read."""
        place = self.place
        has_met_known = self.is_first or place.is_past
        return self._has_passed_position and has_met_known and place.has_newest and not self._unmet

    def end(self) -> State:
        """Return the state after the run."""
        if self.place.is_missing:
            return self.state
        for deleted in self._unmet:
            del self._unsettled[deleted]
        return self._state(known=self.place.newest)


class AccountIncrement(_Increment, Generic[B]):
    """
    Reads the list of batches, newest first, and then the messages of some of them.

    Pass each page of the list to :meth:`take_list` until :attr:`has_list` or its end. Then read the batches
    :attr:`new` and :attr:`again`; in the first run instead every batch of the account, newest first. Pass each page of
    their messages to :meth:`take`, and then call :meth:`end`.
    """

    def __init__(
        self, state: State | None, now: datetime, lookback: timedelta | None, since: datetime | None = None
    ) -> None:
        super().__init__(state, now, lookback, since)
        #: Where the known batches stand.
        self.place = KnownRows[B](self.state.known, KNOWN_BATCHES)
        #: The new batches, in the order of the list. Not used in the first run.
        self.new: list[B] = []
        again = [*self.state.young, *(self.state.unsettled[key].batch for key in sorted(self._due))]
        self._again: dict[str, B | None] = dict.fromkeys(again)
        self._closes = {one.batch: one.closes for one in self.state.unsettled.values()}
        self._listed = {key: time for key, time in self.state.listed.items() if now - time < KNOWN_FOR}
        self._young: dict[str, None] = {}
        self._empty: set[str] = set()
        self._new_ids: set[str] = set()
        self._order = NewestFirst(now, timedelta.max)
        # Of the first and of the last page, when its earliest message changed.
        self._began: list[datetime] = []

    def take_list(self, batches: Iterable[B], is_late: bool = False) -> None:
        """
        Look at the next page of the list of batches.

        :param batches: its batches.
        :param is_late: see :attr:`Page.is_late <airflow_provider_ip1.api.paging.page.Page.is_late>`.
        """
        batches = list(batches)
        new = self.place.take(batches, is_late)
        if not self.is_first:
            self.new += new
            self._new_ids.update(batch.id for batch in new)
            self._listed |= {batch.id: self._now for batch in new}
        for batch in batches:
            if batch.id in self._again:
                self._again[batch.id] = batch

    @property
    def has_list(self) -> bool:
        """Whether enough of the list was read."""
        return self.place.has_newest and (self.is_first or self.place.is_past)

    @property
    def again(self) -> dict[str, B | None]:
        """The other batches to read: id -> batch, if it was on the list."""
        again = {} if self.place.is_missing else self._again
        return {key: batch for key, batch in again.items() if key not in self._new_ids}

    def take(self, batch: str, rows: Sequence[Row], closes: datetime | None = None) -> list[Row]:
        """
        Look at the next page of messages of a batch.

        :param batch: the id of the batch.
        :param rows: the rows of the page.
        :param closes: the end of the batch's delivery windows.
        :return: the rows to export.
        """
        closes = closes or self._closes.get(batch)
        times = [row.time for row in rows if row.time is not None]
        if times and self._now - max(times) < YOUNG:
            self._young[batch] = None
        if times and self.is_first:
            self._order.end_in([min(times)])
            self._began[1:] = [min(times)]
            # Too many to remember all of them. A batch that iP.1 lists late stands among those of the last hour.
            if self._now - max(times) < KNOWN_FOR:
                self._listed[batch] = self._now
        # None of the messages of a batch that had none was exported.
        is_new = batch in self._new_ids or batch in self.state.unsettled
        chosen = [row for row in rows if is_new or self._is_wanted(row)]
        exported = set(chosen)
        for row in rows:
            self._note(row, row in exported, batch, closes)
        return chosen

    def take_empty(self, batch: str, closes: datetime | None = None) -> None:
        """
        Note a batch that exists and has no messages.

        It is remembered like a message without a status, under its own id, until it has messages or is given up.
        """
        self._empty.add(batch)
        self._note(Row(batch, None, None), True, batch, closes or self._closes.get(batch))

    def end(self) -> State:
        """
        Return the state after the run.

        :raises IP1PagingError: iP.1 lists the oldest batch first, so their place does not show which ones are new.
        """
        if self.place.is_missing:
            return self.state
        # Messages of a few days may have been delivered in any order, and those of a batch have the other one.
        if self._order.is_reversed and self._began[-1] - self._began[0] > LAST_LOOK:
            raise IP1PagingError(
                "iP.1 lists the oldest batch first, although the request asked for the newest first. An export with a "
                "checkpoint would miss new batches. Export without a checkpoint, and ask iP.1's support."
            )
        for key in self._unmet:
            # A batch without messages has not shown that a message is gone.
            if self._unsettled[key].batch not in self._empty or self._is_over(self._unsettled[key]):
                del self._unsettled[key]
        known = dict.fromkeys([*self.place.newest, *self._listed])
        return self._state(known=list(known), listed=self._listed, young=list(self._young))


def _is_correctable(status: int | None) -> bool:
    """Whether a status is final, but may be corrected."""
    return status is not None and status != _DELIVERED and is_terminal(status_category(status))
