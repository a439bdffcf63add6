# SPDX-License-Identifier: Apache-2.0
"""Where an export reads its messages from: the conversations of given participants, or every batch of the account."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol

from airflow_provider_ip1.api.paging.newest_first import NewestBatchesFirst
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.participants import UNKNOWN_DIRECTION, SeenParticipants
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.exceptions import IP1ResponseError
from airflow_provider_ip1.transfers.participants import participants_from_argument
from airflow_provider_ip1.transfers.selection import Selection
from airflow_provider_ip1.transfers.total_check import AccountTotalCheck, TotalCheck

if TYPE_CHECKING:
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.transfers.plan import Plan


class Source(Protocol):
    """Where an export reads its messages from."""

    dataset: ClassVar[str]
    """Name of the dataset in OpenLineage, below the base URL."""
    selecting_arguments: ClassVar[str]
    """The arguments that decide which messages are exported, for errors."""

    @property
    def participants(self) -> tuple[str, ...]:
        """The participants that are known before anything is read, normalized."""

    @property
    def description(self) -> str:
        """What is going to be exported, such as ``3 conversations``."""

    def reading(self, plan: Plan, latest: datetime) -> Reading:
        """
        Prepare to read everything once.

        :param plan: the arguments of the export.
        :param latest: the latest plausible time, see :func:`~airflow_provider_ip1.api.timestamps.is_plausible`.
        """


class Reading(Protocol):
    """What one export reads."""

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read.

        :param hook: sends the requests.
        :return: each page, and the page with only the messages that belong in the object, which may be none.
        """

    @property
    def counts(self) -> dict[str, int]:
        """The part of the operator's result that depends on the source."""

    @property
    def description(self) -> str:
        """What was read, such as ``3 conversations``."""

    def warnings(self) -> Iterator[str]:
        """Return a sentence for each thing that a reader of the log should know, after everything was read."""


@dataclass(frozen=True)
class ConversationSource:
    """
    The conversations of given participants.

    :param participants: the participants, normalized.
    """

    participants: tuple[str, ...]
    dataset: ClassVar = "v2/conversations"
    selecting_arguments: ClassVar = "participant, direction, since and until"

    @classmethod
    def from_argument(cls, participant: object) -> ConversationSource:
        """
        Check the argument ``participant``.

        :param participant: see :func:`~airflow_provider_ip1.transfers.participants.participants_from_argument`.
        :raises ValueError: the value is empty or of another type.
        :raises IP1ParticipantError: one of them cannot be a participant.
        """
        return cls(participants_from_argument(participant))

    @property
    def description(self) -> str:
        """What is exported."""
        return counted(len(self.participants), "conversation")

    def reading(self, plan: Plan, latest: datetime) -> ConversationReading:
        """
        Prepare to read the conversations once.

        :param plan: the arguments of the export.
        :param latest: the latest plausible time.
        """
        return ConversationReading(self, plan, latest)


class ConversationReading:
    """Reads the conversations of given participants, one after the other."""

    def __init__(self, source: ConversationSource, plan: Plan, latest: datetime) -> None:
        self.description = source.description
        self._participants = source.participants
        self._plan = plan
        self._selection = Selection(plan.window, latest)
        self._with_messages = 0

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read.

        :param hook: sends the requests.
        :raises IP1PagingError: ``verify_total`` is set, and a conversation has another number of messages.
        """
        plan = self._plan
        check = TotalCheck(hook, self._participants, plan.direction) if plan.verify_total else None
        pages = hook.iter_pages_of(
            self._participants,
            direction=plan.direction,
            order="ASC" if plan.window.since is None else "DESC",
            page_size=plan.page_size,
            concurrency=plan.concurrency,
        )
        with closing(pages):
            for page in pages:
                selected = self._selection.select(page)
                if selected.is_last:
                    pages.skip_rest()
                self._with_messages += page.number == 0
                if check is not None:
                    check.add(page)
                yield page, selected.page
        if check is not None:
            check.verify()

    @property
    def counts(self) -> dict[str, int]:
        """``participants``, and how many of their conversations are empty."""
        return {"participants": len(self._participants), "empty": len(self._participants) - self._with_messages}

    def warnings(self) -> Iterator[str]:
        """Warn about empty conversations, and messages without a time."""
        if empty := self.counts["empty"]:
            yield (
                f"iP.1 has no messages for {empty} of {self.description}. If you expected some, check the numbers and "
                "their country codes."
            )
        yield from self._selection.warnings()


@dataclass(frozen=True)
class AccountSource:
    """Every batch of the account."""

    dataset: ClassVar = "v2/batches"
    selecting_arguments: ClassVar = "direction, since and until"
    participants: ClassVar[tuple[str, ...]] = ()
    description: ClassVar = "all messages of the account"

    def reading(self, plan: Plan, latest: datetime) -> AccountReading:
        """
        Prepare to read the account once.

        :param plan: the arguments of the export.
        :param latest: the latest plausible time.
        """
        return AccountReading(plan, latest)


class AccountReading:
    """
    Reads the messages of every batch of the account, one batch after the other.

    Without ``since``, the oldest batch comes first, otherwise the newest one. The messages of a batch are always in the
    order of their creation, because a batch is always read completely.
    """

    def __init__(self, plan: Plan, latest: datetime) -> None:
        self._plan = plan
        self._selection = Selection(replace(plan.window, lookback=None), latest)
        self._newest_first: NewestBatchesFirst | None = None
        if plan.window.since is not None and plan.window.lookback is not None:
            self._newest_first = NewestBatchesFirst(plan.window.since, plan.window.lookback, latest)
        self._participants = SeenParticipants()
        self._batches = 0
        self._with_messages = 0

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read.

        :param hook: sends the requests.
        :raises IP1PagingError: ``verify_total`` is set, and a conversation has another number of messages.
        :raises IP1ResponseError: the export is limited to one direction, and the direction of a message is unknown.
        :raises ValueError: the key contains the phone number of a participant.
        """
        plan = self._plan
        check = AccountTotalCheck(hook, plan.direction) if plan.verify_total else None
        pages = hook.iter_batch_pages(
            direction=plan.direction,
            order="ASC" if plan.window.since is None else "DESC",
            page_size=plan.page_size,
            concurrency=plan.concurrency,
        )
        with closing(pages):
            for page in pages:
                if self._newest_first is not None and self._newest_first.ends_before(page):
                    break
                self._with_messages += page.number == 0
                wanted = self._in_direction(page)
                if check is not None:
                    check.add(wanted)
                selected = self._selection.select(wanted).page
                plan.target.check_impersonal(self._participants.new_in(selected))
                yield wanted, selected
            self._batches = pages.lists_read
        if check is not None:
            check.verify()

    @property
    def counts(self) -> dict[str, int]:
        """``batches`` that were read, how many of them are empty, and the ``participants`` of the written messages."""
        return {
            "batches": self._batches,
            "participants": len(self._participants),
            "empty": self._batches - self._with_messages,
        }

    @property
    def description(self) -> str:
        """What was read."""
        return counted(self._batches, "batch", "batches")

    def warnings(self) -> Iterator[str]:
        """Warn about messages without a time or a direction."""
        yield from self._selection.warnings()
        if unknown := self._participants.unknown:
            yield (
                f"The participant of {counted(unknown, 'message')} is unknown. {UNKNOWN_DIRECTION} The column "
                "participant is empty there."
            )

    def _in_direction(self, page: Page) -> Page:
        """Leave out the messages of the other direction, which a batch of unknown direction may contain."""
        if self._plan.direction is None:
            return page
        directions = [route.direction for route in page.routes]
        if not {"mt", "mo"}.issuperset(directions):
            raise IP1ResponseError(f"{UNKNOWN_DIRECTION} Leave out the argument direction.")
        return page.only([at for at, direction in enumerate(directions) if direction == self._plan.direction])
