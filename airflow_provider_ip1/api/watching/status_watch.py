# SPDX-License-Identifier: Apache-2.0
"""Waiting for messages to reach a status: which messages, what to ask iP.1 for, and what the responses mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence, Set
from dataclasses import InitVar, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.requests import check_id, normalize_participant
from airflow_provider_ip1.api.status import KNOWN_CODES, is_terminal, status_category, status_name
from airflow_provider_ip1.api.timestamps import LATEST_TIME
from airflow_provider_ip1.api.watching.status_rule import StatusArgument, StatusRule
from airflow_provider_ip1.api.watching.watch import (
    PollResult,
    Query,
    ReadMessage,
    Verdict,
    read_batch,
    read_conversation,
)
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.exceptions import IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message
    from airflow_provider_ip1.api.paging.page import Page

Require = Literal["all", "any"]

#: The arguments that select messages.
SELECTORS: Final = ("participant", "batch_id", "message_id", "reference")
_SELECTIONS: Final[Mapping[frozenset[str], str]] = {
    frozenset({"batch_id", "message_id"}): "batch_id and message_id",
    frozenset({"participant", "message_id"}): "participant and message_id",
    frozenset({"participant", "reference"}): "participant and reference",
    frozenset({"batch_id"}): "batch_id alone",
}
#: A later search also covers this many messages behind the one that used to be the newest. A server may list messages
#: of one creation time in an order that depends on the page, so a new one may be behind it, also on the next page.
TIED: Final = 10
_SHOWN_MESSAGES = 5
_SHOWN_REFERENCE = 60


def check_selection(names: Set[str]) -> None:
    """
    Check that the given arguments together select messages.

    :param names: the names of those among :data:`SELECTORS` that have a value.
    :raises ValueError: this combination does not select messages. The error lists the combinations that do.
    """
    if frozenset(names) not in _SELECTIONS:
        raise ValueError(
            f"Say which messages to watch with {', '.join(_SELECTIONS.values())}. "
            f"Given: {', '.join(sorted(names)) or 'none of them'}."
        )


def check_require(require: str) -> None:
    """
    Check how many of the watched messages have to reach an expected status.

    :param require: ``"all"`` or ``"any"``.
    :raises ValueError: it is something else.
    """
    if require not in ("all", "any"):
        raise ValueError(f"require must be 'all' or 'any', not {require!r}")


@dataclass(repr=False)
class StatusWatch:
    """
    The watched messages, from poll to poll.

    The other arguments are those of
    :class:`~airflow_provider_ip1.sensors.message_status.MessageStatusSensor` of the same names, which describes them.

    :param state: what the watch of another process has found, see :meth:`to_dict`.
    :raises ValueError: an argument is invalid, or they do not select messages. The error names the argument.
    :raises IP1ParticipantError: the participant cannot be used.
    """

    participant: str | None = None
    batch_id: str | None = None
    message_id: str | None = None
    reference: str | None = None
    expected: StatusArgument = "delivered"
    failed: StatusArgument | None = None
    require: str = "all"
    expected_count: int | str | None = None
    state: InitVar[Mapping[str, Any] | None] = None

    def __post_init__(self, state: Mapping[str, Any] | None) -> None:
        check_selection({name for name in SELECTORS if getattr(self, name) is not None})
        if self.participant is not None:
            self.participant = normalize_participant(self.participant)
        if self.batch_id is not None:
            self.batch_id = check_id(self.batch_id, "batch_id")
        if self.message_id is not None:
            self.message_id = check_id(self.message_id, "message_id")
        if self.reference is not None and (not isinstance(self.reference, str) or not self.reference):
            raise ValueError("reference must be a string that is not empty")
        check_require(self.require)
        self.rule = StatusRule(self.expected, self.failed)
        expected, failed = self.rule.as_lists()
        self.expected, self.failed = expected, failed
        quantity = "all messages" if self.require == "all" else "any message"
        if self.message_id is not None:
            #: The messages in words, without a complete phone number.
            self.subject = awaited = f"message {self.message_id}"
        elif self.reference is not None:
            selection = f"with reference {mask_number(self.reference)[:_SHOWN_REFERENCE]!r}"
            self.subject, awaited = f"messages {selection}", f"{quantity} {selection}"
        else:
            self.subject, awaited = f"batch {self.batch_id}", f"{quantity} of batch {self.batch_id}"
        #: The messages and the statuses that they should reach, in words.
        self.title = f"{awaited} to reach {' or '.join(map(str, expected))}"
        self._expected_count = self._checked_count()
        self.expected_count = self._expected_count or None
        state = state or {}
        # message id -> batch id
        self._found: dict[str, str] = {message_id: batch_id for batch_id, message_id in state.get("found", ())}
        self._newest: str | None = state.get("newest")
        self._warned: set[int] = set(state.get("warned", ()))
        # the largest number of messages that a poll has found
        self._count: int = state.get("count", 0)
        # message id -> the message, as a task returns it
        self._messages: dict[str, dict[str, Any]] = {}
        # message id -> phone number, not masked
        self._recipients: dict[str, str | None] = {}
        if self.batch_id and self.message_id:
            self._found[self.message_id] = self.batch_id

    def _checked_count(self) -> int:
        count, text = self.expected_count, str(self.expected_count).strip()
        if count is None:
            return 0
        if self.message_id is not None:
            raise ValueError("expected_count is for a batch or a reference: leave it out when you give a message_id")
        if isinstance(count, bool) or not (text.isascii() and text.isdigit()) or int(text) < 1:
            raise ValueError(mask_number(f"expected_count must be a whole number of 1 or more, not {count!r}."))
        return int(text)

    def to_dict(self) -> dict[str, Any]:
        """
        Describe this watch for another process.

        :return: the arguments as JSON values. The ``state`` consists of ``found`` (pairs of batch id and message id),
            ``newest`` (id of the newest message of the conversation that was looked at), ``warned`` (status codes) and
            ``count`` (the largest number of messages that a poll has found).
        """
        state = {
            "found": [[batch_id, message_id] for message_id, batch_id in self._found.items()],
            "newest": self._newest,
            "warned": sorted(self._warned),
            "count": self._count,
        }
        return {option.name: getattr(self, option.name) for option in fields(self)} | {"state": state}

    def poll(self, latest: datetime = LATEST_TIME) -> Generator[Query | PollResult, Any, None]:
        """
        Look at the watched messages once, as :meth:`Watch.poll <airflow_provider_ip1.api.watching.watch.Watch.poll>`.

        A message that is not known by its batch is searched for until it is found, then read by its id. A reference may
        get further messages at any time, so each poll looks at the newest pages of the conversation.

        :param latest: the latest plausible time: a day from now.
        :return: a generator of queries and one result.
        :raises IP1ResponseError: a watched message does not belong to a batch. Its status can therefore not be read.
        """
        polled: dict[str, dict[str, Any]] = {}
        newest: str | None = None
        page: Page | None
        message: Message | None
        if self.participant is not None and self.message_id not in self._found:
            conversation = read_conversation(self.participant)
            behind = -1
            while (page := (yield conversation)) is not None:
                newest = newest or page.ids[0]
                polled.update(self._search(page, latest))
                if self._newest in page.ids:
                    behind = len(page) - page.ids.index(self._newest) - 1
                elif behind >= 0:
                    behind += len(page)
                # A later search ends behind the message that used to be the newest. Older ones were looked at before.
                if self.message_id in polled or behind >= TIED:
                    break
        elif self.batch_id is not None and self.message_id is None:
            batch = read_batch(self.batch_id)
            while (page := (yield batch)) is not None:
                polled.update({message.id: self._watched(message, latest) for message in page.messages})
        for message_id, batch_id in self._found.items():
            if message_id not in polled and not self._has_arrived(message_id):
                if (message := (yield ReadMessage(batch_id, message_id))) is not None:
                    polled[message.id] = self._watched(message, latest)
        yield self._result(polled, newest)

    def _search(self, page: Page, latest: datetime) -> dict[str, dict[str, Any]]:
        message_id = self.message_id
        if message_id is None:
            found = [message for message in page.messages if message.reference == self.reference]
        else:
            # Decode a page only if it contains the message.
            found = [page.messages[page.ids.index(message_id)]] if message_id in page.ids else []
        return {message.id: self._watched(message, latest) for message in found}

    def _watched(self, message: Message, latest: datetime) -> dict[str, Any]:
        batch_id = message.batch_id or self.batch_id
        if batch_id is None:
            raise IP1ResponseError(
                f"iP.1 returned message {message.id} without a batch id, so its status cannot be read. "
                "Report the message id to iP.1."
            )
        self._recipients[message.id] = message.recipient
        status = message.latest_status_until(latest)
        return {
            "message_id": message.id,
            "batch_id": batch_id,
            "code": None if status is None else status.code,
            "category": None if status is None else status.category,
            "created": None if status is None or status.created is None else status.created.isoformat(),
        }

    def _has_arrived(self, message_id: str) -> bool:
        """Whether a message has an expected status that is final. Such a message is not read again."""
        message = self._messages.get(message_id)
        if message is None or self.rule.verdict_for(message["code"]) != "success":
            return False
        return is_terminal(message["category"])

    def _result(self, polled: Mapping[str, dict[str, Any]], newest: str | None) -> PollResult:
        known = self._messages | dict(polled)  # in the order in which they were found
        self._messages = {
            message_id: message
            for message_id, message in known.items()
            if message_id in polled or (message_id in self._found and self._has_arrived(message_id))
        }
        if self.participant is not None:
            self._found.update({message_id: message["batch_id"] for message_id, message in polled.items()})
            self._newest = newest or self._newest
        messages = list(self._messages.values())
        verdict = self._verdict(messages)
        text = self._failure_text(messages) if verdict == "failure" else self._progress_text(messages)
        return PollResult(verdict, messages, text, self._warnings(messages))

    def _verdict(self, messages: Sequence[Mapping[str, Any]]) -> Verdict:
        verdicts = {self.rule.verdict_for(code) for code in {message["code"] for message in messages}}
        # A message that was found once and is missing now keeps the wait open.
        self._count = max(self._count, len(self._found), len(messages))
        is_complete = len(messages) >= max(self._count, self._expected_count)
        decisive: Verdict = "failure" if self.require == "all" else "success"
        unanimous: Verdict = "success" if self.require == "all" else "failure"
        if decisive in verdicts:
            return decisive
        return unanimous if verdicts == {unanimous} and is_complete else "waiting"

    def _progress_text(self, messages: Sequence[Mapping[str, Any]]) -> str:
        title = self.subject[:1].upper() + self.subject[1:]
        if not messages:
            return f"{title}: not known to iP.1 yet"
        counts = Counter(message["code"] for message in messages)
        texts = sorted((_status_text(code), count) for code, count in counts.items())
        shown = ", ".join(f"{count} x {text}" for text, count in texts)
        if not self._expected_count:
            return f"{title}: {shown}"
        return f"{title}: {shown}; {len(messages):,} of {counted(self._expected_count, 'expected message')}"

    def _failure_text(self, messages: Sequence[Mapping[str, Any]]) -> str:
        failed = [message for message in messages if self.rule.verdict_for(message["code"]) == "failure"]
        shown = "; ".join(
            f"{_status_text(message['code'])}: message {message['message_id']} of batch {message['batch_id']} "
            f"to {mask_number(self._recipients[message['message_id']] or '?')}"
            for message in failed[:_SHOWN_MESSAGES]
        )
        more = f"; and {len(failed) - _SHOWN_MESSAGES} more" if len(failed) > _SHOWN_MESSAGES else ""
        return f"{shown}{more}. {len(failed)} of {counted(len(messages), 'watched message')} failed."

    def _warnings(self, messages: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        unknown = {message["code"] for message in messages} - {None} - KNOWN_CODES - self._warned
        self._warned |= unknown
        return tuple(
            f"iP.1 returned status code {code}, which it does not document. By its first digit it counts as "
            f"{status_category(code)}. Add it to expected or failed if it means something else to you."
            for code in sorted(unknown)
        )


def _status_text(code: int | None) -> str:
    """Return a status for logs and errors, such as ``202 Expired (undelivered)``."""
    if code is None:
        return "no status yet"
    name = status_name(code)
    return " ".join([str(code), *([name] if name else []), f"({status_category(code)})"])
