# SPDX-License-Identifier: Apache-2.0
"""What an export has read and written so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_provider_ip1.api.paging import Page


@dataclass
class Totals:
    """
    Counts for the result of an export.

    :param messages: messages written.
    :param pages: pages read.
    :param first_modified: the earliest time of modification among the messages written.
    :param last_modified: the latest one.
    """

    messages: int = 0
    pages: int = 0
    first_modified: datetime | None = None
    last_modified: datetime | None = None

    def add(self, selected: Page) -> None:
        """
        Count one page.

        :param selected: what was selected from it.
        """
        self.pages += 1
        self.messages += len(selected)
        times = [time for time in selected.modified if time is not None]
        if not times:
            return
        first, last = min(times), max(times)
        if self.first_modified is None or first < self.first_modified:
            self.first_modified = first
        if self.last_modified is None or last > self.last_modified:
            self.last_modified = last
