# SPDX-License-Identifier: Apache-2.0
"""Notices when iP.1 sends something that it does not document, once per export."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from airflow_provider_ip1.api.decoding import undocumented_names
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.timestamps import is_plausible
from airflow_provider_ip1.api.wording import counted


class Drift:
    """
    Collects what iP.1 does not document.

    :param latest: the latest plausible time, see :func:`~airflow_provider_ip1.api.timestamps.is_plausible`.
    """

    def __init__(self, latest: datetime) -> None:
        self._latest = latest
        self._fields: set[str] = set()
        self._implausible = 0

    def add(self, page: Page) -> None:
        """
        Look at one page.

        Only the fields of its first message are compared, because a new field appears in all messages.

        :param page: the page as it was read.
        """
        if not page:
            return
        self._fields |= undocumented_names(page.raws[0])
        found = page.modified_range
        if found is not None and not all(is_plausible(time, self._latest) for time in found):
            self._implausible += sum(
                time is not None and not is_plausible(time, self._latest) for time in page.modified
            )

    def warnings(self) -> Iterator[str]:
        """Return a sentence for each kind of drift."""
        if self._fields:
            names = ", ".join(mask_number(name) for name in sorted(self._fields))
            yield (
                f"iP.1 sent fields that it does not document: {names}. The object contains them. Redaction changes "
                "them only where they contain a redacted text."
            )
        if self._implausible:
            yield (
                f"iP.1 sent a time of modification before the year 2000 or more than a day ahead for "
                f"{counted(self._implausible, 'message')}. The export treats these times as missing."
            )
