# SPDX-License-Identifier: Apache-2.0
"""Where an export reads its messages from: the conversations of given participants, or every batch of the account."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.checkpoint.increment import (
    AccountIncrement,
    ConversationIncrement,
    Row,
    closing_time,
    rows_of,
)
from airflow_provider_ip1.api.checkpoint.state import State
from airflow_provider_ip1.api.paging.listing import (
    BATCHES_PER_PAGE,
    AccountMessages,
    Listing,
    Lists,
    account_messages,
    batch_list,
)
from airflow_provider_ip1.api.paging.newest_first import NewestBatchesFirst
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.participant_search import UNKNOWN_DIRECTION, SeenParticipants
from airflow_provider_ip1.api.requests import normalize_participants
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.exceptions import IP1NotFoundError, IP1ResponseError
from airflow_provider_ip1.template_values import refuse_printed_list, required_text
from airflow_provider_ip1.transfers.selection import Selection

if TYPE_CHECKING:
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.transfers.options import ExportOptions


class ConversationReader:
    """
    Reads the conversations of given participants, one after the other.

    :param participant: a phone number with country code or a sender name, or a list of them. Integers are read as phone
        numbers, because native rendering of templates turns digits into integers.
    :param options: the options of the export.
    :raises ValueError: the participant is empty or of another type.
    :raises IP1ParticipantError: one of them cannot be a participant.
    """

    dataset: ClassVar = "v2/conversations"
    """Name of the dataset in OpenLineage, below the base URL."""
    selecting_arguments: ClassVar = "participant, direction, since and until"
    """The arguments that decide which messages are exported, for errors."""
    new_participants: ClassVar[list[str]] = []
    """The participants of the last page's selected messages that no page before had, unless known before."""

    def __init__(self, participant: object, options: ExportOptions) -> None:
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
        self.participants = tuple(dict.fromkeys(normalize_participants(texts)))
        """The participants that are known before anything is read, normalized."""
        self.state_names = self.participants
        """The names of the states that a checkpoint holds: the participants, or one name for the account."""
        self.description = counted(len(self.participants), "conversation")
        """What is going to be read, or was read, such as ``3 conversations``."""
        self._options = options
        self._latest = datetime.now(UTC) + timedelta(days=1)
        self._selection = Selection(options.window, self._latest)
        self._with_messages = 0
        self._progress = _Progress()

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read.

        :param hook: sends the requests.
        :return: each page, and the page with only the messages that belong in the object, which may be none.
        """
        with closing(hook.iter_pages_of(self.participants, **self._options.reading)) as pages:
            for page in pages:
                selected, is_last = self._selection.select(page)
                if is_last:
                    pages.skip_rest()
                self._with_messages += page.number == 0
                yield page, selected

    def increment(
        self, hook: IP1Hook, states: dict[str, State], started: datetime
    ) -> Generator[tuple[Page, Page], None, None]:
        """
        Read what is new since the last run.

        :param hook: sends the requests.
        :param states: what the run starts from. After everything was read, what the next run starts from.
        :param started: when the run began to read, by this machine's clock; aware.
        :return: like :meth:`pages`. If only a later page shows that messages are new, the first page is empty.
        """
        options, left = self._options, dict.fromkeys(self.participants)

        def begin(participant: str) -> ConversationIncrement:
            # The first response has shown iP.1's clock.
            now = started + hook.clock_offset
            return ConversationIncrement(states.get(participant), now, options.status_lookback, options.window.since)

        with closing(hook.iter_pages_of(self.participants, **options.reading)) as pages:
            for participant, pages_of_one in groupby(pages, lambda page: page.participant or ""):
                increment = begin(participant)
                for page in pages_of_one:
                    rows = increment.take(rows_of(page, self._latest), page.is_late)
                    if increment.is_done:
                        pages.skip_rest()
                    yield from _parts(page, rows)
                states[participant] = self._progress.end(increment)
                del left[participant]
        self._with_messages = len(self.participants) - len(left)
        for participant in left:
            states[participant] = self._progress.end(begin(participant))

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
        yield from self._progress.warnings("conversation", "message")


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
        self._latest = datetime.now(UTC) + timedelta(days=1)
        self.participants: tuple[str, ...] = ()
        self.state_names: tuple[str, ...] = ("account",)
        self.new_participants: list[str] = []
        self.description = "all messages of the account"
        self._options = options
        self._selection = Selection(replace(options.window, lookback=None), self._latest)
        self._newest_first: NewestBatchesFirst | None = None
        self._seen = SeenParticipants()
        self._batches = 0
        self._with_messages = 0
        self._empty: list[Batch] = []
        self._progress = _Progress()

    def pages(self, hook: IP1Hook) -> Generator[tuple[Page, Page], None, None]:
        """
        Read. Messages of the other direction are in neither page.

        :param hook: sends the requests.
        :raises IP1ResponseError: the export is limited to one direction, and the direction of a message is unknown.
        """
        for page in self._read(hook, self._lists_in_window()):
            wanted = self._in_direction(page)
            selected, _ = self._selection.select(wanted)
            self.new_participants = self._seen.new_in(selected)
            yield wanted, selected

    def increment(
        self, hook: IP1Hook, states: dict[str, State], started: datetime
    ) -> Generator[tuple[Page, Page], None, None]:
        """
        Read what is new since the last run, see :meth:`ConversationReader.increment`.

        :param hook: sends the requests.
        :param states: what the run starts from, and then what the next run starts from.
        :param started: when the run began to read.
        :raises IP1PagingError: iP.1 lists the oldest batch first.
        :raises IP1ResponseError: see :meth:`pages`.
        """
        options, (name,) = self._options, self.state_names
        with closing(hook.open_pages([batch_list(page_size=BATCHES_PER_PAGE)])) as pages:
            page = next(pages, None)
            now = started + hook.clock_offset
            increment = AccountIncrement[Batch](states.get(name), now, options.status_lookback, options.window.since)
            while page is not None:
                increment.take_list(page.batches, page.is_late)
                page = None if increment.has_list else next(pages, None)
        if increment.is_first:
            lists: Lists = self._lists_in_window()
        else:
            # What is not on the list was remembered, so it was sent. Received messages do not change.
            direction = options.one_direction or "mt"
            again = (batch or Batch(key, direction=direction) for key, batch in increment.again.items())
            lists = list(self._account_messages().lists_of([*increment.new, *again]))
        for page in self._read(hook, lists):
            wanted, batch = self._in_direction(page), cast(Batch, page.batch)
            rows = increment.take(batch.id, rows_of(wanted, self._latest), closing_time(batch))
            selected = wanted.only([row.place[1] for row in rows])
            self.new_participants = self._seen.new_in(selected)
            yield wanted, selected
        for batch in self._empty:
            increment.take_empty(batch.id, closing_time(batch))
        states[name] = self._progress.end(increment)

    def _account_messages(self) -> AccountMessages:
        reading = self._options.reading
        return account_messages(**{key: reading[key] for key in ("direction", "order", "page_size")})

    def _lists_in_window(self) -> AccountMessages:
        """Return the lists of messages of all batches, of which :meth:`_read` leaves out those before the window."""
        lists, window = self._account_messages(), self._options.window
        if window.since is not None and window.lookback is not None:
            self._newest_first = NewestBatchesFirst(window.since, window.lookback, self._latest)
            with suppress(OverflowError):
                lists = replace(lists, since=window.since - window.lookback)
        return lists

    def _read(self, hook: IP1Hook, lists: Lists) -> Iterator[Page]:
        """Read the messages of batches."""
        with closing(hook.open_pages(lists, self._options.concurrency)) as pages:
            for page in pages:
                if self._newest_first is not None and self._newest_first.ends_before(page):
                    break
                self._with_messages += page.number == 0
                yield page
            self._batches += pages.lists_read
        self.description = counted(self._batches, "batch", "batches")
        for listing in pages.empty_lists:
            yield from self._ask_again(hook, listing)

    def _ask_again(self, hook: IP1Hook, listing: Listing) -> Iterator[Page]:
        """Read a listed batch that had no messages, because a single 404 of many may not be iP.1's."""
        with closing(hook.open_pages([listing])) as pages:
            for page in pages:
                self._with_messages += page.number == 0
                yield page
        if not pages.empty_lists:
            return
        # A batch that is gone by now had no messages to export.
        with suppress(IP1NotFoundError):
            batch = hook.get_batch(cast(Batch, listing.batch).id)
            self._empty.append(batch)
            if any(count.messages for count in (batch.message_summary or {}).values()):
                raise IP1ResponseError(
                    f"iP.1 has no messages for batch {batch.id!r} (404), but its summary counts some. No object was "
                    "written. Run the task again. If the error stays, ask iP.1's support."
                )

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
        yield from self._progress.warnings("account", "batch")
        if unknown := self._seen.unknown:
            yield (
                f"The participant of {counted(unknown, 'message')} is unknown. {UNKNOWN_DIRECTION} The column "
                "participant is empty there."
            )

    def _in_direction(self, page: Page) -> Page:
        """Leave out the messages of the other direction, which a batch of unknown direction may contain."""
        if (wanted := self._options.one_direction) is None:
            return page
        directions = [route.direction for route in page.routes]
        if not {"mt", "mo"}.issuperset(directions):
            raise IP1ResponseError(f"{UNKNOWN_DIRECTION} Leave out the argument direction.")
        return page.only([at for at, direction in enumerate(directions) if direction == wanted])


Reader: TypeAlias = ConversationReader | AccountReader
"""Reads, once, what an export writes. The members without an underscore mean the same in both."""


class _Progress:
    """Counts what is remarkable in the increments of an export."""

    def __init__(self) -> None:
        self._given_up = self._missing = self._over = 0

    def end(self, increment: ConversationIncrement | AccountIncrement[Batch]) -> State:
        """Return the state after an increment that is complete."""
        state = increment.end()
        self._given_up += increment.given_up
        self._missing += increment.place.is_missing
        self._over += increment.place.starts_over
        return state

    def warnings(self, what: str, row: str) -> Iterator[str]:
        """Return a sentence for each kind."""
        if self._given_up:
            yield (
                f"Stopped waiting for a final status of {counted(self._given_up, 'message')}: none came within "
                "status_lookback. A later status is not exported."
            )
        if self._missing:
            yield (
                f"iP.1 listed nothing for {counted(self._missing, what)}, although the checkpoint knows some of it. "
                "The checkpoint was left as it was there."
            )
        if self._over:
            yield (
                f"iP.1 listed no {row} that the checkpoint knows for {counted(self._over, what)}. Everything there was "
                "exported again."
            )


def _parts(page: Page, rows: Sequence[Row]) -> Iterator[tuple[Page, Page]]:
    """Return a page with its rows to export, after rows of earlier pages, whose place is known only now."""
    by_page: dict[int, list[Row]] = {}
    for row in rows:
        by_page.setdefault(id(row.place[0]), []).append(row)
    own = by_page.pop(id(page), [])
    for earlier in by_page.values():
        yield page.only([]), earlier[0].place[0].only(sorted(row.place[1] for row in earlier))
    yield page, page.only(sorted(row.place[1] for row in own))
