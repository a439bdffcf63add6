# SPDX-License-Identifier: Apache-2.0
"""Requests for the pages of one list, their responses in order, and the pages that are ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.larger_pages import LargerPages
from airflow_provider_ip1.api.paging.link_evidence import LinkEvidence
from airflow_provider_ip1.api.paging.listing import Listing, PageRequest
from airflow_provider_ip1.api.paging.page import Page, once_each, values_at
from airflow_provider_ip1.api.paging.place import Place
from airflow_provider_ip1.api.paging.states import TRANSITIONS, Event, State
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1ParticipantError, IP1ResponseError, IP1ServerError

#: Requests spent on looking back from one page. One is enough unless the server has lowered its limit.
MAX_LOOK_BACKS: Final = 3
#: The most rows that are requested at once to find rows that are missing.
LARGEST_PAGE: Final = 10_000


@dataclass(eq=False, slots=True)
class Pending:
    """
    A request whose response was not processed yet.

    :param request: the request.
    :param outcome: the response, if it is here.
    :param is_sent: whether the request was handed out.
    :param is_outdated: whether rows were found after it was requested. Then it does not show how many the list has now.
    :param attempt: how often the same page was requested before, because what precedes it was not found.
    :param look_backs: for a page, the look-backs that have to come before it, once they are known.
    :param look_back_end: for a look-back, up to which offset it looks.
    :param look_backs_left: for a look-back, how many requests it may take.
    """

    request: PageRequest
    outcome: RawPage | Exception | None = None
    is_sent: bool = False
    is_outdated: bool = False
    attempt: int = 0
    look_backs: Iterator[Pending] | None = None
    look_back_end: int | None = None
    look_backs_left: int = MAX_LOOK_BACKS


class PageQueue:
    """
    The requests, responses and pages of one list.

    :class:`~airflow_provider_ip1.api.paging.pager.Pager` adds what the responses mean. They are processed in the
    order of their requests, even if they arrive in another one. So a page that was requested ahead is compared with
    all that comes before it, and counts only if it joins that.

    :param listing: the list.
    :param page_size: rows to request per page, from 1. A page of 1 could not overlap, so 1 requests 2. ``None`` for
        200, and more after a full page if the server grants it.
    :param window: most pages to request ahead, from 1. A list that is read newest first is usually left early, so it is
        read ahead more cautiously.
    :param larger: what is known about larger pages.
    """

    def __init__(
        self, listing: Listing, *, page_size: int | None, window: int = 1, larger: LargerPages | None = None
    ) -> None:
        self.listing = listing
        self._larger = larger or LargerPages()
        self.limit = max(page_size or self._larger.first, 2)
        self._may_grow = page_size is None
        self.state = State.START
        self._link = LinkEvidence()
        self._place = Place(self._larger.larger if self._may_grow else self.limit)
        self._max_window = window
        self._window = 1
        self._queue: deque[Pending] = deque()
        self._ready: deque[Page] = deque()
        # Pages that wait until the count shows that no row before them is missing.
        self._held: list[Page] = []
        self._is_held = False
        # Rows that were held in a wrong order, and that the next reading of the list delivers again.
        self._misplaced: Set[str] = frozenset()
        self._failure: Exception | None = None
        self._pages = 0
        self._next_start = 0
        # How pages are requested now, and the most rows per page that the server is not known to refuse.
        self._order: Order = listing.order
        self._limit = self.limit
        self._largest = max(LARGEST_PAGE, self.limit)
        # Where the list ended last, by the server's own count.
        self._end = 0

    def next_request(self) -> PageRequest | None:
        """Return the page to request now; ``None`` until a response is here, or at the end of the list."""
        # Only the first one may not have been sent: nothing behind it is processed before its response is here.
        if self._queue and not self._queue[0].is_sent:
            pending = self._queue[0]
        else:
            start = self._start_of_next_page()
            if start is None:
                return None
            pending = Pending(self._larger_page(start) or PageRequest(self.listing, start, self._limit, self._order))
            self._queue.append(pending)
        pending.is_sent = True
        return pending.request

    def _larger_page(self, start: int) -> PageRequest | None:
        is_due = self._may_grow and self.state is State.FOLLOW and self._place.capacity >= self._limit == self.limit
        return self._larger.request(self.listing, start, self._order) if is_due else None

    def _note_larger_page(self, request: PageRequest, page: RawPage) -> None:
        """Go on with larger pages if the first one has more rows than those before it."""
        self._larger.note(request, page, self._place.capacity)
        self._may_grow = len(page.ids) > self._place.capacity
        if self._may_grow:
            self._limit = request.limit

    def _start_of_next_page(self) -> int | None:
        if self.state is State.END:
            return None
        if not self._queue:
            return self._next_start
        last = self._queue[-1]
        # How many rows the first larger page will have is unknown, so nothing can join it yet.
        is_unknown = self._place.capacity < 2 or last.request.limit > self._limit
        if len(self._queue) >= self._window or is_unknown or self._queue[0].look_back_end is not None:
            return None
        start = last.request.start + self._place.capacity - 1
        most = self._link.total_hint or self._end
        return None if most and start > most else start

    def receive(self, request: PageRequest, outcome: RawPage | Exception) -> None:
        """
        Take what a request ended with. Responses are processed in the order of their requests.

        :param request: from :meth:`next_request`.
        :param outcome: the rows (none for a 404), or the error.
        """
        for pending in self._queue:
            if pending.request is request:
                pending.outcome = outcome
        while self._queue and (outcome_now := self._queue[0].outcome) is not None:
            pending = self._queue.popleft()
            try:
                page = outcome_now if isinstance(outcome_now, RawPage) else self._without_rows(pending, outcome_now)
                if page is not None:
                    self._process(pending, page)
            except Exception as error:
                self.stop(error)

    def _process(self, pending: Pending, page: RawPage) -> None:
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """Whether the list was read to its end and every page was taken."""
        return self.state is State.END and not self._ready and self._failure is None

    @property
    def is_empty(self) -> bool:
        """Whether no page was delivered."""
        return not self._pages

    @property
    def window_used(self) -> float:
        """How much of the read-ahead window is taken by pages in memory: 1 for a page that is at least half full."""
        if not self._ready and len(self._queue) < 2:
            # A page is processed once it is here, unless it has to wait for those requested before it.
            return 0.0
        pages = [len(page) for page in self._ready]
        # Not a page that waits for a look-back, which needs room to be requested.
        pages += [
            len(pending.outcome.ids)
            for pending in self._queue
            if isinstance(pending.outcome, RawPage) and pending.look_backs is None
        ]
        return sum(1.0 if 2 * rows >= self.limit else max(rows / self.limit, 1 / 16) for rows in pages)

    def next_page(self) -> Page | None:
        """
        Return the next page with new messages, or ``None`` until its response is here, or at the end of the list.

        :raises IP1PagingError: the list cannot be put together without losing or repeating a message.
        :raises Exception: the error that a required request ended with.
        """
        if self._ready:
            return self._ready.popleft()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return None

    def stop(self, failure: Exception | None = None) -> None:
        """
        End the read here: no more requests.

        :param failure: raise this after the pages that are here; ``None`` to drop them.
        """
        if self.state is not State.END:
            self.state = TRANSITIONS[self.state][Event.STOPPED]
        self._queue.clear()
        if failure is None:
            self._ready.clear()
        self._failure = failure

    def _without_rows(self, pending: Pending, error: Exception) -> RawPage | None:
        request = pending.request
        if self.state is State.PROBE and isinstance(error, (IP1ParticipantError, IP1ResponseError)):
            # A server may refuse the offset that the pager probes. That means the same as an empty list.
            return RawPage()
        if request.limit > self.limit and isinstance(error, (IP1ParticipantError, IP1ResponseError, IP1ServerError)):
            # The pager chose this size: continue with pages of a size that this server is known to return.
            if self._may_grow and request.limit == self._larger.larger:
                self._larger.refuse()
                self._may_grow = False
            self._largest = self._limit = self.limit
            self._place.capacity = min(self._place.capacity, self.limit)
            self._queue = deque(later for later in self._queue if later.request.limit <= self.limit)
            pending.request = PageRequest(self.listing, request.start, self.limit, request.order)
            pending.is_sent, pending.outcome = False, None
            self._queue.appendleft(pending)
            return None
        raise error

    def _request_only(self, start: int) -> None:
        """Drop what was requested ahead, and request one page."""
        self._queue = deque(pending for pending in self._queue if pending.look_back_end is not None)
        self._window = 1
        self._next_start = start

    def _widen_window(self, page: RawPage) -> None:
        if self._pages > 1:
            self._window = min(self._window + 1, self._max_window)
        elif len(page.ids) >= self.limit or page.link.has_next:
            knows_total = self.listing.order == "ASC" and self._link.total_hint is not None
            self._window = self._max_window if knows_total else min(2, self._max_window)

    def _deliver(self, request: PageRequest, page: RawPage, new: Sequence[int], *, is_late: bool = False) -> bool:
        """Hand out the new rows, each id once. Returns whether there were any."""
        chosen = once_each(page.ids, new)
        if not chosen:
            return False
        self._stalled = 0
        place = self._place
        ids = values_at(chosen, page.ids)
        if place.listed is place.delivered:
            place.listed_twice += len(new) - len(chosen)
        if not self._misplaced:
            place.delivered.add(ids)
        self._link.check_growth(len(place.delivered))
        (self._held if self._is_held else self._ready).append(
            Page(
                participant=self.listing.participant,
                direction=self.listing.direction,
                number=self._pages,
                start=request.start,
                ids=ids,
                raws=values_at(chosen, page.raws),
                total_hint=self._link.total_hint,
                modified_values=values_at(chosen, page.modified),
                status_codes=values_at(chosen, page.status_codes),
                batch=self.listing.batch,
                is_late=is_late,
            )
        )
        self._pages += 1
        return True
