# SPDX-License-Identifier: Apache-2.0
"""Waiting for one SMS, and watching for all of them without end: from a participant, or from anyone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.routes import normalize_address
from airflow_provider_ip1.api.timestamps import LATEST_TIME
from airflow_provider_ip1.api.watching.account_cursor import AccountCursor
from airflow_provider_ip1.api.watching.cursor import Cursor, Start, received_at
from airflow_provider_ip1.api.watching.pattern import Pattern
from airflow_provider_ip1.api.watching.watch import PollResult, Query
from airflow_provider_ip1.api.wording import counted

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message

#: Seconds from an event until its position is saved. Airflow stores an event within a second or two, without telling
#: the trigger. If the triggerer ends before the position is saved, the next triggerer sends the event again.
SAVE_AFTER: Final = 20.0
#: The most messages that an event lists. Its ``count`` includes the others.
MAX_LISTED: Final = 20


class _InboxWatch:
    """The incoming messages of a participant, or of the account, from poll to poll."""

    def __init__(self, participant: str | None, start: Start | datetime, state: Mapping[str, Any] | None) -> None:
        self._cursor = AccountCursor(start, state) if participant is None else Cursor(participant, start, state)
        #: The participant, normalized; ``None`` for the whole account.
        self.participant = self._cursor.participant
        self._inbox = "to the account" if self.participant is None else f"from {mask_number(self.participant)}"
        #: The messages, and what to wait for, in words, with a masked number.
        self.subject = self.title = f"SMS {self._inbox}"


class IncomingWatch(_InboxWatch):
    """
    The wait for the first SMS that matches a pattern, from poll to poll.

    :param participant: phone number with country code, or sender name; ``None`` for an SMS from anyone.
    :param since: messages received before this time do not count; an aware time, or seconds since 1970.
    :param pattern: a regular expression; ``None`` (default) for any text.
    :param state: what the watch of another process has seen, see :meth:`to_dict`.
    :raises IP1ParticipantError: the participant cannot be used.
    :raises ValueError: the pattern is not a regular expression.
    """

    def __init__(
        self,
        participant: str | None,
        since: datetime | float,
        pattern: str | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.pattern = pattern
        self.since = since if isinstance(since, datetime) else datetime.fromtimestamp(since, UTC)
        self._compiled = None if pattern is None else Pattern(pattern)
        super().__init__(participant, self.since, None if state is None else state["cursor"])
        matching = "" if pattern is None else " that matches the pattern"
        self.title = f"an {self.subject}{matching}, received since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        # how many messages did not match so far
        self._others: int = 0 if state is None else state["others"]

    def to_dict(self) -> dict[str, Any]:
        """
        Describe this watch for another process.

        :return: the arguments as JSON values. The ``state`` consists of the ``cursor`` and the number of ``others``
            that did not match.
        """
        return {
            "participant": self.participant,
            "since": self.since.timestamp(),
            "pattern": self.pattern,
            "state": {"cursor": self._cursor.state(), "others": self._others},
        }

    def poll(self, latest: datetime = LATEST_TIME) -> Generator[Query | PollResult, Any, None]:
        """
        Look for new messages once, as :meth:`Watch.poll <airflow_provider_ip1.api.watching.watch.Watch.poll>` does.

        Of several messages that match, the oldest one counts, as if each had been looked at when it arrived.

        :param latest: the latest plausible time: a day from now.
        :return: a generator of queries and one result.
        :raises IP1Error: the search for the pattern takes too long.
        :raises IP1ResponseError: iP.1's list cannot be used.
        """
        yield self._result((yield from self._cursor.poll(latest)), latest)

    def _result(self, new: tuple[Message, ...], latest: datetime) -> PollResult:
        for message in new:
            groups = () if self._compiled is None else self._compiled.groups_in(message.body or "")
            if groups is not None:
                found = describe_sms(message, self.participant, latest, groups)
                received = received_at(message, latest)
                time = "an unknown time" if received is None else f"{received:%Y-%m-%d %H:%M:%S} UTC"
                text = f"Message {found['message_id']} was received at {time}"
                return PollResult("success", [found], text)
            self._others += 1
        text = f"No {self.subject} so far"
        if self._others:
            text = f"{counted(self._others, 'message')} {self._inbox}, but none that matches"
        return PollResult("waiting", [], text, self._cursor.warnings, self._cursor.has_more)


class ArrivalWatch(_InboxWatch):
    """
    The incoming messages, from poll to poll, and the positions that a trigger saves.

    :param participant: phone number with country code, or sender name; ``None`` for the messages from everyone.
    :param start: where to begin without a state, see
        :class:`~airflow_provider_ip1.api.watching.cursor.ListCursor`.
    :param state: the position that was saved last; ``None`` if there is none.
    :raises IP1ParticipantError: the participant cannot be used.
    """

    def __init__(
        self, participant: str | None, start: Start | datetime, state: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(participant, start, state)
        self._saved = None if state is None else self._cursor.state()
        # When to save which position.
        self._unsaved: deque[tuple[float, dict[str, Any]]] = deque()

    def to_dict(self) -> dict[str, Any]:
        """:return: the participant and the position, as JSON values."""
        return {"participant": self.participant, "state": self._cursor.state()}

    def poll(self, latest: datetime = LATEST_TIME) -> Generator[Query | PollResult, Any, None]:
        """
        Read the new messages, as :meth:`Watch.poll <airflow_provider_ip1.api.watching.watch.Watch.poll>` does.

        :param latest: the latest plausible time: a day from now.
        :return: a generator of queries and one result, whose messages are the new ones, oldest first.
        :raises IP1PagingError: there are too many messages to read.
        :raises IP1ResponseError: iP.1's list cannot be used.
        """
        new = yield from self._cursor.poll(latest)
        messages = [describe_sms(message, self.participant, latest) for message in new]
        yield PollResult("waiting", messages, "", self._cursor.warnings, self._cursor.has_more)

    @property
    def save_at(self) -> float:
        """When the next position is to be saved, in seconds since 1970."""
        return self._unsaved[0][0] if self._unsaved else math.inf

    def due_position(self, result: PollResult | None, now: float) -> dict[str, Any] | None:
        """
        Return the position to save now, if any. A position is saved some time after its event, the others at once.

        :param result: what a poll has just found; ``None`` without a poll that succeeded.
        :param now: seconds since 1970.
        """
        position = None
        if result is not None:
            current = self._cursor.state()
            if result.messages:
                self._unsaved.append((now + SAVE_AFTER, current))
            elif not self._unsaved and current != self._saved:
                position = current
        while self.save_at <= now:
            _, position = self._unsaved.popleft()
        return position

    def has_saved(self, position: dict[str, Any]) -> None:
        """Note that a position was saved. Otherwise :meth:`due_position` returns it again after the next poll."""
        self._saved = position


def arrival_event(result: PollResult) -> dict[str, Any]:
    """
    Describe new messages in an event of at most 4 KB, without texts and numbers.

    :param result: what a poll found: at least one message.
    :return: their ``count``, the times ``first_received`` and ``last_received``, and the newest ``messages``.
    """
    times = sorted(message["received"] for message in result.messages if message["received"] is not None)
    return {
        "count": len(result.messages),
        "first_received": times[0] if times else None,
        "last_received": times[-1] if times else None,
        "messages": [
            {name: message[name] for name in ("message_id", "batch_id", "received")}
            for message in result.messages[-MAX_LISTED:]
        ],
    }


def describe_sms(
    message: Message, participant: str | None, latest: datetime, groups: tuple[str, ...] = ()
) -> dict[str, Any]:
    """
    Describe a message for XCom and events, without its text and without phone numbers.

    :param message: the message.
    :param participant: its sender, normalized; ``None`` for the one in the message. The number is masked if an id
        contains it.
    :param latest: the latest plausible time.
    :param groups: the names of the groups of a pattern that matched its text.
    """
    number = participant or normalize_address(message.sender or "") or "\0"
    masked = mask_number(number)
    received = received_at(message, latest)
    return {
        "message_id": message.id.replace(number, masked),
        "batch_id": message.batch_id and message.batch_id.replace(number, masked),
        "received": None if received is None else received.isoformat(),
        "groups": [*groups],
    }
