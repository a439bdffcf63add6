# SPDX-License-Identifier: Apache-2.0
"""Waiting for an SMS from a participant."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.watching.cursor import Cursor, IncomingSms
from airflow_provider_ip1.api.watching.pattern import Pattern
from airflow_provider_ip1.api.watching.watch import PollResult, Query, count_text

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message


class IncomingWatch:
    """
    The wait for the first SMS from a participant that matches a pattern, from poll to poll.

    :param participant: phone number with country code, or sender name.
    :param since: messages received before this time do not count; aware.
    :param pattern: a regular expression; ``None`` for any text.
    :param state: what :meth:`state` returned in another process.
    :raises IP1ParticipantError: the participant cannot be used.
    :raises ValueError: the pattern is not a regular expression.
    """

    def __init__(
        self, participant: str, since: datetime, pattern: str | None = None, state: Mapping[str, Any] | None = None
    ) -> None:
        self.pattern = pattern
        self.since = since
        self._compiled = None if pattern is None else Pattern(pattern)
        self._cursor = Cursor(participant, since, None if state is None else state["cursor"])
        # how many messages did not match so far
        self._others: int = 0 if state is None else state["others"]
        self._text = ""

    @property
    def participant(self) -> str:
        """The participant, normalized."""
        return self._cursor.participant

    @property
    def subject(self) -> str:
        """The participant in words, masked."""
        return f"SMS from {mask_number(self.participant)}"

    @property
    def title(self) -> str:
        """What the wait is for, in words."""
        matching = "" if self.pattern is None else " that matches the pattern"
        return f"an {self.subject}{matching}, received since {self.since:%Y-%m-%d %H:%M:%S} UTC"

    def state(self) -> dict[str, Any]:
        """
        What another process needs in order to continue this watch.

        :return: the ``cursor`` and the number of ``others`` that did not match, as JSON values without personal data.
        """
        return {"cursor": self._cursor.state(), "others": self._others}

    def poll(self) -> Generator[Query | PollResult, Any, None]:
        """
        Look for new messages once, as :meth:`Watch.poll <airflow_provider_ip1.api.watching.watch.Watch.poll>` does.

        Of several messages that match, the oldest one counts, as if each had been looked at when it arrived.

        :return: a generator of queries and one result.
        :raises IP1Error: the search for the pattern takes too long.
        :raises IP1ResponseError: iP.1's list cannot be used.
        """
        steps = self._cursor.poll()
        step = next(steps)
        while not isinstance(step, tuple):
            step = steps.send((yield step))
        yield self._result(step)

    def _result(self, new: tuple[Message, ...]) -> PollResult:
        for message in new:
            groups = () if self._compiled is None else self._compiled.groups_in(message.body or "")
            if groups is not None:
                found = IncomingSms.of(message, self.participant, groups)
                text = f"Message {found.message_id} was received at {found.received_text}"
                return PollResult("reached", (found,), text, has_changed=True, warnings=())
            self._others += 1
        text = f"No {self.subject} so far"
        if self._others:
            text = f"{count_text(self._others, 'message')} from {mask_number(self.participant)}, but none that matches"
        has_changed, self._text = text != self._text, text
        return PollResult("waiting", (), text, has_changed, warnings=())
