# SPDX-License-Identifier: Apache-2.0
"""Larger pages than the default, where the server grants them."""

from __future__ import annotations

from typing import ClassVar
from weakref import ReferenceType, ref

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import Listing, PageRequest
from airflow_provider_ip1.api.requests import Order


class LargerPages:
    """
    What a client knows about larger pages: nothing, that the server grants them, or that it does not.

    All lists that the client reads share it. Only one list tries the first larger page, because the server would refuse
    those of the others as well.
    """

    #: Rows in the first page of a list, unless a page size is configured. iP.1's documentation requests as many.
    first: ClassVar = 200
    #: Rows to request after a full page. iP.1 does not document a maximum.
    larger: ClassVar = 1000

    def __init__(self) -> None:
        self._are_granted: bool | None = None
        # Weak, because a reader may leave a list without waiting for the response. Then the next list tries.
        self._trial: ReferenceType[PageRequest] | None = None

    def request(self, listing: Listing, start: int, order: Order) -> PageRequest | None:
        """
        Return a request for a larger page; ``None`` while another list tries one, or if the server does not grant it.

        :param listing: the list.
        :param start: offset in rows, from 0.
        :param order: of the rows.
        """
        if self._are_granted is False or (self._trial is not None and self._trial() is not None):
            return None
        request = PageRequest(listing, start, self.larger, order, is_trial=self._are_granted is None)
        if request.is_trial:
            self._trial = ref(request)
        return request

    def note(self, request: PageRequest, page: RawPage, rows: int) -> None:
        """
        Note whether the server has granted a larger page.

        :param request: the request.
        :param page: the response.
        :param rows: the most rows that a page of the same list has had before.
        """
        if not request.is_trial or self._are_granted is not None:
            return
        self._trial = None
        if len(page.ids) > rows:
            self._are_granted = True
        elif page.link.has_next or (len(page.ids) == rows and page.link.last_start is None):
            self._are_granted = False

    def refuse(self) -> None:
        """Note that the server has refused a larger page."""
        self._are_granted, self._trial = False, None
