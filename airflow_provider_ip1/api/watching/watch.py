# SPDX-License-Identifier: Apache-2.0
"""
Polling the watched messages: what to ask iP.1 for, and what the responses mean.

:meth:`Watch.poll` is a generator, like httpx's ``Auth.auth_flow``: it yields queries and receives responses. The sensor
sends the queries with the synchronous hook, the trigger with the asynchronous one. Nothing in here does I/O or looks at
a clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.status import KNOWN_CODES, is_terminal, status_category, status_name
from airflow_provider_ip1.api.watching.status_rule import StatusRule, Verdict
from airflow_provider_ip1.api.watching.target import Target
from airflow_provider_ip1.exceptions import IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message, MessageStatus
    from airflow_provider_ip1.api.paging.page import Page
    from airflow_provider_ip1.api.requests import Direction

Require = Literal["all", "any"]

#: Messages per request when a poll reads a whole batch, so that even a large one takes few requests.
BATCH_PAGE_SIZE = 1000

_SHOWN_MESSAGES = 5


def check_require(require: str) -> Require:
    """
    Check how many of the watched messages have to reach an expected status.

    :param require: ``"all"`` or ``"any"``.
    :return: the argument.
    :raises ValueError: it is something else.
    """
    if require == "all" or require == "any":
        return require  # type: ignore[return-value]  # mypy does not narrow a str to literals here
    raise ValueError(f"require must be 'all' or 'any', not {require!r}")


def check_expected_count(expected_count: int | str | None, target: Target) -> int | None:
    """
    Check how many messages have to exist before all of them can have reached an expected status.

    :param expected_count: 1 or more, as text too, because templates render text. ``None`` means that it is unknown.
    :param target: the messages to watch.
    :return: the number.
    :raises ValueError: it is not such a number, or the target is a single message.
    """
    if expected_count is None:
        return None
    if target.is_single_message:
        raise ValueError("expected_count is for a batch or a reference: leave it out when you give a message_id")
    text = str(expected_count).strip()
    if isinstance(expected_count, bool) or not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ValueError(mask_number(f"expected_count must be a whole number of 1 or more, not {expected_count!r}."))
    return int(text)


@dataclass(frozen=True, slots=True)
class ReadConversation:
    """
    Read a conversation, newest messages first. The responses are its pages.

    :param participant: phone number with country code, or sender name.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` (default) for both.
    :param page_size: messages per request; ``None`` (default) for the connection's setting.
    """

    participant: str
    direction: Direction | None = None
    page_size: int | None = None


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Read the messages of a batch. The responses are the messages."""

    batch_id: str


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """Read one message. The response is the message, if iP.1 knows it."""

    batch_id: str
    message_id: str


Query: TypeAlias = ReadConversation | ReadBatch | ReadMessage


class Reported(Protocol):
    """A message that a poll has found, as it appears in the result of a task."""

    def as_dict(self) -> dict[str, Any]:
        """:return: the message for XCom, as JSON values without personal data."""


@dataclass(frozen=True, slots=True)
class WatchedMessage:
    """
    The latest known state of a watched message.

    :param message_id: its id.
    :param batch_id: id of its batch.
    :param status: its latest status by time; ``None`` if it does not have one yet.
    :param recipient: the masked phone number.
    """

    message_id: str
    batch_id: str
    status: MessageStatus | None = None
    recipient: str = "?"

    @property
    def code(self) -> int | None:
        """The code of the status."""
        return None if self.status is None else self.status.code

    @property
    def status_text(self) -> str:
        """The status for logs and errors, such as ``202 Expired (undelivered)``."""
        if self.status is None:
            return "no status yet"
        name = status_name(self.status.code)
        return " ".join([str(self.status.code), *([name] if name else []), f"({self.status.category})"])

    def as_dict(self) -> dict[str, Any]:
        """:return: the message for XCom, as JSON values without personal data."""
        created = None if self.status is None else self.status.created
        return {
            "message_id": self.message_id,
            "batch_id": self.batch_id,
            "code": self.code,
            "category": None if self.status is None else self.status.category,
            "created": None if created is None else created.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class PollResult:
    """
    What a poll found.

    :param verdict: whether to keep waiting.
    :param messages: the messages that the wait is about.
    :param text: the same in words, without message texts and complete phone numbers. A failure begins with the status.
    :param has_changed: whether ``text`` differs from the previous poll's.
    :param warnings: texts to log as warnings. A watch returns each of them once.
    """

    verdict: Verdict
    messages: tuple[Reported, ...]
    text: str
    has_changed: bool
    warnings: tuple[str, ...]


class Pollable(Protocol):
    """
    Something to wait for.

    ``title`` completes "Waiting for ...", and ``subject`` "iP.1 has not known ...". :meth:`poll` is a generator as
    :meth:`Watch.poll` describes it.
    """

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def subject(self) -> str: ...  # noqa: D102

    def poll(self) -> Generator[Query | PollResult, Any, None]: ...  # noqa: D102


class Watch:
    """
    The watched messages, from poll to poll.

    :param target: the messages to watch.
    :param rule: what their statuses mean.
    :param require: with ``"all"`` (default), the first failure ends the wait. With ``"any"``, the wait fails when all
        messages have failed.
    :param expected_count: how many messages have to exist before the wait can end by all of them having reached an
        expected status (or, with ``"any"``, having failed). ``None`` (default) means that it is unknown.
    :param state: what :meth:`state` returned in another process.
    """

    def __init__(
        self,
        target: Target,
        rule: StatusRule,
        require: Require = "all",
        expected_count: int | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.target = target
        self.rule = rule
        self.require = require
        self.expected_count = expected_count
        state = state or {}
        # message id -> batch id
        self._found: dict[str, str] = {message_id: batch_id for batch_id, message_id in state.get("found", ())}
        self._newest: str | None = state.get("newest")
        self._warned: set[int] = set(state.get("warned", ()))
        # the largest number of messages that a poll has found
        self._count: int = state.get("count", 0)
        self._messages: dict[str, WatchedMessage] = {}
        self._text = ""
        if target.batch_id and target.message_id:
            self._found[target.message_id] = target.batch_id

    @property
    def title(self) -> str:
        """The messages and the statuses that they should reach, in words."""
        quantity = "all messages" if self.require == "all" else "any message"
        return f"{self.target.with_quantity(quantity)} to reach {self.rule.expected_text}"

    @property
    def subject(self) -> str:
        """The messages in words."""
        return str(self.target)

    @property
    def messages(self) -> tuple[WatchedMessage, ...]:
        """The messages that the last poll found."""
        return tuple(self._messages.values())

    def state(self) -> dict[str, Any]:
        """
        What another process needs in order to continue this watch.

        :return: ``found`` (pairs of batch id and message id), ``newest`` (id of the newest message of the conversation
            that was looked at), ``warned`` (status codes) and ``count`` (the largest number of messages that a poll
            has found), as JSON values without personal data.
        """
        return {
            "found": [[batch_id, message_id] for message_id, batch_id in self._found.items()],
            "newest": self._newest,
            "warned": sorted(self._warned),
            "count": self._count,
        }

    def poll(self) -> Generator[Query | PollResult, Any, None]:
        """
        Look at the watched messages once.

        Send each response to the current query, and ``None`` after the last one. If the generator yields the same query
        object again, it wants the next response; otherwise it has seen enough and this is the next query. In the end it
        yields a :class:`PollResult`. If a query fails, drop the generator: it changes the watch only in its last step.

        A message that is not known by its batch is searched for until it is found, then read by its id. A reference may
        get further messages at any time, so each poll looks at the newest pages of the conversation.

        :return: a generator of queries and one result.
        :raises IP1ResponseError: a watched message does not belong to a batch. Its status can therefore not be read.
        """
        polled: dict[str, WatchedMessage] = {}
        newest: str | None = None
        target = self.target
        if target.participant is not None and target.message_id not in self._found:
            conversation = ReadConversation(target.participant)
            page: Page | None
            while (page := (yield conversation)) is not None:
                newest = newest or page.ids[0]
                polled.update(self._search(page))
                # A later search ends at the message that used to be the newest. Older ones were looked at before.
                if target.message_id in polled or self._newest in page.ids:
                    break
        elif target.batch_id is not None and target.message_id is None:
            batch = ReadBatch(target.batch_id)
            message: Message | None
            while (message := (yield batch)) is not None:
                polled[message.id] = self._watched(message)
        for message_id, batch_id in self._found.items():
            if message_id not in polled and not self._has_arrived(message_id):
                if (message := (yield ReadMessage(batch_id, message_id))) is not None:
                    polled[message.id] = self._watched(message)
        yield self._result(polled, newest)

    def _search(self, page: Page) -> dict[str, WatchedMessage]:
        message_id = self.target.message_id
        if message_id is None:
            found = [message for message in page.messages if message.reference == self.target.reference]
        else:
            # Decode a page only if it contains the message.
            found = [page.messages[page.ids.index(message_id)]] if message_id in page.ids else []
        return {message.id: self._watched(message) for message in found}

    def _watched(self, message: Message) -> WatchedMessage:
        batch_id = message.batch_id or self.target.batch_id
        if batch_id is None:
            raise IP1ResponseError(
                f"iP.1 returned message {message.id} without a batch id, so its status cannot be read. "
                "Report the message id to iP.1."
            )
        recipient = mask_number(message.recipient) if message.recipient else "?"
        return WatchedMessage(message.id, batch_id, message.latest_status, recipient)

    def _has_arrived(self, message_id: str) -> bool:
        """Whether a message has an expected status that is final. Such a message is not read again."""
        message = self._messages.get(message_id)
        if message is None or message.code is None:
            return False
        return self.rule.verdict_for(message.code) == "reached" and is_terminal(status_category(message.code))

    def _result(self, polled: Mapping[str, WatchedMessage], newest: str | None) -> PollResult:
        known = self._messages | dict(polled)  # in the order in which they were found
        self._messages = {
            message_id: message
            for message_id, message in known.items()
            if message_id in polled or (message_id in self._found and self._has_arrived(message_id))
        }
        if self.target.participant is not None:
            self._found.update({message.message_id: message.batch_id for message in polled.values()})
            self._newest = newest or self._newest
        messages = self.messages
        verdict = self._verdict(messages)
        text = self._failure_text(messages) if verdict == "failed" else self._progress_text(messages)
        has_changed, self._text = text != self._text, text
        return PollResult(verdict, messages, text, has_changed, self._warnings(messages))

    def _verdict(self, messages: Sequence[WatchedMessage]) -> Verdict:
        verdicts = {self.rule.verdict_for(message.code) for message in messages}
        # A message that was found once and is missing now keeps the wait open.
        self._count = max(self._count, len(self._found), len(messages))
        is_complete = len(messages) >= max(self._count, self.expected_count or 0)
        decisive: Verdict = "failed" if self.require == "all" else "reached"
        unanimous: Verdict = "reached" if self.require == "all" else "failed"
        if decisive in verdicts:
            return decisive
        return unanimous if verdicts == {unanimous} and is_complete else "waiting"

    def _progress_text(self, messages: Sequence[WatchedMessage]) -> str:
        title = _capitalized(str(self.target))
        if not messages:
            return f"{title}: not known to iP.1 yet"
        counts = Counter(message.status_text for message in messages)
        shown = ", ".join(f"{count} x {text}" for text, count in sorted(counts.items()))
        if self.expected_count is None:
            return f"{title}: {shown}"
        return f"{title}: {shown}; {len(messages):,} of {count_text(self.expected_count, 'expected message')}"

    def _failure_text(self, messages: Sequence[WatchedMessage]) -> str:
        failed = [message for message in messages if self.rule.verdict_for(message.code) == "failed"]
        shown = "; ".join(
            f"{message.status_text}: message {message.message_id} of batch {message.batch_id} to {message.recipient}"
            for message in failed[:_SHOWN_MESSAGES]
        )
        more = f"; and {len(failed) - _SHOWN_MESSAGES} more" if len(failed) > _SHOWN_MESSAGES else ""
        return f"{shown}{more}. {len(failed)} of {count_text(len(messages), 'watched message')} failed."

    def _warnings(self, messages: Iterable[WatchedMessage]) -> tuple[str, ...]:
        unknown = {message.code for message in messages if message.code is not None} - KNOWN_CODES - self._warned
        self._warned |= unknown
        return tuple(
            f"iP.1 returned status code {code}, which it does not document. By its first digit it counts as "
            f"{status_category(code)}. Add it to expected or failed if it means something else to you."
            for code in sorted(unknown)
        )


def count_text(count: int, noun: str) -> str:
    """
    Put a count into words.

    :param count: how many.
    :param noun: the singular of a regular noun.
    :return: such as ``1 message`` or ``1,200 messages``.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
