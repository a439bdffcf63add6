# SPDX-License-Identifier: Apache-2.0
"""Compares the number of messages read with iP.1's own count (``verify_total``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.participants import UNKNOWN_DIRECTION
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.requests import Direction, normalize_participant
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ParticipantError, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.hooks.ip1 import IP1Hook


#: How far iP.1's clock and this machine's may differ.
_CLOCK_DIFFERENCE: Final = timedelta(minutes=5)


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

    def __init__(self, hook: IP1Hook, participants: Sequence[str], direction: Direction | None) -> None:
        self._hook = hook
        self._direction = direction
        self._before = {participant: _count(hook, participant, self._direction) for participant in participants}
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
            after = _count(self._hook, participant, self._direction)
            if not before <= read <= after:
                raise IP1PagingError(
                    f"Conversation {mask_number(participant)}: read {read} messages, but iP.1's summary counted "
                    f"{before} before and {after} afterwards. New messages cannot explain that. No object was written. "
                    "Run the task again. If the difference stays, ask iP.1's support, or set verify_total=False."
                )


class AccountTotalCheck:
    """
    Checks that the batches of the account contain every message of its conversations, using ``/summary``.

    Which participants there are is known only after the batches were read. A conversation may then have more messages
    than were read, if the additional ones are new. It is looked at from its newest message on to find out.

    :param hook: the hook.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` for both.
    """

    def __init__(self, hook: IP1Hook, direction: Direction | None) -> None:
        self._hook = hook
        self._direction = direction
        self._new_from = datetime.now(UTC) - _CLOCK_DIFFERENCE
        self._read: Counter[str] = Counter()

    def add(self, page: Page) -> None:
        """
        Count one page.

        :param page: the page as it was read, without messages of another direction.
        :raises IP1ResponseError: a message has no other side whose summary could be requested.
        """
        for _, participant in page.routes:
            if participant is None:
                raise _cannot_verify(UNKNOWN_DIRECTION)
            try:
                normalized = normalize_participant(participant)
            except IP1ParticipantError:
                normalized = None
            if normalized is None:
                raise _cannot_verify(
                    "The other side of a message cannot be the participant of a conversation. Usually its number lacks "
                    "the country code."
                )
            self._read[normalized] += 1

    def verify(self) -> None:
        """
        Compare, after all batches were read.

        :raises IP1PagingError: a conversation has another number of messages, and new messages cannot explain that.
        :raises IP1Error: iP.1 did not return a summary.
        """
        for participant, read in self._read.items():
            after = _count(self._hook, participant, self._direction)
            if read > after or (read < after and not self._are_new(participant, after - read)):
                raise IP1PagingError(
                    f"Conversation {mask_number(participant)}: the batches of the account contain {read} of its "
                    f"messages, but iP.1's summary counts {after}. New messages cannot explain that. No object was "
                    "written. Run the task again. If the difference stays, the batches do not contain every message: "
                    "export the conversations instead, ask iP.1's support, or set verify_total=False."
                )

    def _are_new(self, participant: str, count: int) -> bool:
        """Return whether the newest messages of a conversation were created since the export began."""
        with closing(self._hook.iter_pages_of([participant], direction=self._direction, order="DESC")) as pages:
            times = chain.from_iterable(page.modified for page in pages)
            # A conversation that is suddenly empty shows nothing.
            newest = list(islice(times, count))
        return len(newest) == count and all(time is not None and time >= self._new_from for time in newest)


def _count(hook: IP1Hook, participant: str, direction: Direction | None) -> int:
    summary = hook.get_summary(participant)
    sent, received = summary.mobile_terminated.values(), summary.mobile_originated.values()
    by_direction = {
        direction: sum(count.messages or 0 for count in counts)
        for direction, counts in (("mt", sent), ("mo", received))
    }
    total = summary.total_messages
    if total is None or (direction is not None and sum(by_direction.values()) != total):
        raise _cannot_verify(f"iP.1's summary of conversation {mask_number(participant)} lacks the number of messages.")
    return total if direction is None else by_direction[direction]


def _cannot_verify(reason: str) -> IP1ResponseError:
    return IP1ResponseError(
        f"verify_total: the number of messages cannot be verified. {reason} Set verify_total=False."
    )
