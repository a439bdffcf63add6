# SPDX-License-Identifier: Apache-2.0
"""Compares the number of messages read with iP.1's own count (``verify_total``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.hooks.ip1 import IP1Hook


class TotalCheck:
    """
    Checks that each conversation was read completely, using ``/summary``.

    New messages may arrive while a conversation is read. So it must have at least as many messages as the summary
    showed before, and at most as many as the summary shows afterwards. The second summary is requested only if messages
    arrived.

    :param hook: the hook.
    :param participants: the participants, normalized. Their summaries are requested at once, one after the other.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` for both.
    :raises IP1Error: iP.1 did not return a summary.
    """

    def __init__(self, hook: IP1Hook, participants: Sequence[str], direction: str | None) -> None:
        self._hook = hook
        self._direction = direction and direction.lower()
        self._before = {participant: self._count(participant) for participant in participants}
        self._read: Counter[str | None] = Counter()

    def add(self, page: Page) -> None:
        """
        Count one page.

        :param page: the page as it was read.
        """
        self._read[page.participant] += len(page)

    def verify(self) -> None:
        """
        Compare, after all conversations were read.

        :raises IP1PagingError: a conversation has another number of messages, and new messages cannot explain that.
        """
        for participant, before in self._before.items():
            read = self._read[participant]
            if read == before:
                continue
            after = self._count(participant)
            if not before <= read <= after:
                raise IP1PagingError(
                    f"Conversation {mask_number(participant)}: read {read} messages, but iP.1's summary counted "
                    f"{before} before and {after} afterwards. New messages cannot explain that. No object was written. "
                    "Run the task again. If the difference stays, ask iP.1's support, or set verify_total=False."
                )

    def _count(self, participant: str) -> int:
        summary = self._hook.get_summary(participant)
        if self._direction is None:
            if summary.total_messages is None:
                raise IP1ResponseError(
                    f"Conversation {mask_number(participant)}: iP.1's summary has no totalMessageCount, so the number "
                    "of messages cannot be verified. Set verify_total=False."
                )
            return summary.total_messages
        counts = summary.mobile_terminated if self._direction == "mt" else summary.mobile_originated
        return sum(count.messages or 0 for count in counts.values())
