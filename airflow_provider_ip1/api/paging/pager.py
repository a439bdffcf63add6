# SPDX-License-Identifier: Apache-2.0
"""
Reads one paginated iP.1 list so that no row is lost or repeated. Does no I/O.

iP.1 pages with ``start`` (a row offset, default 0), ``limit`` (default 50) and ``order`` (introduction page). Offsets
shift when rows come or go between two requests, the server may grant less than the limit, rows with the same creation
time may swap places, and iP.1 does not say whether ``start`` counts from 0 or from 1. Every request therefore overlaps
what was delivered before, and in the end the rows are counted. :mod:`airflow_provider_ip1.api.paging.states` has the
states and the transitions between them; docs/internals/paging.md explains the rules for users.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.link_evidence import DEFAULT_LIMIT, UNREACHABLE_START
from airflow_provider_ip1.api.paging.listing import PageRequest
from airflow_provider_ip1.api.paging.look_back import EMPTIED, LookBacks, hidden_rows
from airflow_provider_ip1.api.paging.page_queue import Pending
from airflow_provider_ip1.api.paging.place import MAX_PASSES, repair_pass, search_offsets
from airflow_provider_ip1.api.paging.states import TRANSITIONS, Event, State
from airflow_provider_ip1.exceptions import IP1PagingError

#: Responses in a row that deliver nothing before the server counts as repeating itself.
MAX_STALLED_RESPONSES = 40
#: Requests spent on finding a delivered row again after the list has moved.
MAX_SEARCH_REQUESTS = 60


class Pager(LookBacks):
    """Decides which pages of one list to request, and which rows of the responses are new."""

    # Most lists need none of these, so they start as attributes of the class.
    _stalled = 0
    _search: Iterator[int] = iter(())
    _searched = 0
    _is_behind_the_end = False
    # Where the last search began, and how many rows were delivered by then.
    _lost_at = (-1, 0)
    _lost_times = 0
    _was_cut = False
    # Readings of the whole list after the first one, where the current one began, and its shift against the others.
    _passes = 0
    _began_at = 0
    _shift = 0.0
    # Into how many steps a page is divided: each page of a reading begins one step behind the one before.
    _parts = 1
    # Pages that the first of them has added. They are in the order of the list.
    _held_in_order = 0

    def _process(self, pending: Pending, page: RawPage) -> None:
        self._place.granted = max(self._place.granted, len(page.ids))
        if pending.look_back_end is not None:
            self._take_look_back(pending, page)
        elif self.state in (State.RECOUNT, State.REPAIR):
            self._take_again(pending.request, page)
        else:
            self._take(pending, page)

    # -- transitions

    def _take(self, pending: Pending, page: RawPage) -> None:
        request, place = pending.request, self._place
        if self._may_grow and pending.look_backs is None and request.limit > self._limit:
            self._note_larger_page(request, page)
        new = place.new_rows(page)
        event = self._event(request, page, new)
        self._link.note(request, page)
        if event is Event.OTHER:
            # The previous page was the same although the offset was not, because the list had moved.
            start = place.previous[0]
            if start > 0:
                self._queue.appendleft(self._look_back_before(start))
        if event not in _NOT_JOINING:
            if event is not Event.REPEATED and self._has_to_look_back(pending, page, new):
                return
            place.join(request, page)
            place.note_listed(page.ids)
        place.note_base(request, page)
        place.capacity = max(place.capacity, len(page.ids))
        is_productive = event in _DELIVERING and self._deliver(request, page, new)
        if TRANSITIONS[self.state][event] is State.END and event is not Event.REPEATED and self._pages:
            event = Event.OUTDATED if pending.is_outdated else self._event_at_the_end(request, page, event)
        if not is_productive and self.state not in (State.SEARCH, State.RESTART) and self._is_stuck():
            event = Event.STUCK
        self._enter(request, page, event)

    def _event(self, request: PageRequest, page: RawPage, new: Sequence[int]) -> Event:
        ids, place = page.ids, self._place
        if self.state is State.PROBE:
            return Event.REPEATED if ids == place.previous[1] else Event.OTHER
        is_anything_new_here = self.state in (State.START, State.RESTART)
        if not ids:
            if self._pages and is_anything_new_here:
                raise IP1PagingError(EMPTIED)
            return Event.EMPTY
        if len(new) == len(ids) and not is_anything_new_here:
            return Event.UNKNOWN
        if self._link.ends_with(request, page):
            return Event.LAST
        if new:
            is_single = is_anything_new_here and max(place.capacity, len(ids)) < 2
            return Event.SINGLE if is_single else Event.NEW
        is_anchor = len(ids) == 1 and ids[0] == place.anchor
        if is_anchor and place.capacity > 1 and not page.link.has_next:
            return Event.ANCHOR
        if place.previous[0] != request.start and place.previous[1] == ids:
            return Event.REPEATED
        return Event.ANCHOR_AND_MORE if is_anchor else Event.KNOWN

    def _event_at_the_end(self, request: PageRequest, page: RawPage, event: Event) -> Event:
        """Compare what was read with where the list ends. This is the only check that tied rows cannot pass."""
        self._end = self._place.end_of(request, page)
        if self._link.promise_more_than(request.start + len(page.ids)):
            if self._was_cut:
                raise self._link.incomplete(len(self._place.delivered))
            self._was_cut = True
            return Event.CUT
        missing = self._place.missing(self._end)
        if self._place.has_other_order and (self._end < self._largest or missing < 0 or self._searched):
            # If rows were removed, more are missing than the count says. So count those that are listed now, which
            # takes one request unless the list is very long.
            self._place.count_again()
            return Event.SHORT
        return Event.SHORT if missing > 0 else event

    def _enter(self, request: PageRequest, page: RawPage, event: Event) -> None:
        was_searching = self.state is State.SEARCH
        self.state = TRANSITIONS[self.state][event]
        match self.state:
            case State.FOLLOW if event is Event.NEW and len(page.ids) >= self._place.capacity:
                # A full page: the pages requested ahead join it.
                self._next_start = self._place.position
                self._widen_window(page)
            case State.FOLLOW | State.CONFIRM:
                self._request_only(self._place.position)
            case State.BEHIND:
                self._request_only(self._place.position + 1)
            case State.PROBE:
                self._request_only(UNREACHABLE_START)
            case State.SEARCH:
                if was_searching or self._begin_search():
                    self._continue_search(request, page, event)
                else:
                    self._enter(request, page, Event.STUCK)
            case State.RESTART:
                self._request_only(0)
            case State.RECOUNT | State.REPAIR if event is Event.NEW:
                self._continue_pass(request, page)
            case State.RECOUNT:
                self._begin_recount()
            case State.REPAIR:
                if event is Event.STUCK:
                    # How many rows were removed is unknown, so count those that are listed now.
                    self._place.count_again()
                    # Newest first, the reader may have seen enough with any page.
                    self._is_held = self.listing.order == "DESC"
                self._begin_pass()
            case State.END:
                if event is Event.REPEATED:
                    self._check_that_start_may_be_ignored(page)
                self._queue.clear()
                self._ready.extend(self._held)

    # -- finding the anchor again

    def _begin_search(self) -> bool:
        """Prepare a search. Returns false if two were for the same place, and nothing was found since."""
        place = self._place
        lost_at = (place.position, len(place.delivered))
        self._lost_times = self._lost_times + 1 if self._lost_at == lost_at and place.has_other_order else 0
        self._lost_at = lost_at
        self._searched = 0
        self._is_behind_the_end = False
        if self._lost_times:
            # Rows of one creation time fill the page where the anchor was. Pages before it overlap more of them.
            self._search = iter([max(place.position - part * place.capacity // 4, 0) for part in (1, 2, 3)])
            return self._lost_times == 1
        self._search = search_offsets(
            place.position,
            stride=max(place.capacity - 1, 1),
            widest=place.delivered.recent,
            forward_first=self.listing.order == "DESC",
            is_behind_the_end=lambda: self._is_behind_the_end,
        )
        return True

    def _continue_search(self, request: PageRequest, page: RawPage, event: Event) -> None:
        if event is Event.EMPTY:
            if request.start == 0:
                raise IP1PagingError(EMPTIED)
            self._is_behind_the_end = self._is_behind_the_end or request.start > self._place.position
        self._searched += 1
        start = next(self._search, None) if self._searched <= MAX_SEARCH_REQUESTS else None
        if start is not None:
            self._request_only(start)
        elif self._is_behind_the_end:
            self._enter(request, page, Event.NOT_FOUND)
        elif self._place.has_other_order:
            self._enter(request, page, Event.STUCK)
        else:
            raise IP1PagingError(
                "The list changed so much while it was read that the place could not be found again: nothing that "
                "was delivered last is listed any more. Run the task again."
            )

    # -- rows that are missing at the end

    def _begin_recount(self) -> None:
        # Oldest first, so that the newest end and the count come from one response.
        missing = max(self._place.missing(self._end), 0)
        self._order, self._limit = "ASC", min(max(self.limit, missing + 2 * _NEWEST), self._largest)
        self._began_at = max(self._end - missing - _NEWEST, 0)
        self._place.capacity = 0
        self._request_only(self._began_at)

    def _begin_pass(self) -> None:
        place = self._place
        missing = place.missing(self._end)
        if place.capacity < min(self._limit, self._end - self._began_at):
            # The server grants fewer rows than were requested.
            self._largest = place.capacity
        if self._passes == MAX_PASSES:
            raise hidden_rows(missing, MAX_PASSES + 1)
        self._order, self._limit, self._shift = repair_pass(self._passes, self.listing.order, self._largest)
        if missing == 1:
            # This may also be because the server counts from 1, which the pages at 0 and at 1 show.
            self._shift = 1.0
        if self._passes == 1:
            self._held_in_order = len(self._held)
        if self._misplaced:
            self._order, self._limit = self.listing.order, self._largest
            self._parts += 1
            place.count_again()
            self._pages -= len(self._held)
            self._held.clear()
        self._passes += 1
        self._began_at = place.capacity = 0
        self._request_only(0)

    def _take_again(self, request: PageRequest, page: RawPage) -> None:
        """Deliver all rows that were not delivered. The pages may not fit together, so only the count ends this."""
        place, ids = self._place, page.ids
        if not ids and request.start == 0:
            raise IP1PagingError(EMPTIED)
        self._link.note(request, page)
        place.note_base(request, page, at_least=3 if place.has_other_order else 2)
        place.capacity = max(place.capacity, len(ids))
        new = place.delivered.missing_from(ids)
        if self._misplaced:
            again = (position for position, key in enumerate(ids) if key in self._misplaced)
            new = sorted({*new, *again}.intersection(place.listed.missing_from(ids)))
        self._deliver(request, page, new, is_late=True)
        place.note_listed(ids)
        is_alone = len(ids) == 1 and place.capacity > 1 and not page.link.has_next
        if ids and not is_alone and not self._link.ends_with(request, page):
            self._enter(request, page, Event.NEW)
            return
        end = place.end_of(request, page)
        missing = place.missing(end)
        is_shorter = not self._misplaced and (end < self._end or (not self._end and request.start > 0))
        if place.has_other_order and (missing < 0 or is_shorter) and self._passes < MAX_PASSES:
            # Rows may have been removed while they were read. Count those that are listed from now on.
            place.count_again()
            missing = end
        self._end = end
        late = [] if self._misplaced or self._passes < 2 else self._held[self._held_in_order :]
        if missing <= 0 and late:
            # The reader may have seen enough before it comes to rows that another reading has revealed. So a single
            # reading has to have all rows, in their order.
            if self._passes == MAX_PASSES:
                raise hidden_rows(sum(map(len, late)), MAX_PASSES)
            self._misplaced = frozenset(chain.from_iterable(page.ids for page in self._held))
            missing = end
        self._enter(request, page, Event.SHORT if missing > 0 else Event.LAST)

    def _continue_pass(self, request: PageRequest, page: RawPage) -> None:
        is_full = len(page.ids) >= self._place.capacity
        # All rows of one creation time are on one page if pages overlap by more than that.
        step = len(page.ids) // self._parts if is_full and self._parts > 1 else len(page.ids) - 1
        following = request.start + max(step, 1)
        self._link.check_growth(following // 4)
        if self._shift:
            following, self._shift = max(following - int(self._shift * len(page.ids)), 1), 0.0
        if is_full and self._parts == 1:
            self._next_start, self._window = following, self._max_window
        else:
            self._request_only(following)

    # -- checks

    def _is_stuck(self) -> bool:
        self._stalled += 1
        if self._stalled <= MAX_STALLED_RESPONSES:
            return False
        if self._place.capacity > 1:
            return True
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


#: Rows around those that may just have arrived. With them, few enough that one page proves the end.
_NEWEST: Final = 20
#: Events of a page after which its last row is not the anchor.
_NOT_JOINING: Final = (Event.EMPTY, Event.UNKNOWN, Event.OTHER)
#: Events that deliver rows.
_DELIVERING: Final = (Event.NEW, Event.SINGLE, Event.LAST)
