# SPDX-License-Identifier: Apache-2.0
"""Rows that moved to a place which was read already, or that equal creation times have hidden there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import PageRequest
from airflow_provider_ip1.api.paging.page import values_at
from airflow_provider_ip1.api.paging.page_queue import MAX_LOOK_BACKS, PageQueue, Pending
from airflow_provider_ip1.api.paging.place import MAX_PASSES
from airflow_provider_ip1.api.paging.states import State
from airflow_provider_ip1.exceptions import IP1PagingError

EMPTIED: Final = (
    "iP.1 returned an empty list although it had listed rows before: they were removed meanwhile, or the response is "
    "not iP.1's. Run the task again."
)


def hidden_rows(missing: int, times: int) -> IP1PagingError:
    """
    Return the error for rows that stay hidden.

    :param missing: how many.
    :param times: how often they were looked for.
    """
    return IP1PagingError(
        f"{missing:,} rows of the list could not be read, although it was read {times} times: rows of the "
        "same creation time change places from one request to the next. Run the task again, with a larger page_size "
        "if possible."
    )


class LookBacks(PageQueue):
    """Reads again what precedes a page, if the page shows that rows have changed places."""

    def _take(self, pending: Pending, page: RawPage) -> None:
        raise NotImplementedError

    def _has_to_look_back(self, pending: Pending, page: RawPage, new: Sequence[int]) -> bool:
        """
        Look at what was read before a page, if the page shows that rows have changed places.

        The page waits. So the rows that are found come before it, which matters if the reader has seen enough then.
        """
        is_newest_first = self.listing.order == "DESC"
        if pending.look_backs is None:
            if self.state in (State.START, State.RESTART):
                return False
            if self._place.is_next(pending.request, page, new):
                return is_newest_first and self._may_hide_rows(pending, page) and self._repeat(pending)
            pending.look_backs = self._look_backs(pending, page)
        look_back = next(pending.look_backs, None)
        if look_back is not None:
            self._queue.extendleft((pending, look_back))
            return True
        # Nothing precedes a page from the head of the list.
        is_at_head = pending.request.start == 0
        return is_newest_first and not is_at_head and self._is_doubtful(pending, page) and self._repeat(pending)

    def _repeat(self, pending: Pending) -> bool:
        """Request a page again: only a newer response shows what is missing now. Returns true."""
        request = pending.request
        again = PageRequest(self.listing, request.start, request.limit, request.order)
        self._queue.appendleft(Pending(again, attempt=pending.attempt + 1))
        return True

    def _may_hide_rows(self, pending: Pending, page: RawPage) -> bool:
        """Return whether rows that arrived after a page was requested may have been counted in the place of others."""
        place = self._place
        is_old = pending.is_outdated and pending.attempt < MAX_LOOK_BACKS
        return is_old and (place.has_other_order or place.may_be_tied(page))

    def _is_doubtful(self, pending: Pending, page: RawPage) -> bool:
        """Return whether rows before a page may still be missing, after those that were looked for."""
        place, attempt = self._place, pending.attempt
        if (missing := self._missing(pending.request, page)) <= 0:
            return self._may_hide_rows(pending, page)
        if missing == 1 and not place.is_base_known and not place.has_other_order:
            # It may only seem to be missing, because the server counts from 1.
            return attempt < MAX_LOOK_BACKS
        if attempt == MAX_PASSES:
            raise hidden_rows(missing, MAX_PASSES)
        return True

    def _look_backs(self, pending: Pending, page: RawPage) -> Iterator[Pending]:
        place, request = self._place, pending.request
        was_first = place.may_count_from_one(request, page)
        if was_first:
            first_page, limit = place.previous[1], request.start + len(page.ids) - 1
            yield self._look_back(0, limit, 0)
            if not place.counts_from_one([*first_page, *page.ids[2:]]) and place.first_page == first_page:
                # No larger pages, so ask what is different if the server counts from 1.
                yield self._look_back(1, limit, 0)
        if self.listing.order == "ASC":
            # The end of the list is counted, so this need not find everything.
            if request.start > 0 and not (was_first and len(place.first_page) > request.start):
                yield self._look_back_before(request.start)
            return
        # Newest first, the reader may have seen enough before the end, so what is missing has to be found now.
        end = request.start + len(page.ids)
        if place.has_other_order and end < self._largest and self._missing(request, page):
            # Ask for everything up to this page at once. That also shows which rows were removed, so that they do not
            # hide that others are missing.
            yield self._look_back(0, end + self.limit // 2, 0)
        if (missing := self._missing(request, page)) > 0:
            # Rows that arrived are at the head.
            end += missing
            limit = max(self.limit + missing, end if end <= 2 * self.limit else 0)
            yield self._look_back(0, limit, 0)
            if not place.is_base_known and self._missing(request, page) == 1:
                yield self._look_back(1, limit, 0)
            yield from self._look_backs_across_ties(pending, page)

    def _look_backs_across_ties(self, pending: Pending, page: RawPage) -> Iterator[Pending]:
        """
        Look for rows that equal creation times have hidden, in other pages with each attempt.

        All of them are on a page that has everything up to the waiting one. Where the server does not grant that, they
        are most likely just before it.
        """
        request, attempt = pending.request, pending.attempt
        end, granted = request.start + len(page.ids), self._place.granted
        if attempt == 0 and end < self._largest and self._missing(request, page) > 0:
            yield self._look_back(0, end + self.limit // 2, 0)
        limit = max(granted - attempt * granted // (2 * MAX_PASSES), 2)
        end = request.start + 1 + attempt * limit // (MAX_PASSES + 1)
        for _ in range(MAX_PASSES):
            if end <= 1 or self._missing(request, page) <= 0:
                return
            start = max(end - limit, 0)
            yield self._look_back(start, limit, request.start)
            end = start + 1

    def _missing(self, request: PageRequest, page: RawPage) -> int:
        """Return how many rows before a page, or next to its known rows, were not delivered."""
        place = self._place
        return place.missing(place.end_of(request, page)) - len(place.listed.missing_from(page.ids))

    def _look_back_before(self, end: int) -> Pending:
        # Longer than the page before, because a server may list rows of one creation time in an order that depends on
        # the limit, but then does so each time.
        rows = max(self._place.capacity - 1, 1)
        return self._look_back(max(end - rows, 0), rows + self.limit // 2, end)

    def _look_back(self, start: int, limit: int, end: int) -> Pending:
        return Pending(PageRequest(self.listing, start, min(limit, self._largest), self._order), look_back_end=end)

    def _take_look_back(self, pending: Pending, page: RawPage) -> None:
        """Deliver rows that had moved to places which were read already."""
        request, end, left = pending.request, pending.look_back_end or 0, pending.look_backs_left - 1
        if not page.ids:
            # Rows were here a moment ago, so the response may not be iP.1's.
            if not left:
                raise IP1PagingError(EMPTIED)
            self._queue.appendleft(Pending(request, look_back_end=end, look_backs_left=left))
            return
        place = self._place
        place.note_base(request, page)
        new = place.delivered.missing_from(page.ids)
        if len(new) == len(page.ids):
            return
        # The page that waits for this one.
        waiting = self._queue[0].outcome if self._queue else None
        later = waiting.ids if isinstance(waiting, RawPage) else ()
        known = set(range(len(page.ids))).difference(new)
        reached = request.start + len(page.ids)
        is_from_head = self.listing.order == "DESC" and request.start == 0
        if later and is_from_head and reached >= self._queue[0].request.start + len(later):
            # One response with everything up to the waiting page, and with that page's rows: it takes the page's place.
            self._deliver(request, page, [at for at in new if at < max(known)], is_late=True)
            # It shows which of the delivered rows are still listed. Those that were removed must not hide others.
            place.count_again()
            capacity = place.capacity
            self._queue.clear()
            self._take(Pending(request, look_backs=iter(())), page)
            place.capacity = capacity
            return
        # Rows of one creation time have the same places among them in every response. So a row from a place before the
        # waiting page, or before a delivered row, is not older (newest first) than what that page has, and may come
        # before it. Other rows only if the whole page comes with them, in the order of this response: the reader may
        # have seen enough at the first old row.
        last = max(end - request.start, *known)
        expected = set(later)
        found = [at for at in new if at < last and page.ids[at] not in expected]
        place.note_listed(values_at(sorted(known.union(found)), page.ids))
        if self._deliver(request, page, found, is_late=True):
            for later_page in self._queue:
                later_page.is_outdated = True
        if len(page.ids) > 1 and reached < end and left:
            # The server grants fewer rows than before.
            rest = PageRequest(self.listing, reached - 1, request.limit, request.order)
            self._queue.appendleft(Pending(rest, look_back_end=end, look_backs_left=left))
