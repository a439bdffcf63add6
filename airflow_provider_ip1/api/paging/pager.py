# SPDX-License-Identifier: Apache-2.0
"""
Reads one paginated iP.1 list so that no row is lost or repeated. Does no I/O.

iP.1 pages with ``start`` (a row offset, default 0), ``limit`` (default 50) and ``order`` (introduction page). Offsets
shift when rows come or go between two requests, the server may grant less than the limit, rows with the same creation
time may swap places, and iP.1 does not say whether ``start`` counts from 0 or from 1. Every request therefore overlaps
what was delivered before. :mod:`airflow_provider_ip1.api.paging.states` has the states and the transitions between
them; docs/paging.md explains the rules for users.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.delivered import DeliveredRows
from airflow_provider_ip1.api.paging.link_evidence import DEFAULT_LIMIT, UNREACHABLE_START, LinkEvidence
from airflow_provider_ip1.api.paging.listing import Listing, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.search import search_offsets
from airflow_provider_ip1.api.paging.states import TRANSITIONS, Event, State
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ParticipantError, IP1ResponseError

T = TypeVar("T")

#: Responses in a row that deliver nothing before the server counts as repeating itself.
MAX_STALLED_RESPONSES = 40
#: Requests spent on looking back from one page. One is enough unless the server has lowered its limit.
MAX_LOOK_BACKS = 3
#: Requests spent on finding a delivered row again after the list has moved.
MAX_SEARCH_REQUESTS = 60


@dataclass(eq=False, slots=True)
class _Pending:
    """A request whose response was not processed yet."""

    request: PageRequest
    is_look_back: bool = False
    outcome: RawPage | Exception | None = None


class Pager:
    """
    Decides which pages of one list to request, and which rows of the responses are new.

    :param listing: the list.
    :param page_size: rows to request per page, from 1. A page of 1 could not overlap, so 1 requests 2.
    :param window: most pages to request ahead, from 1. A list that is read newest first is usually left early, so the
        pager reads ahead more cautiously there.
    """

    def __init__(self, listing: Listing, *, page_size: int, window: int = 1) -> None:
        self.listing = listing
        self.limit = max(page_size, 2)
        self.state = State.START
        self._link = LinkEvidence(self.limit)
        self._max_window = window
        self._window = 1
        self._queue: deque[_Pending] = deque()
        self._ready: deque[Page] = deque()
        self._failure: Exception | None = None
        self._pages = 0
        self._delivered = DeliveredRows(at_least=2 * self.limit)
        self._anchor: str | None = None
        # Offset of the anchor, by the server's own count.
        self._position = 0
        # The most rows that a page has had.
        self._capacity = 0
        self._next_start = 0
        self._look_back_start: int | None = None
        self._look_back_end = 0
        self._look_backs_left = 0
        self._previous: tuple[int, Sequence[str]] = (0, ())
        self._stalled = 0
        self._search: Iterator[int] = iter(())
        self._searched = 0
        self._is_behind_the_end = False
        self._has_read_again = False

    # -- requests

    def next_requests(self, room: int) -> list[PageRequest]:
        """
        Return the pages to request now.

        :param room: most requests to return, from 0.
        """
        requests: list[PageRequest] = []
        while len(requests) < room:
            is_look_back = self._look_back_start is not None
            start = self._look_back_start if is_look_back else self._start_of_next_page()
            if start is None:
                break
            self._look_back_start = None
            request = PageRequest(self.listing, start, self.limit)
            self._queue.append(_Pending(request, is_look_back))
            requests.append(request)
        return requests

    def _start_of_next_page(self) -> int | None:
        if self.state is State.END:
            return None
        pages = [pending for pending in self._queue if not pending.is_look_back]
        if not pages:
            return self._next_start
        if len(pages) >= self._window or self._capacity < 2:
            return None
        start = pages[-1].request.start + self._capacity - 1
        if self._link.total_hint is not None and start > self._link.total_hint:
            return None
        return start

    # -- responses

    def receive(self, request: PageRequest, outcome: RawPage | Exception) -> None:
        """
        Take what a request ended with. Responses are processed in the order of their requests.

        :param request: from :meth:`next_requests`.
        :param outcome: the rows (none for a 404), or the error.
        """
        for pending in self._queue:
            if pending.request is request:
                pending.outcome = outcome
        self._process_responses()

    @property
    def done(self) -> bool:
        """Whether the list was read to its end and every page was taken."""
        return (
            self.state is State.END
            and not self._ready
            and not self._queue
            and self._look_back_start is None
            and self._failure is None
        )

    @property
    def window_used(self) -> float:
        """How much of the read-ahead window is taken by pages in memory: 1 for a page that is at least half full."""
        pages = [len(page) for page in self._ready]
        pages += [len(pending.outcome.ids) for pending in self._queue if isinstance(pending.outcome, RawPage)]
        return sum(1.0 if 2 * rows >= self.limit else max(rows / self.limit, 1 / 16) for rows in pages)

    def next_page(self) -> Page | None:
        """
        Return the next page with new messages, or ``None`` until its response is here, or at the end of the list.

        :raises IP1PagingError: the list cannot be put together without losing or repeating a message.
        :raises Exception: the error that a required request ended with.
        """
        if self._ready:
            return self._ready.popleft()
        if self._failure is not None and not self._queue:
            failure, self._failure = self._failure, None
            raise failure
        return None

    def stop(self) -> None:
        """End the read here: no more requests, no more pages."""
        self.state = State.END
        self._queue.clear()
        self._ready.clear()
        self._look_back_start = None
        self._failure = None

    def _process_responses(self) -> None:
        while self._queue and (outcome := self._queue[0].outcome) is not None:
            pending = self._queue.popleft()
            try:
                if isinstance(outcome, Exception):
                    outcome = self._without_rows(outcome)
                if pending.is_look_back:
                    self._take_look_back(pending.request, outcome)
                else:
                    self._take(pending.request, outcome)
            except Exception as error:
                self._fail(error)

    def _without_rows(self, error: Exception) -> RawPage:
        # The pager's own probe requests an offset that a server may refuse. A refusal is as good a response
        # as an empty list.
        if self.state is State.PROBE and isinstance(error, (IP1ParticipantError, IP1ResponseError)):
            return RawPage()
        raise error

    def _fail(self, error: Exception) -> None:
        self.state = State.END
        self._queue.clear()
        self._look_back_start = None
        self._failure = error

    # -- transitions

    def _take(self, request: PageRequest, page: RawPage) -> None:
        state = self.state
        new = self._new_rows(page) if state is not State.PROBE else []
        event = self._event(request, page, new)
        self._link.note(page)
        if event is Event.OTHER:
            # The previous page was the same although the offset was not, because the list had moved.
            self._look_back(self._previous[0])
        if event in _JOINING:
            if event is not Event.REPEATED and self._shows_that_rows_moved(request, page, new):
                self._look_back(request.start)
            self._join(request, page)
        self._capacity = max(self._capacity, len(page.ids))
        is_productive = event in _DELIVERING and self._deliver(request, page, new)
        target = TRANSITIONS[state][event]
        if target is State.SEARCH and state is not State.SEARCH:
            self._begin_search()
        if not is_productive and state is not State.SEARCH:
            self._stall()
        self._enter(target, request, page, event)

    def _event(self, request: PageRequest, page: RawPage, new: Sequence[int]) -> Event:
        ids = page.ids
        if self.state is State.PROBE:
            return Event.REPEATED if ids == self._previous[1] else Event.OTHER
        if not ids:
            return Event.EMPTY
        is_anything_new_here = self.state in (State.START, State.RESTART)
        if len(new) == len(ids) and not is_anything_new_here:
            return Event.UNKNOWN
        if self._link.ends_with(page, request.start):
            return Event.LAST
        if new:
            is_single = is_anything_new_here and max(self._capacity, len(ids)) < 2
            return Event.SINGLE if is_single else Event.NEW
        is_anchor = len(ids) == 1 and ids[0] == self._anchor
        if is_anchor and self._capacity > 1 and not page.link.has_next:
            return Event.ANCHOR
        if self._previous[0] != request.start and self._previous[1] == ids:
            return Event.REPEATED
        return Event.ANCHOR_AND_MORE if is_anchor else Event.KNOWN

    def _enter(self, state: State, request: PageRequest, page: RawPage, event: Event) -> None:
        self.state = state
        match state:
            case State.FOLLOW if event is Event.NEW and len(page.ids) >= self._capacity:
                # A full page: the pages requested ahead join it.
                self._next_start = self._position
                self._widen_window(page)
            case State.FOLLOW | State.CONFIRM:
                self._request_only(self._position)
            case State.BEHIND:
                self._request_only(self._position + 1)
            case State.PROBE:
                self._request_only(UNREACHABLE_START)
            case State.SEARCH:
                self._continue_search(request, page, event)
            case State.RESTART:
                self._request_only(0)
            case State.END:
                if event is Event.EMPTY and self._pages:
                    raise IP1PagingError(_EMPTIED)
                if event is Event.REPEATED:
                    self._check_that_start_may_be_ignored(page)
                self._queue = deque(pending for pending in self._queue if pending.is_look_back)
                self._check_total()

    def _request_only(self, start: int) -> None:
        """Drop what was requested ahead, and request one page."""
        self._queue = deque(pending for pending in self._queue if pending.is_look_back)
        self._window = 1
        self._next_start = start

    def _widen_window(self, page: RawPage) -> None:
        if self._pages > 1:
            self._window = min(self._window + 1, self._max_window)
        elif len(page.ids) >= self.limit or page.link.has_next:
            knows_total = self.listing.order == "ASC" and self._link.total_hint is not None
            self._window = self._max_window if knows_total else min(2, self._max_window)

    # -- rows

    def _new_rows(self, page: RawPage) -> Sequence[int]:
        """Positions of the rows that were not delivered."""
        ids = page.ids
        if not self._pages:
            return range(len(ids))
        if ids and ids[0] == self._anchor and self._delivered.is_disjoint(ids[1:]):
            return range(1, len(ids))
        return self._delivered.missing_from(ids)

    def _join(self, request: PageRequest, page: RawPage) -> None:
        self._anchor = page.ids[-1]
        self._position = request.start + len(page.ids) - 1
        self._previous = (request.start, page.ids)

    def _shows_that_rows_moved(self, request: PageRequest, page: RawPage, new: Sequence[int]) -> bool:
        """
        Whether a row may have moved to a place that was read already.

        It can only get there unseen by pushing the anchor, or rows next to it, out of their places.
        """
        known = len(page.ids) - len(new)
        is_in_place = known == 1 and page.ids[0] == self._anchor and request.start == self._position
        return known > 0 and not is_in_place and self.state is not State.RESTART

    def _look_back(self, start: int) -> None:
        if start > 0 and not any(pending.is_look_back for pending in self._queue):
            self._look_back_start = max(start - max(self._capacity - 1, 1), 0)
            self._look_back_end = start
            self._look_backs_left = MAX_LOOK_BACKS

    def _take_look_back(self, request: PageRequest, page: RawPage) -> None:
        """Deliver rows that had moved to places which were read already."""
        new = self._delivered.missing_from(page.ids)
        self._look_backs_left -= 1
        if not page.ids:
            # Rows were here a moment ago, so the response may not be iP.1's.
            if not self._look_backs_left:
                raise IP1PagingError(_EMPTIED)
            self._look_back_start = request.start
            return
        if len(new) == len(page.ids):
            return
        self._deliver(request, page, new)
        reached = request.start + len(page.ids)
        if len(page.ids) > 1 and reached < self._look_back_end and self._look_backs_left:
            # The server grants fewer rows than before.
            self._look_back_start = reached - 1

    def _deliver(self, request: PageRequest, page: RawPage, new: Sequence[int]) -> bool:
        """Hand out the new rows, each id once. Returns whether there were any."""
        chosen = _once_each(page.ids, new)
        if not chosen:
            return False
        self._stalled = 0
        ids = _values_at(chosen, page.ids)
        self._delivered.add(ids)
        self._link.check_growth(len(self._delivered))
        self._ready.append(
            Page(
                participant=self.listing.participant,
                direction=self.listing.direction,
                number=self._pages,
                start=request.start,
                ids=ids,
                raws=_values_at(chosen, page.raws),
                total_hint=self._link.total_hint,
                modified_values=_values_at(chosen, page.modified),
                status_codes=_values_at(chosen, page.status_codes),
                batch=self.listing.batch,
            )
        )
        self._pages += 1
        return True

    # -- finding the anchor again

    def _begin_search(self) -> None:
        self._searched = 0
        self._is_behind_the_end = False
        self._search = search_offsets(
            self._position,
            stride=max(self._capacity - 1, 1),
            widest=len(self._delivered.remembered),
            forward_first=self.listing.order == "DESC",
            is_behind_the_end=lambda: self._is_behind_the_end,
        )

    def _continue_search(self, request: PageRequest, page: RawPage, event: Event) -> None:
        if event is Event.EMPTY:
            if request.start == 0:
                raise IP1PagingError(_EMPTIED)
            self._is_behind_the_end = self._is_behind_the_end or request.start > self._position
        self._searched += 1
        start = next(self._search, None) if self._searched <= MAX_SEARCH_REQUESTS else None
        if start is not None:
            self._request_only(start)
        elif self._is_behind_the_end and not self._delivered.has_forgotten:
            self._enter(State.RESTART, request, page, Event.UNKNOWN)
        else:
            raise IP1PagingError(
                "The list changed so much while it was read that the place could not be found again: nothing that "
                "was delivered last is listed any more. Run the task again."
            )

    # -- bounds and checks

    def _stall(self) -> None:
        self._stalled += 1
        if self._stalled > MAX_STALLED_RESPONSES:
            raise IP1PagingError(
                f"iP.1 returned {MAX_STALLED_RESPONSES} responses in a row that add nothing and do not end the list. "
                "The server repeats itself, returns a single row per page, or the list changes faster "
                "than it can be read. Run the task again, with a larger page_size if it is small."
            )

    def _check_that_start_may_be_ignored(self, page: RawPage) -> None:
        if len(page.ids) < min(DEFAULT_LIMIT, self.limit) and not page.link.has_next:
            # Shorter than iP.1's default page: the server has shown everything it has.
            return
        raise IP1PagingError(
            "iP.1 returns the same page whatever 'start' is, so the rest of the list cannot be read. "
            "Check that the connection's host is the iP.1 API and that no cache stands in between."
        )

    def _check_total(self) -> None:
        """Read again, once, where the last ``Link`` header promises more than was read."""
        is_cut = self._link.promise_more_than(self._position + 1)
        is_incomplete = self.listing.order == "ASC" and self._link.promise_more_than(len(self._delivered))
        if not self._pages or not (is_cut or is_incomplete):
            return
        if self._has_read_again or (not is_cut and self._delivered.has_forgotten):
            raise self._link.incomplete(len(self._delivered))
        self._has_read_again = True
        self.state = State.FOLLOW if is_cut else State.RESTART
        self._request_only(self._position if is_cut else 0)


def _once_each(ids: Sequence[str], positions: Sequence[int]) -> Sequence[int]:
    """Leave out positions whose id appears again later. Positions are ascending."""
    if len(set(ids)) == len(ids):
        return positions
    return sorted({ids[position]: position for position in positions}.values())


def _values_at(positions: Sequence[int], values: Sequence[T]) -> tuple[T, ...]:
    """Return the values at these positions, or none if there are no values at all."""
    if isinstance(positions, range):
        return tuple(values[positions.start : positions.stop])
    return tuple(values[position] for position in positions) if values else ()


_EMPTIED: Final = (
    "iP.1 returned an empty list although it had listed rows before: they were removed meanwhile, or the response is "
    "not iP.1's. Run the task again."
)
#: Events after which the last row of the page is the anchor.
_JOINING: Final = frozenset(
    {Event.NEW, Event.SINGLE, Event.LAST, Event.ANCHOR, Event.ANCHOR_AND_MORE, Event.KNOWN, Event.REPEATED}
)
#: Events that deliver rows.
_DELIVERING: Final = frozenset({Event.NEW, Event.SINGLE, Event.LAST})
