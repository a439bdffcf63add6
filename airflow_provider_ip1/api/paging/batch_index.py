# SPDX-License-Identifier: Apache-2.0
"""Finds the batches of the account while their messages are read."""

from __future__ import annotations

from collections import deque

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import AccountMessages, Listing, PageRequest
from airflow_provider_ip1.api.paging.pager import Pager


class BatchIndex:
    """
    Reads the list of batches just far enough ahead that there are always lists of messages to request.

    Only the batches of about one page are in memory, however many there are.

    :param account: what to read.
    :param page_size: rows per page if the list of batches does not say.
    :param enough: number of lists from which on no further page of batches is requested.
    """

    def __init__(self, account: AccountMessages, *, page_size: int, enough: int) -> None:
        self._account = account
        self._pager = Pager(account.batches, page_size=account.batches.page_size or page_size)
        self._enough = enough
        self._lists: deque[Listing] = deque()
        self._failure: Exception | None = None

    def next_requests(self, room: int) -> list[PageRequest]:
        """
        Return the pages of the list of batches to request now.

        :param room: most requests to return, from 0.
        """
        return self._pager.next_requests(room) if len(self._lists) < self._enough else []

    def receive(self, request: PageRequest, outcome: RawPage | Exception) -> None:
        """
        Take what a request ended with.

        :param request: from :meth:`next_requests`.
        :param outcome: the rows, or the error.
        """
        self._pager.receive(request, outcome)
        try:
            while (page := self._pager.next_page()) is not None:
                self._lists.extend(self._account.lists_of(page.batches))
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
