# SPDX-License-Identifier: Apache-2.0
"""What a list's ``Link`` headers promise, and how many rows it may have."""

from __future__ import annotations

from typing import Final

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import PageRequest
from airflow_provider_ip1.exceptions import IP1PagingError

#: Rows that a list may grow by while it is read. A list that grows faster than it can be read would never end.
MAX_GROWTH = 100_000
#: Rows of a list without a readable ``Link`` header, which says nothing about its size.
MAX_ROWS = 10_000_000
#: An offset that no list reaches and every server can parse. Rows in the response mean that ``start`` is ignored.
UNREACHABLE_START: Final = 999_999_999
#: iP.1's documented default for ``limit``. The end rule assumes that the server grants at least this many rows.
DEFAULT_LIMIT: Final = 50


class LinkEvidence:
    """Collects what the ``Link`` headers of one list say about its size."""

    def __init__(self) -> None:
        self._last_start: int | None = None
        self._most_rows = MAX_ROWS
        #: About how many rows the list has, rounded up to a whole page; ``None`` while no header said so.
        self.total_hint: int | None = None

    def note(self, request: PageRequest, page: RawPage) -> None:
        """
        Take the ``Link`` header of a page.

        :param request: the request for the page.
        :param page: the page.
        """
        _, start, limit = page.link
        if start is None or start >= UNREACHABLE_START:
            return
        if self.total_hint is None:
            self._most_rows = start + request.limit + MAX_GROWTH
        self._last_start = start
        self.total_hint = start + min(limit or request.limit, request.limit)

    def ends_with(self, request: PageRequest, page: RawPage) -> bool:
        """
        Return whether a page and its ``Link`` header agree that nothing follows.

        The rule relies on iP.1 granting at least as many rows as its documented default, or as were requested.

        :param request: the request for the page.
        :param page: the page.
        """
        granted = min(DEFAULT_LIMIT, request.limit)
        has_next, last_start, last_limit = page.link
        return (
            len(page.ids) < granted
            and not has_next
            and last_start is not None
            and last_start < request.start + len(page.ids)
            and (last_limit is None or last_limit >= granted)
        )

    def promise_more_than(self, rows: int) -> bool:
        """
        Return whether the last ``Link`` header announced a page behind so many rows.

        :param rows: how many were read, or how far.
        """
        return self._last_start is not None and rows < self._last_start

    def check_growth(self, rows: int) -> None:
        """
        Check that the list does not grow without end.

        :param rows: how many were delivered.
        :raises IP1PagingError: they are more than the list can have grown to.
        """
        if rows > self._most_rows:
            raise IP1PagingError(
                f"More than {self._most_rows:,} rows were read and the list does not end: it grows faster than it "
                "can be read, or the server is not iP.1's API. Run the task again later, or check the host."
            )

    def incomplete(self, rows: int) -> IP1PagingError:
        """
        Return the error for a list that ended before the page that was announced.

        :param rows: how many were delivered.
        """
        return IP1PagingError(
            f"iP.1 announced a page that starts at row {self._last_start or 0:,}, but only {rows:,} rows "
            "could be read. Run the task again."
        )
