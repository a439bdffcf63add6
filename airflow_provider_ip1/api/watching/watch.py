# SPDX-License-Identifier: Apache-2.0
"""
What a wait looks at: the queries of a poll, and what it found.

:meth:`Watch.poll` is a generator, like httpx's ``Auth.auth_flow``: it yields queries and receives responses. A sensor
sends the queries with the synchronous hook, a trigger with the asynchronous one. Nothing in this folder does I/O or
looks at a clock.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeAlias

from airflow_provider_ip1.api.paging.listing import Listing, batch_message_list, conversation_lists
from airflow_provider_ip1.api.timestamps import LATEST_TIME

#: Messages per request when a poll reads a whole batch, so that even a large one takes few requests.
BATCH_PAGE_SIZE: Final = 1000

Verdict = Literal["waiting", "success", "failure", "timeout"]


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """Read one message. The response is the message, if iP.1 knows it."""

    batch_id: str
    message_id: str


Query: TypeAlias = Listing | ReadMessage
"""What to read: a list, whose pages are the responses, or a message."""


def read_conversation(participant: str, direction: str | None = None, page_size: int | None = None) -> Listing:
    """
    Describe a conversation, newest messages first.

    :param participant: phone number with country code, or sender name.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` (default) for both.
    :param page_size: messages per request; ``None`` (default) for the connection's setting.
    """
    (listing,) = conversation_lists([participant], direction=direction, order="DESC", page_size=page_size)
    return listing


def read_batch(batch_id: str) -> Listing:
    """Describe the messages of a batch."""
    return batch_message_list(batch_id, page_size=BATCH_PAGE_SIZE)


@dataclass(frozen=True, slots=True)
class PollResult:
    """
    What a poll found, and so how a wait ended.

    :param verdict: whether to keep waiting. Only a wait decides that its time is up.
    :param messages: the messages that the wait is about, as a task returns them: JSON values without personal data.
    :param text: the same in words, or nothing, without message texts and complete phone numbers. The wait logs it when
        it changes. A failure begins with the status.
    :param warnings: texts to log as warnings. A watch returns each of them once.
    :param has_more: whether the poll left something to the next one, which should therefore follow at once.
    """

    verdict: Verdict
    messages: list[dict[str, Any]]
    text: str
    warnings: tuple[str, ...] = ()
    has_more: bool = False


class Watch(Protocol):
    """
    What a wait looks at, from poll to poll.

    ``title`` completes "Waiting for ...", and ``subject`` "iP.1 has not known ...".
    """

    title: str
    subject: str

    def poll(self, latest: datetime = LATEST_TIME) -> Generator[Query | PollResult, Any, None]:
        """
        Look once.

        Send each response to the current query, and ``None`` after the last one. If the generator yields the same query
        object again, it wants the next response; otherwise it has seen enough and this is the next query. In the end it
        yields a :class:`PollResult`. If a query fails, drop the generator: it changes the watch only in its last step.

        :param latest: the latest plausible time, a day from now. Later ones are unreadable, as are those before 2000.
        :return: a generator of queries and one result.
        """

    def to_dict(self) -> dict[str, Any]:
        """:return: the arguments, as JSON values, with which another process makes an equal watch."""
