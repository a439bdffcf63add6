# SPDX-License-Identifier: Apache-2.0
"""Reads a list page by page, one request at a time, as part of an operation."""

from __future__ import annotations

import math

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import Listing, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.client.base_client import BaseClient, Flow, within
from airflow_provider_ip1.exceptions import IP1Error


class ListReading:
    """
    A read of one list.

    :param client: makes the requests.
    :param listing: the list.
    """

    def __init__(self, client: BaseClient, listing: Listing) -> None:
        self._client = client
        self._ahead = client.read_ahead([listing], concurrency=1)
        self._steps = client.read(self._ahead, [listing])
        self._wanted: PageRequest | None = None

    def next_page(self, deadline: float = math.inf) -> Flow[Page | None]:
        """
        Return the next page, which has at least one row; ``None`` after the last one.

        :param deadline: of the client's clock, until when the page has to arrive. Default: none.
        :raises TimeIsUp: it did not arrive in time.
        :raises IP1Error: the list cannot be read.
        """
        for step in self._steps:
            if isinstance(step, Page):
                return step
            if step is not None:
                self._wanted = step
            elif self._wanted is not None:
                outcome: RawPage | Exception
                try:
                    outcome = yield from within(self._client, deadline, self._client.page(self._wanted))
                except IP1Error as error:
                    outcome = error
                self._ahead.receive(self._wanted, outcome)
        return None
