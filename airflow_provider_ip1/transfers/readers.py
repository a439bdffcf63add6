# SPDX-License-Identifier: Apache-2.0
"""Where an export reads its messages from: the conversations of given participants, or every batch of the account."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from airflow_provider_ip1.api.paging.newest_first import NewestBatchesFirst
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.participant_search import UNKNOWN_DIRECTION, SeenParticipants
from airflow_provider_ip1.api.requests import normalize_participants
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.exceptions import IP1ResponseError
from airflow_provider_ip1.template_values import refuse_printed_list, required_text
from airflow_provider_ip1.transfers.selection import Selection

if TYPE_CHECKING:
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.transfers.options import ExportOptions


class Reader(Protocol):
    """Reads, once, what an export writes."""

    dataset: ClassVar[str]
    """Name of the dataset in OpenLineage, below the base URL."""
    selecting_arguments: ClassVar[str]
    """The arguments that decide which messages are exported, for errors."""
    participants: tuple[str, ...]
    """The participants that are known before anything is read, normalized."""

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read.

        :param hook: sends the requests.
        :return: each page, and the page with only the messages that belong in the object, which may be none.
        """

    @property
    def new_participants(self) -> list[str]:
        """The participants of the last page's selected messages that no page before had, unless known before."""

    @property
    def counts(self) -> dict[str, int]:
        """The part of the operator's result that depends on the reader."""

    @property
    def description(self) -> str:
        """What is going to be read, or was read, such as ``3 conversations``."""

    def warnings(self) -> Iterator[str]:
        """Return a sentence for each thing that a reader of the log should know, after everything was read."""


class ConversationReader:
    """
    Reads the conversations of given participants, one after the other.

    :param participants: the participants, normalized.
    :param options: the options of the export.
    """

    dataset: ClassVar = "v2/conversations"
    selecting_arguments: ClassVar = "participant, direction, since and until"
    new_participants: ClassVar[list[str]] = []

    def __init__(self, participants: tuple[str, ...], options: ExportOptions) -> None:
        self.participants = participants
        self.description = counted(len(participants), "conversation")
        self._reading = options.reading
        self._selection = Selection(options.window, datetime.now(UTC) + timedelta(days=1))
        self._with_messages = 0

    @classmethod
    def from_argument(cls, participant: object, options: ExportOptions) -> Self:
        """
        Check the argument ``participant``.

        :param participant: a phone number with country code or a sender name, or a list of them. Integers are read as
            phone numbers, because native rendering of templates turns digits into integers.
        :param options: the options of the export.
        :raises ValueError: the value is empty or of another type.
        :raises IP1ParticipantError: one of them cannot be a participant.
        """
        # The order of a set differs from run to run.
        is_list = isinstance(participant, Iterable) and not isinstance(participant, (str, bytes, Mapping, Set))
        values: list[Any] = list(participant) if is_list else [participant]  # type: ignore[call-overload]
        if not values:
            raise ValueError("participant: the list is empty. Give a phone number, a sender name or a list of them.")
        texts = [
            required_text(one, f"participant {at}" if is_list else "participant") for at, one in enumerate(values, 1)
        ]
        for text in texts:
            refuse_printed_list(text, "participant")
        return cls(tuple(dict.fromkeys(normalize_participants(texts))), options)

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read.

        :param hook: sends the requests.
        """
        with closing(hook.iter_pages_of(self.participants, **self._reading)) as pages:
            for page in pages:
                selected, is_last = self._selection.select(page)
                if is_last:
                    pages.skip_rest()
                self._with_messages += page.number == 0
                yield page, selected

    @property
    def counts(self) -> dict[str, int]:
        """``participants``, and how many of their conversations are empty."""
        return {"participants": len(self.participants), "empty": len(self.participants) - self._with_messages}

    def warnings(self) -> Iterator[str]:
        """Warn about empty conversations, and messages without a time."""
        if empty := self.counts["empty"]:
            yield (
                f"iP.1 has no messages for {empty} of {self.description}. If you expected some, check the numbers and "
                "their country codes."
            )
        yield from self._selection.warnings()


class AccountReader:
    """
    Reads the messages of every batch of the account, one batch after the other.

    Without ``since``, the oldest batch comes first, otherwise the newest one. The messages of a batch are always in the
    order of their creation, because a batch is always read completely.

    :param options: the options of the export.
    """

    dataset: ClassVar = "v2/batches"
    selecting_arguments: ClassVar = "direction, since and until"

    def __init__(self, options: ExportOptions) -> None:
        window, latest = options.window, datetime.now(UTC) + timedelta(days=1)
        self.participants: tuple[str, ...] = ()
        self.new_participants: list[str] = []
        self.description = "all messages of the account"
        self._reading = options.reading
        self._selection = Selection(replace(window, lookback=None), latest)
        self._newest_first: NewestBatchesFirst | None = None
        if window.since is not None and window.lookback is not None:
            self._newest_first = NewestBatchesFirst(window.since, window.lookback, latest)
        self._seen = SeenParticipants()
        self._batches = 0
        self._with_messages = 0

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read. Messages of the other direction are in neither page.

        :param hook: sends the requests.
        :raises IP1ResponseError: the export is limited to one direction, and the direction of a message is unknown.
        """
        with closing(hook.iter_batch_pages(**self._reading)) as pages:
            for page in pages:
                if self._newest_first is not None and self._newest_first.ends_before(page):
                    break
                self._with_messages += page.number == 0
                wanted = self._in_direction(page)
                selected, _ = self._selection.select(wanted)
                self.new_participants = self._seen.new_in(selected)
                yield wanted, selected
            self._batches = pages.lists_read
        self.description = counted(self._batches, "batch", "batches")

    @property
    def counts(self) -> dict[str, int]:
        """``batches`` that were read, how many of them are empty, and the ``participants`` of the written messages."""
        return {
            "batches": self._batches,
            "participants": len(self._seen),
            "empty": self._batches - self._with_messages,
        }

    def warnings(self) -> Iterator[str]:
        """Warn about messages without a time or a direction."""
        yield from self._selection.warnings()
        if unknown := self._seen.unknown:
            yield (
                f"The participant of {counted(unknown, 'message')} is unknown. {UNKNOWN_DIRECTION} The column "
                "participant is empty there."
            )

    def _in_direction(self, page: Page) -> Page:
        """Leave out the messages of the other direction, which a batch of unknown direction may contain."""
        if self._reading["direction"] is None:
            return page
        directions = [route.direction for route in page.routes]
        if not {"mt", "mo"}.issuperset(directions):
            raise IP1ResponseError(f"{UNKNOWN_DIRECTION} Leave out the argument direction.")
        return page.only([at for at, direction in enumerate(directions) if direction == self._reading["direction"]])
