# SPDX-License-Identifier: Apache-2.0
"""What an export tells: its result and its log. It looks at each page once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ip1.api.decoding import decode_message, undocumented_names
from airflow_provider_ip1.api.json_text import BytesLike
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.participant_search import UNKNOWN_DIRECTION
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.requests import Direction, normalize_participant
from airflow_provider_ip1.api.status import status_category
from airflow_provider_ip1.api.timestamps import is_plausible
from airflow_provider_ip1.api.wording import counted, rate_text
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ParticipantError, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.transfers.options import ExportOptions

_FINAL_CODES: Final = frozenset(code for code in range(1000) if status_category(code) != "pending")
#: How far iP.1's clock and this machine's may differ.
_CLOCK_DIFFERENCE: Final = timedelta(minutes=5)


def start_line(what: str, options: ExportOptions, uri: str) -> str:
    """
    Describe an export that starts.

    :param what: what is exported, such as ``3 conversations``.
    :param options: the options of the export.
    :param uri: the address of the object.
    """
    parts, window = [f"Exporting {what}"], options.window
    if options.one_direction is not None:
        parts.append("sent messages only" if options.one_direction == "mt" else "received messages only")
    if options.checkpoint_address is not None:
        parts.append("what is new since the last run")
    elif window.since is not None:
        parts.append(f"modified from {window.since.isoformat()}")
    if window.until is not None:
        parts.append(f"modified before {window.until.isoformat()}")
    redacted = ", ".join(f"{field} ({action})" for field, action in options.rules.items())
    parts.append(f"redacting {redacted}" if redacted else "without redaction")
    return f"{', '.join(parts)}, as {options.file_format} to {uri}"


class Report:
    """
    Counts what an export reads and writes, and collects what iP.1 does not document.

    :param check: compares the number of messages with iP.1's, if the export verifies it.
    """

    def __init__(self, check: TotalCheck | None = None) -> None:
        self.messages = 0
        """Messages written."""
        self._check = check
        self._latest = datetime.now(UTC) + timedelta(days=1)
        self._pages = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._pending = 0
        self._oldest_pending: datetime | None = None
        self._undocumented: set[str] = set()
        self._implausible = 0

    def add(self, page: Page, selected: Page) -> None:
        """
        Count one page.

        :param page: the page as it was read; an empty one if the selected messages are of a page that was added before.
            Of the fields, only those of its first message are compared, because a new field appears in all messages.
        :param selected: the part of it that belongs in the object.
        """
        self._pages += bool(page)
        self.messages += len(selected)
        if times := self._plausible_range(selected):
            self._first = times[0] if self._first is None else min(self._first, times[0])
            self._last = times[1] if self._last is None else max(self._last, times[1])
        for index in pending_indexes(page):
            self._pending += 1
            time = page.modified[index]
            if is_plausible(time, self._latest) and (self._oldest_pending is None or time < self._oldest_pending):
                self._oldest_pending = time
        if page:
            self._undocumented |= undocumented_names(page.raws[0])
            if (found := page.modified_range) and not all(is_plausible(time, self._latest) for time in found):
                times_read = [time for time in page.modified if time is not None]
                self._implausible += sum(not is_plausible(time, self._latest) for time in times_read)
        if self._check is not None:
            self._check.add(page)

    def verify(self) -> None:
        """
        Compare the totals, after everything was read and before the object is written.

        :raises IP1PagingError: a conversation has another number of messages.
        :raises IP1ResponseError: the totals cannot be compared.
        """
        if self._check is not None:
            self._check.verify()

    @property
    def result(self) -> dict[str, Any]:
        """The counts as they appear in the operator's result. Times are ISO 8601 text."""
        return {
            "messages": self.messages,
            "pages": self._pages,
            "first_modified": self._first and self._first.isoformat(),
            "last_modified": self._last and self._last.isoformat(),
            "pending": self._pending,
            "oldest_pending": self._oldest_pending and self._oldest_pending.isoformat(),
        }

    def warnings(self) -> Iterator[str]:
        """Return a sentence for each kind of thing that iP.1 does not document."""
        if self._undocumented:
            names = ", ".join(mask_number(name) for name in sorted(self._undocumented))
            yield (
                f"iP.1 sent fields that it does not document: {names}. The object contains them. Redaction changes "
                "them only where they contain a redacted text."
            )
        if self._implausible:
            yield (
                f"iP.1 sent a time of modification before the year 2000 or more than a day ahead for "
                f"{counted(self._implausible, 'message')}. The export treats these times as missing."
            )

    def final_line(self, what: str, size: int, seconds: float, uri: str) -> str:
        """
        Describe an export that succeeded.

        :param what: what was read, such as ``3 conversations``.
        :param size: size of the object in bytes.
        :param seconds: duration of the export.
        :param uri: the object's address.
        """
        rate = rate_text(self.messages, "message", seconds)
        return (
            f"Wrote {counted(self.messages, 'message')} of {what}, {counted(size, 'byte')}, in {seconds:.1f} s"
            f"{f' ({rate})' if rate else ''} to {uri}"
        )

    def _plausible_range(self, page: Page) -> tuple[datetime, datetime] | None:
        """Return the earliest and the latest plausible time of modification; ``None`` if no message has one."""
        if (found := page.modified_range) and all(is_plausible(time, self._latest) for time in found):
            return found
        times = [time for time in page.modified if is_plausible(time, self._latest)]
        return (min(times), max(times)) if times else None


def pending_indexes(page: Page) -> list[int]:
    """
    Find the sent messages whose latest status is of the category ``pending``.

    Most messages have one final status. Only the others are decoded.

    :param page: a page.
    :return: the indexes of these messages. A message whose status is missing or unreadable is not among them.
    """
    codes = page.status_codes or (None,) * len(page)
    if _FINAL_CODES.issuperset(codes):
        return []
    return [
        index for index, code in enumerate(codes) if code not in _FINAL_CODES and _is_pending(page, page.raws[index])
    ]


def _is_pending(page: Page, raw: BytesLike) -> bool:
    try:
        message = decode_message(raw, participant=page.participant, direction=page.direction)
    except IP1ResponseError:
        return False
    return message.status_category == "pending" and message.direction != "mo"


class TotalCheck:
    """
    Checks with ``/summary`` that every message was read (``verify_total``).

    New messages may arrive meanwhile. A conversation that is known before must have at least as many messages as the
    summary showed before, and at most as many as the summary shows afterwards. For an account, the participants are
    known only afterwards. Then the messages that were not read must be the newest ones of the conversation, and new.

    :param hook: the hook.
    :param participants: the participants, normalized; empty for an account. Their summaries are requested at once.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` for both.
    :raises IP1Error: iP.1 did not return a summary.
    """

    def __init__(self, hook: IP1Hook, participants: Sequence[str], direction: Direction | None) -> None:
        self._hook = hook
        self._direction = direction
        self._new_from = datetime.now(UTC) - _CLOCK_DIFFERENCE
        self._before = {participant: self._count(participant) for participant in participants}
        self._read = Counter[str](dict.fromkeys(participants, 0))

    def add(self, page: Page) -> None:
        """
        Count one page.

        :param page: the page as it was read, without messages of another direction.
        :raises IP1ResponseError: a message has no other side whose summary could be requested.
        """
        if page.participant is not None:
            self._read[page.participant] += len(page)
            return
        for _, participant in page.routes:
            if participant is None:
                raise _cannot_verify(UNKNOWN_DIRECTION)
            try:
                known = normalize_participant(participant)
            except IP1ParticipantError:
                known = None
            if known is None:
                raise _cannot_verify(
                    "The other side of a message cannot be the participant of a conversation. Usually its number lacks "
                    "the country code."
                )
            self._read[known] += 1

    def verify(self) -> None:
        """
        Compare, after everything was read.

        :raises IP1PagingError: a conversation has another number of messages, and new messages cannot explain that.
        :raises IP1ResponseError: there is nothing to compare.
        :raises IP1Error: iP.1 did not return a summary.
        """
        if not self._read:
            raise _cannot_verify("The batches contain no message, so there is no conversation to compare with.")
        for participant, read in self._read.items():
            before = self._before.get(participant)
            if read == before:
                continue
            after = self._count(participant)
            if before is not None:
                if not before <= read <= after:
                    self._fail(
                        participant,
                        f"read {read} messages, but iP.1's summary counted {before} before and {after} afterwards.",
                    )
            elif read > after or (read < after and not self._are_new(participant, after - read)):
                self._fail(
                    participant,
                    f"the batches of the account contain {read} of its messages, but iP.1's summary counts {after}.",
                    "the batches do not contain every message: export the conversations instead, ",
                )

    def _fail(self, participant: str, difference: str, cause: str = "") -> None:
        raise IP1PagingError(
            f"Conversation {mask_number(participant)}: {difference} New messages cannot explain that. No object was "
            f"written. Run the task again. If the difference stays, {cause}ask iP.1's support, or set "
            "verify_total=False."
        )

    def _are_new(self, participant: str, count: int) -> bool:
        """Return whether the newest messages of a conversation were created since the export began."""
        with closing(self._hook.iter_pages_of([participant], direction=self._direction, order="DESC")) as pages:
            times = chain.from_iterable(page.modified for page in pages)
            newest = list(islice(times, count))
        # A conversation that is suddenly empty shows nothing.
        return len(newest) == count and all(time is not None and time >= self._new_from for time in newest)

    def _count(self, participant: str) -> int:
        summary = self._hook.get_summary(participant)
        sent, received = (
            sum(count.messages or 0 for count in by_status.values())
            for by_status in (summary.mobile_terminated, summary.mobile_originated)
        )
        total = summary.total_messages
        if total is None or (self._direction is not None and sent + received != total):
            raise _cannot_verify(
                f"iP.1's summary of conversation {mask_number(participant)} lacks the number of messages."
            )
        return total if self._direction is None else sent if self._direction == "mt" else received


def _cannot_verify(reason: str) -> IP1ResponseError:
    return IP1ResponseError(
        f"verify_total: the number of messages cannot be verified. {reason} Set verify_total=False."
    )
