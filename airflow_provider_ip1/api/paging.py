# SPDX-License-Identifier: Apache-2.0
"""
Reading a paginated iP.1 list so that no row is lost and none comes twice, without doing any I/O.

iP.1 pages with ``start`` (a row offset, default 0), ``limit`` (default 50) and ``order`` (introduction page). Offsets
move when rows come in or go away between two requests, the server may grant less than the limit, and whether ``start``
counts from 0 or 1 is not certain. Therefore every request overlaps what was delivered before:

* The **anchor** is the last delivered row. A page counts only if it shows a row that was delivered; what follows the
  last such row is new. Rows keep their order on the server, so nothing between them can be missed, whenever the page
  was fetched and wherever its offset pointed to.
* The **end** is believed only where a page that is not full shows the anchor and nothing else, or where nothing is
  found just behind the anchor and it is still in its place afterwards. A short page alone proves nothing: the server
  may have lowered the limit. Neither does an empty one: rows may have moved up to before it.
* A page that shows no delivered row starts a **search** around the offset. If it finds none,
  :class:`~airflow_provider_ip1.exceptions.IP1PagingError` is raised.
* ``Link`` headers only say how far reading ahead is worth while.

:class:`Pager` does this for one list, :class:`ReadAhead` runs one or several pagers with a bounded number of requests
and pages in memory. The hooks send what they ask for and hand back what arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import compress
from typing import Any, Literal

from airflow_provider_ip1.api.decoding import decode_messages
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.timestamps import read_timestamps
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ParticipantError, IP1ResponseError

Order = Literal["ASC", "DESC"]
Direction = Literal["mt", "mo"]

#: Rows that a later page can be recognised by are kept for at least this many rows back.
REMEMBERED_ROWS = 1000
#: Answers in a row that bring nothing new before the server is said to repeat itself.
MAX_STALLED_ANSWERS = 40
#: Requests spent on finding a delivered row again after the list has moved.
MAX_SEARCH_REQUESTS = 60
#: An offset that no conversation reaches and that every server can read: an answer with rows there means that
#: ``start`` is ignored.
UNREACHABLE_START = 999_999_999
#: iP.1's default for ``limit``. A server that ignores ``start`` but has fewer rows than this has shown them all.
DEFAULT_LIMIT = 50


@dataclass(frozen=True)
class Page:
    """
    New messages from one answer of iP.1: none of them was in an earlier page of the same reading.

    :param participant: whose conversation it is, normalised; ``None`` for the messages of a batch.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` for both.
    :param number: how many pages came before it, from 0, counted per conversation.
    :param start: the offset in rows that was asked for.
    :param ids: the messages' ids, in the order of the list.
    :param raws: the messages as iP.1 sent them, each the bytes of one JSON object.
    :param total_hint: about how many messages the list has, rounded up to a whole page, as a ``Link`` header told;
        ``None`` where none did.
    :param modified_values: each message's ``modified`` as iP.1 sent it, for :attr:`modified`.
    """

    participant: str | None
    direction: Direction | None
    number: int
    start: int
    ids: tuple[str, ...]
    raws: tuple[Any, ...] = field(repr=False)
    total_hint: int | None
    modified_values: tuple[Any, ...] = field(default=(), repr=False)

    @cached_property
    def modified(self) -> tuple[datetime | None, ...]:
        """When each message was last changed, in UTC; ``None`` where iP.1 sent no time that can be read."""
        return tuple(read_timestamps(self.modified_values))

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """
        The messages, read from :attr:`raws` on first use.

        :raises IP1ResponseError: one of them cannot be a message; names its field and id.
        """
        return tuple(decode_messages(self.raws, participant=self.participant, direction=self.direction))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(eq=False, slots=True)
class PageRequest:
    """
    A page that a :class:`Pager` wants.

    :param pager: who wants it.
    :param start: offset in rows, from 0.
    :param limit: rows, from 2.
    """

    pager: Pager
    start: int
    limit: int
    answer: RawPage | Exception | None = field(default=None, repr=False)


class Pager:
    """
    Says which pages of one list to ask for, and which rows of the answers are new.

    :param page_size: rows a request asks for, from 1. A page of 1 could not overlap, so 1 asks for 2.
    :param window: most pages asked for ahead, from 1.
    :param order: the list's order, ``"ASC"`` (oldest first) or ``"DESC"``. Newest first is usually read to stop early,
        so the pager is slower to read ahead there.
    :param participant: passed on to the pages.
    :param direction: passed on to the pages.
    :param source: what the list is read from; only kept for whoever sends the requests.
    """

    def __init__(
        self,
        *,
        page_size: int,
        window: int = 1,
        order: Order = "ASC",
        participant: str | None = None,
        direction: Direction | None = None,
        source: Any = None,
    ) -> None:
        self.source = source
        self.limit = max(page_size, 2)
        self.order = order
        self.participant = participant
        self.direction = direction
        self.total_hint: int | None = None
        self._max_window = window
        self._window = 1
        self._queue: deque[PageRequest] = deque()
        self._ready: deque[Page] = deque()
        self._failure: Exception | None = None
        self._ended = False
        self._pages = 0
        # Position of the last delivered row that was seen, in the server's own count.
        self._position = 0
        self._capacity = 0
        self._anchor: str | None = None
        self._recent: dict[str, None] = {}
        self._older: dict[str, None] = {}
        self._remember = max(REMEMBERED_ROWS, 2 * self.limit)
        self._has_forgotten = False
        self._stalled = 0
        self._previous: tuple[int, Sequence[str]] = (0, ())
        self._next_start: int | None = 0
        self._on_answer: Callable[[PageRequest, RawPage], Page | None] = self._take_first
        self._search: Iterator[int] = iter(())
        self._searched = 0
        self._exhausted_forward = False

    # -- what to send

    def wanted(self, room: int) -> list[PageRequest]:
        """
        Pages to ask for now.

        :param room: most requests to return, from 0.
        """
        requests: list[PageRequest] = []
        while len(requests) < room and (start := self._start_of_next()) is not None:
            request = PageRequest(self, start, self.limit)
            self._queue.append(request)
            requests.append(request)
        return requests

    @property
    def wants_more(self) -> bool:
        """Whether :meth:`wanted` would return a request if there was room."""
        return self._start_of_next() is not None

    def _start_of_next(self) -> int | None:
        if self._ended:
            return None
        if not self._queue:
            return self._next_start
        if len(self._queue) >= self._window or self._capacity < 2:
            return None
        start = self._queue[-1].start + self._capacity - 1
        if self.total_hint is not None and start > self.total_hint:
            return None
        return start

    # -- what came back

    @property
    def done(self) -> bool:
        """Whether the list was read to its end and every page was taken."""
        return self._ended and not self._ready and self._failure is None

    @property
    def held(self) -> int:
        """Answers and pages that are kept in memory."""
        return len(self._ready) + sum(request.answer is not None for request in self._queue)

    def digest(self) -> None:
        """Use the answers that have come in, as far as they are next in order."""
        while not self._ended and self._queue and (answer := self._queue[0].answer) is not None:
            request = self._queue.popleft()
            if isinstance(answer, Exception):
                # Asking for an unreachable offset is our own test: a refusal answers it as well as an empty list.
                refused = isinstance(answer, (IP1ParticipantError, IP1ResponseError))
                if self._on_answer != self._take_unreachable or not refused:
                    self._fail(answer)
                    return
                answer = RawPage()
            try:
                page = self._on_answer(request, answer)
            except IP1PagingError as error:
                self._fail(error)
                return
            if page is not None:
                self._ready.append(page)

    def next_page(self) -> Page | None:
        """
        The next page with new messages, ``None`` where the answer for it is not there yet or the list is at its end.

        :raises IP1PagingError: the list cannot be put together without losing or repeating a message.
        :raises Exception: what a request that was needed ended with.
        """
        if self._ready:
            return self._ready.popleft()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return None

    def stop(self) -> None:
        """End the reading here: no more requests, no more pages."""
        self._end()
        self._ready.clear()
        self._failure = None

    def _end(self) -> None:
        self._ended = True
        self._queue.clear()

    def _fail(self, error: Exception) -> None:
        self._end()
        self._failure = error

    def _take_first(self, request: PageRequest, rows: RawPage) -> Page | None:
        if not rows.ids:
            self._end()
            return None
        self._on_answer = self._take_following
        self._note_total(rows)
        more_expected = len(rows.ids) >= self.limit or "next" in rows.links
        if more_expected and self.order == "ASC" and self.total_hint is not None:
            self._window = self._max_window
        elif more_expected:
            self._window = min(2, self._max_window)
        return self._deliver(request, rows, first_new=0)

    def _take_following(self, request: PageRequest, rows: RawPage) -> Page | None:
        self._note_total(rows)
        known = self._last_known(rows.ids)
        if known is None:
            if request.start > self._position:
                self._take_beyond_anchor(request, rows)
            else:
                self._begin_search()
            return None
        if known + 1 < len(rows.ids):
            return self._deliver(request, rows, first_new=known + 1)
        self._take_nothing_new(request, rows, known)
        return None

    def _take_beyond_anchor(self, request: PageRequest, rows: RawPage) -> None:
        """A page that starts behind the anchor without showing it: a probe for the end, or read too far ahead."""
        is_probe = not self._queue and request.start == self._position + 1 and self._next_start == request.start
        if is_probe and not rows.ids:
            self._on_answer = self._take_last_look
        else:
            self._stall()
        self._slow_down(self._position)

    def _take_last_look(self, request: PageRequest, rows: RawPage) -> Page | None:
        """Nothing was behind the anchor. That was the end if the anchor had not moved up by then."""
        self._on_answer = self._take_following
        # A server that shows one row at a time can prove this of its first row only.
        is_conclusive = len(rows.ids) < self._capacity or request.start <= 1
        if is_conclusive and rows.ids and self._knows(rows.ids[-1]):
            self._end()
            return None
        return self._take_following(request, rows)

    def _take_nothing_new(self, request: PageRequest, rows: RawPage, known: int) -> None:
        is_full = len(rows.ids) >= self._capacity
        self._capacity = max(self._capacity, len(rows.ids))
        if not is_full and "next" not in rows.links and tuple(rows.ids) == (self._anchor,):
            self._end()
            return
        self._stall()
        repeats = self._previous[0] != request.start and self._previous[1] == rows.ids
        self._previous = (request.start, rows.ids)
        self._position = request.start + known
        if repeats:
            # Either just as many rows came in as were asked to be skipped, or `start` is ignored: find out.
            self._on_answer = self._take_unreachable
            self._slow_down(UNREACHABLE_START)
        elif len(rows.ids) == 1 or not is_full:
            # One row cannot overlap and show more; a short page that promises more, or that may have been cut where the
            # delivered rows end, is tested behind its end.
            self._slow_down(self._position + 1)
        else:
            self._slow_down(self._position)

    def _take_unreachable(self, request: PageRequest, rows: RawPage) -> None:
        self._on_answer = self._take_following
        if rows.ids != self._previous[1]:
            self._previous = (0, ())
            self._slow_down(self._position + 1 if self._capacity < 2 else self._position)
            return
        if len(rows.ids) < min(DEFAULT_LIMIT, self.limit) and "next" not in rows.links:
            self._end()
            return
        raise IP1PagingError(
            "iP.1 answers with the same messages whatever 'start' is, so the rest of the list cannot be read. "
            "Check that the connection's host is the iP.1 API and that no cache stands in between."
        )

    # -- finding the anchor again

    def _begin_search(self) -> None:
        self._search = self._search_starts()
        self._searched = 0
        self._exhausted_forward = False
        self._on_answer = self._take_searched
        self._continue_search()

    def _continue_search(self) -> None:
        self._searched += 1
        start = next(self._search, None) if self._searched <= MAX_SEARCH_REQUESTS else None
        if start is not None:
            self._slow_down(start)
        elif self._exhausted_forward and not self._has_forgotten:
            # Every row that was delivered is gone, and all of them are remembered: whatever is there now is new.
            self._on_answer = self._take_first
            self._slow_down(0)
            self._stall()
        else:
            raise IP1PagingError(
                "The conversation changed so much while it was read that the place could not be found again: "
                "none of the messages delivered last is listed any more. Run the task again."
            )

    def _search_starts(self) -> Iterator[int]:
        """Offsets around the last position, alternately before and behind it, in growing strides."""
        step = max(self._capacity - 1, 1)
        back, ahead = self._position, self._position
        strides = {"back": step, "ahead": step}
        # Rows come in at the head of a list that is newest first: there the anchor is further on, else further back.
        directions = ("ahead", "back") if self.order == "DESC" else ("back", "ahead")
        while back > 0 or not self._exhausted_forward:
            for direction in directions:
                stride = strides[direction]
                # No wider than the rows that are remembered, or a page could land on either side of them.
                strides[direction] = min(2 * stride, max(step, len(self._recent) + len(self._older)))
                if direction == "back" and back > 0:
                    back = max(back - stride, 0)
                    yield back
                elif direction == "ahead" and not self._exhausted_forward:
                    ahead += stride
                    yield ahead

    def _take_searched(self, request: PageRequest, rows: RawPage) -> Page | None:
        if self._last_known(rows.ids) is not None:
            self._on_answer = self._take_following
            return self._take_following(request, rows)
        if not rows.ids:
            if request.start == 0:
                # The list is empty now: nothing is left that could have been there throughout.
                self._end()
                return None
            if request.start > self._position:
                self._exhausted_forward = True
        self._capacity = max(self._capacity, len(rows.ids))
        self._continue_search()
        return None

    # -- bookkeeping

    def _deliver(self, request: PageRequest, rows: RawPage, first_new: int) -> Page | None:
        is_full = len(rows.ids) >= self._capacity
        self._capacity = max(self._capacity, len(rows.ids))
        self._position = request.start + len(rows.ids) - 1
        self._previous = (request.start, rows.ids)
        ids, raws, modified = (tuple(each[first_new:]) for each in (rows.ids, rows.raws, rows.modified))
        if len(set(ids)) != len(ids) or (self._pages and first_new == 0):
            # A row listed twice within a page, or rows read anew after all delivered ones were gone.
            last_places = {key: place for place, key in enumerate(ids)}
            chosen = [last_places[key] == place and not self._knows(key) for place, key in enumerate(ids)]
            ids, raws, modified = (tuple(compress(each, chosen)) for each in (ids, raws, modified))
        if self._capacity < 2:
            self._slow_down(self._position + 1)
        elif is_full:
            self._next_start = self._position
            if self._pages:
                self._window = min(self._window + 1, self._max_window)
        else:
            # Most likely the end: what was read ahead starts behind it.
            self._slow_down(self._position)
        if not ids:
            self._stall()
            return None
        self._stalled = 0
        self._anchor = ids[-1]
        self._keep_in_mind(ids)
        page = Page(self.participant, self.direction, self._pages, request.start, ids, raws, self.total_hint, modified)
        self._pages += 1
        return page

    def _slow_down(self, next_start: int) -> None:
        """Throw away what was read ahead and ask for one page."""
        self._queue.clear()
        self._window = 1
        self._next_start = next_start

    def _stall(self) -> None:
        self._stalled += 1
        if self._stalled > MAX_STALLED_ANSWERS:
            raise IP1PagingError(
                f"iP.1 gave {MAX_STALLED_ANSWERS} answers in a row that bring nothing new and do not end the list. "
                "The server repeats itself, returns a single message per page, or the conversation changes faster "
                "than it can be read. Run the task again, with a larger page_size if it is small."
            )

    def _note_total(self, rows: RawPage) -> None:
        last = rows.links.get("last")
        if last is not None and last.start is not None and last.start < UNREACHABLE_START:
            self.total_hint = last.start + min(last.limit or self.limit, self.limit)

    def _knows(self, key: str) -> bool:
        return key in self._recent or key in self._older

    def _last_known(self, ids: Sequence[str]) -> int | None:
        if self._recent.keys().isdisjoint(ids) and self._older.keys().isdisjoint(ids):
            return None
        behind_first = ids[1:]
        if self._recent.keys().isdisjoint(behind_first) and self._older.keys().isdisjoint(behind_first):
            return 0
        for index in range(len(ids) - 1, -1, -1):
            if self._knows(ids[index]):
                return index
        return None

    def _keep_in_mind(self, ids: Iterable[str]) -> None:
        self._recent.update(dict.fromkeys(ids))
        if len(self._recent) > self._remember:
            self._has_forgotten = self._has_forgotten or bool(self._older)
            self._older, self._recent = self._recent, {}


class ReadAhead:
    """
    Runs pagers one after the other, in order, with a bounded number of pages asked for or held at any time.

    The first requests of the next lists are sent while the end of a short list is waited for; as soon as a long list
    can use the room itself, those behind it are put back.

    :param pagers: one function per list that makes its pager. Called when the list's turn comes near, and once more
        if it was put back.
    :param concurrency: most requests in flight plus answers held, from 1.
    """

    def __init__(self, pagers: Iterable[Callable[[], Pager]], concurrency: int) -> None:
        self._upcoming: Iterator[Callable[[], Pager]] = iter(pagers)
        self._put_back: list[Callable[[], Pager]] = []
        self._active: deque[tuple[Callable[[], Pager], Pager]] = deque()
        self._concurrency = concurrency
        self._in_flight = 0

    def wanted(self) -> list[PageRequest]:
        """Requests to send now. Each must be answered through :meth:`received`, also where nobody waits for it."""
        if not self._active:
            self._activate()
        requests: list[PageRequest] = []
        while self._active:
            room = self._room(len(requests))
            if room <= 0:
                if not requests and self._active[0][1].wants_more and self._drop_last():
                    continue
                break
            before = len(requests)
            for _, pager in self._active:
                requests += pager.wanted(self._room(len(requests)))
            if len(requests) == before and not self._activate():
                break
        self._in_flight += len(requests)
        return requests

    def received(self, request: PageRequest, answer: RawPage | Exception) -> None:
        """
        Hand in what came back.

        :param request: a request that :meth:`wanted` returned.
        :param answer: the rows, or the error that the request ended with.
        """
        self._in_flight -= 1
        request.answer = answer
        request.pager.digest()

    def next_page(self) -> Page | None:
        """
        The next page, in the order of the lists; ``None`` until more answers are there, or when all is :attr:`done`.

        :raises IP1PagingError: a list cannot be put together.
        :raises Exception: the error that was handed in for the page whose turn it is.
        """
        while self._active:
            page = self._active[0][1].next_page()
            if page is not None:
                return page
            if not self._active[0][1].done:
                return None
            self._active.popleft()
            if not self._active:
                self._activate()
        return None

    def skip_rest(self) -> None:
        """Read no more of the list that the last page came from."""
        if self._active:
            self._active[0][1].stop()

    @property
    def done(self) -> bool:
        """Whether every list was read to its end."""
        return not self._active and not self._activate()

    def _room(self, new: int) -> int:
        return self._concurrency - self._in_flight - new - sum(pager.held for _, pager in self._active)

    def _activate(self) -> bool:
        make = self._put_back.pop() if self._put_back else next(self._upcoming, None)
        if make is None:
            return False
        self._active.append((make, make()))
        return True

    def _drop_last(self) -> bool:
        if len(self._active) < 2:
            return False
        make, pager = self._active.pop()
        pager.stop()
        self._put_back.append(make)
        return True
