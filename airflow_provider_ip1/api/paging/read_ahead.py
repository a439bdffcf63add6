# SPDX-License-Identifier: Apache-2.0
"""Reads several lists in order, with a bounded number of requests in flight and pages in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.larger_pages import LargerPages
from airflow_provider_ip1.api.paging.listing import AccountMessages, Listing, Lists, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.pager import Pager

Outcome: TypeAlias = RawPage | Exception
"""What a page request ended with: its rows (none for a 404), or the error."""

#: Lists per request in flight that may be read before their turn. A list without messages takes no room.
_LISTS_PER_REQUEST: Final = 16


class ReadAhead:
    """
    Runs one pager per list and hands out their pages in the order of the lists.

    The first list may use the whole window. The next lists use what it leaves, and wait once their pages fill the
    window: requests in flight and pages in memory are never more than twice ``concurrency``.

    :param lists: the lists, in order. Taken one by one when there is room. Requests for the list of batches, which
        leads to the messages of the account, share the room.
    :param page_size: rows per page for lists that do not say; ``None`` for 200, and more after a full page if the
        server grants it.
    :param concurrency: most requests in flight, and most full pages that the next lists hold, from 1.
    :param larger: what the client knows about larger pages.
    """

    def __init__(
        self, lists: Lists, *, page_size: int | None, concurrency: int, larger: LargerPages | None = None
    ) -> None:
        self._index: BatchIndex | None = None
        self._upcoming: Iterator[Listing] = iter(())
        if isinstance(lists, AccountMessages):
            self._index = BatchIndex(lists, enough=_LISTS_PER_REQUEST * concurrency)
        else:
            self._upcoming = iter(lists)
        #: Lists that were read, or skipped, to their end.
        self.lists_read = 0
        #: Those of them that had no messages, if they were found in the list of batches.
        self.empty_lists: list[Listing] = []
        self._active: deque[Pager] = deque()
        self._owners: dict[PageRequest, Pager | BatchIndex] = {}
        self._page_size = page_size
        self._concurrency = concurrency
        self._larger = larger or LargerPages()

    def steps(self) -> Iterator[PageRequest | Page | None]:
        """
        Yield what to do next, until every list was read.

        A :class:`PageRequest` has to be sent now, without waiting for its response. A
        :class:`~airflow_provider_ip1.api.paging.page.Page` goes to the consumer. ``None`` means that nothing can be
        done until :meth:`receive` gets the outcome of a request.

        :raises IP1PagingError: a list cannot be put together.
        :raises Exception: the error that was received for the page whose turn it is.
        """
        while not self.done:
            page = self.next_page()
            if page is None:
                yield from self.next_requests()
                if self._owners:
                    yield None
                continue
            if self._active[0].listing.order == "ASC":
                # The consumer takes its time with this page; the next ones are requested meanwhile. A list that is
                # read newest first may end with this page, which only the consumer knows.
                yield from self.next_requests()
            yield page

    def next_requests(self) -> list[PageRequest]:
        """Return the requests to send now. The outcome of each has to be passed to :meth:`receive`."""
        requests: list[PageRequest] = []
        if self._index is not None and self._room(self._window_used()) > 0:
            self._send_next(self._index, requests)
        # The first list must not wait for room that the next ones have taken.
        window_used = self._active[0].window_used if self._active else 0.0
        position = 0
        while self._room(window_used) > 0:
            if position == len(self._active) and not self._activate():
                break
            if self._send_next(self._active[position], requests):
                continue
            if position == 0:
                window_used = self._window_used()
            position += 1
        return requests

    def _send_next(self, owner: Pager | BatchIndex, requests: list[PageRequest]) -> bool:
        request = owner.next_request()
        if request is None:
            return False
        self._owners[request] = owner
        requests.append(request)
        return True

    def receive(self, request: PageRequest, outcome: Outcome) -> None:
        """
        Take what a request ended with.

        :param request: a request from :meth:`next_requests`.
        :param outcome: the rows, or the error.
        """
        self._owners.pop(request).receive(request, outcome)

    def next_page(self) -> Page | None:
        """
        Return the next page in the order of the lists, or ``None`` until more responses are here.

        :raises IP1PagingError: a list cannot be put together.
        :raises Exception: the error that was received for the page whose turn it is.
        """
        while self._active:
            page = self._active[0].next_page()
            if page is not None:
                return page
            if not self._active[0].done:
                return None
            pager = self._active.popleft()
            self.lists_read += 1
            if pager.is_empty and pager.listing.batch is not None:
                self.empty_lists.append(pager.listing)
        return None

    def skip_rest(self) -> None:
        """Read no more of the list that the last page came from."""
        if self._active:
            self._active[0].stop()

    @property
    def batches_hint(self) -> int | None:
        """About how many batches the account has, if its messages are read and a ``Link`` header tells."""
        return None if self._index is None else self._index.total_hint

    @property
    def done(self) -> bool:
        """
        Whether every list was read to its end.

        :raises Exception: every list that is known was read, and the error that the list of batches ended with.
        """
        return not self._active and not self._activate() and (self._index is None or self._index.is_done())

    def _window_used(self) -> float:
        return sum(pager.window_used for pager in self._active)

    def _room(self, window_used: float) -> int:
        return self._concurrency - len(self._owners) - int(window_used)

    def _activate(self) -> bool:
        if len(self._active) >= _LISTS_PER_REQUEST * self._concurrency:
            return False
        listing = next(self._upcoming, None) if self._index is None else self._index.next_list()
        if listing is None:
            return False
        page_size = listing.page_size or self._page_size
        self._active.append(Pager(listing, page_size=page_size, window=self._concurrency, larger=self._larger))
        return True


class BatchIndex:
    """
    Reads the list of batches just far enough ahead that there are always lists of messages to request.

    Only the batches of about one page are in memory, however many there are.

    :param account: what to read.
    :param enough: number of lists from which on no further page of batches is requested.
    """

    def __init__(self, account: AccountMessages, *, enough: int) -> None:
        self._account = account
        self._pager = Pager(account.batches, page_size=account.batches.page_size)
        self._enough = enough
        self._lists: deque[Listing] = deque()
        self._failure: Exception | None = None
        #: About how many batches there are, if known.
        self.total_hint: int | None = None

    def next_request(self) -> PageRequest | None:
        """Return the page of the list of batches to request now."""
        return self._pager.next_request() if len(self._lists) < self._enough else None

    def receive(self, request: PageRequest, outcome: RawPage | Exception) -> None:
        """
        Take what a request ended with.

        :param request: from :meth:`next_request`.
        :param outcome: the rows, or the error.
        """
        self._pager.receive(request, outcome)
        try:
            while (page := self._pager.next_page()) is not None:
                self._lists.extend(self._account.lists_of(page.batches))
                self.total_hint = page.total_hint
        except Exception as error:
            self._pager.stop()
            self._failure = error

    def next_list(self) -> Listing | None:
        """Return the messages of the next batch; ``None`` until more batches are known, or after the last one."""
        return self._lists.popleft() if self._lists else None

    def is_done(self) -> bool:
        """
        Return whether every batch was taken.

        :raises Exception: no batch is left, and the error that the list of batches ended with.
        """
        if self._lists:
            return False
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return self._pager.done
