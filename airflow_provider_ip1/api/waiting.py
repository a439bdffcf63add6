# SPDX-License-Identifier: Apache-2.0
"""
Waiting for messages to reach a status: which messages, what their statuses mean, and how long to go on.

The sensor on a worker and the trigger on a triggerer both run a :class:`Watch` and a :class:`Patience`; they differ
only in how they send and sleep. So poke, reschedule and deferrable cannot come to different ends. Nothing in here does
I/O or looks at a clock.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from airflow_provider_ip1.api.messages import Message, MessageStatus
from airflow_provider_ip1.api.paging import Page
from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.protocol import check_id, normalize_participant
from airflow_provider_ip1.api.status import (
    CATEGORIES,
    KNOWN_CODES,
    TERMINAL_CATEGORIES,
    is_terminal,
    status_category,
    status_name,
)
from airflow_provider_ip1.exceptions import (
    IP1ConnectionError,
    IP1Error,
    IP1PagingError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)

Verdict = Literal["waiting", "reached", "failed"]
Require = Literal["all", "any"]
StatusArgument: TypeAlias = int | str | Iterable[int | str]
"""Status codes (as text too, as templates give them), names of categories, or several of both."""

#: Failed polls in a row that end a wait. Each of them is as many requests as the connection's ``max_attempts`` allows.
MAX_FAILED_POLLS = 10
#: Seconds. No two polls of a wait are closer, whatever ``poke_interval`` says.
MIN_PAUSE = 1.0
#: Seconds between polls while iP.1 does not answer, at most (unless it asks for more): an outage is mostly short.
MAX_PAUSE_AFTER_FAILURE = 60.0
#: Pauses are longer by up to this share, so that waits that began together do not poll together for ever.
JITTER = 0.1
#: Seconds over which polls that are overdue are spread, so that the many waits of a restarted triggerer take turns.
OVERDUE_SPREAD = 10.0
#: Errors that may be gone at the next poll. Others (a refused key, bad settings, an invalid participant) end a wait.
PASSING_ERRORS: Final = (IP1ServerError, IP1RateLimitError, IP1ResponseError, IP1PagingError)

_NAMED_MESSAGES = 5
_TARGETS: Final[Mapping[frozenset[str], str]] = {
    frozenset({"batch_id", "message_id"}): "batch_id and message_id",
    frozenset({"participant", "message_id"}): "participant and message_id",
    frozenset({"participant", "reference"}): "participant and reference",
    frozenset({"batch_id"}): "batch_id alone",
}


# -- which messages


def check_given(names: Set[str]) -> None:
    """
    Check that these arguments together say which messages to watch.

    :param names: of ``participant``, ``batch_id``, ``message_id`` and ``reference``, those that are given.
    :raises ValueError: they do not; names the combinations that do.
    """
    if frozenset(names) not in _TARGETS:
        raise ValueError(
            f"Say which messages to watch with {', '.join(_TARGETS.values())}. "
            f"Given: {', '.join(sorted(names)) or 'none of them'}."
        )


@dataclass(frozen=True, slots=True)
class Target:
    """
    Which messages to watch: (batch_id, message_id), (participant, message_id), (participant, reference) or batch_id.

    :param participant: phone number with country code, or sender name, whose conversation holds the messages.
    :param batch_id: id of a batch.
    :param message_id: id of a message.
    :param reference: your own reference, given when the messages were sent.
    :raises ValueError: they do not go together, or one is no text or empty; names the argument.
    :raises IP1ParticipantError: the participant is empty or no text.
    """

    participant: str | None = None
    batch_id: str | None = None
    message_id: str | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("participant", "batch_id", "message_id", "reference")}
        check_given({name for name, value in given.items() if value is not None})
        if self.participant is not None:
            object.__setattr__(self, "participant", normalize_participant(self.participant))
        for name in ("batch_id", "message_id"):
            if given[name] is not None:
                object.__setattr__(self, name, check_id(given[name], name))
        if self.reference is not None and (not isinstance(self.reference, str) or not self.reference):
            raise ValueError("reference must be a text that is not empty")

    def __repr__(self) -> str:
        return f"<Target: {self}>"

    def __str__(self) -> str:
        if self.reference is not None:
            return f"the messages with reference {mask_number(self.reference)!r}"
        return f"message {self.message_id}" if self.message_id is not None else f"batch {self.batch_id}"

    @property
    def digest(self) -> str:
        """Tells targets apart without naming anybody."""
        named = (self.participant, self.batch_id, self.message_id, self.reference)
        return hashlib.sha256(repr(named).encode()).hexdigest()


# -- what statuses mean


@dataclass(frozen=True, slots=True)
class StatusRule:
    """
    Which statuses a wait is for, and which end it as a failure. A code wins over its category.

    :param expected: codes and categories.
    :param failed: codes and categories.
    """

    expected: frozenset[int | str]
    failed: frozenset[int | str]

    @classmethod
    def read(cls, expected: StatusArgument, failed: StatusArgument | None = None) -> StatusRule:
        """
        Read the arguments of a sensor.

        :param expected: codes, categories or several of both; at least one.
        :param failed: the same; ``None`` for every category after which no other status is to be expected and that is
            not expected itself. An empty list lets nothing fail: the wait then ends by success or timeout.
        :raises ValueError: a value is neither, or is in both; names the argument and the value.
        """
        wanted = _statuses(expected, "expected")
        if not wanted:
            raise ValueError("expected is empty: name at least one status code or category")
        if failed is None:
            return cls(wanted, frozenset(TERMINAL_CATEGORIES) - wanted)
        unwanted = _statuses(failed, "failed")
        if both := wanted & unwanted:
            raise ValueError(f"{_listed(both)} is in expected and in failed: keep it in one of them")
        return cls(wanted, unwanted)

    def judge(self, code: int | None) -> Verdict:
        """
        Tell what a message's latest status means.

        :param code: ``None`` for a message without status, or that is not there yet.
        """
        if code is None:
            return "waiting"
        for name in (code, status_category(code)):
            if name in self.expected:
                return "reached"
            if name in self.failed:
                return "failed"
        return "waiting"

    def as_arguments(self) -> dict[str, list[int | str]]:
        """:return: ``expected`` and ``failed`` as JSON knows them, for :meth:`read`."""
        return {"expected": sorted(self.expected, key=str), "failed": sorted(self.failed, key=str)}

    @property
    def undocumented_codes(self) -> list[int]:
        """Codes that iP.1 does not document: new ones, or slips of the pen."""
        return sorted(code for code in self.expected | self.failed if isinstance(code, int) and code not in KNOWN_CODES)


def _statuses(argument: StatusArgument, name: str) -> frozenset[int | str]:
    if isinstance(argument, (int, str)):
        argument = [argument]
    if not isinstance(argument, (list, tuple, set, frozenset)):
        raise ValueError(f"{name} must be a status code, a category or a list of them, not {type(argument).__name__}")
    return frozenset(_status(value, name) for value in argument)


def _status(value: int | str, name: str) -> int | str:
    text = value.strip().lower() if isinstance(value, str) else value
    if text in CATEGORIES:
        return text
    if isinstance(text, str) and text.isascii() and text.isdigit():
        text = int(text)
    if isinstance(text, int) and not isinstance(text, bool) and 100 <= text <= 999:
        return text
    shown = repr(value) if len(str(value)) < 7 else mask_number(repr(value))
    raise ValueError(
        f"{name} has {shown}, which is neither a status code of three digits (such as 201) nor one "
        f"of the categories {', '.join(CATEGORIES)}"
    )


def _listed(statuses: Iterable[int | str]) -> str:
    return ", ".join(map(str, sorted(statuses, key=str)))


def check_require(require: str) -> Require:
    """
    Check how many of the messages have to reach an expected status.

    :param require: ``"all"`` or ``"any"``.
    :raises ValueError: it is neither.
    """
    if require == "all" or require == "any":
        return require  # type: ignore[return-value]  # mypy does not narrow a str to literals here
    raise ValueError(f"require must be 'all' or 'any', not {require!r}")


# -- watching


@dataclass(frozen=True, slots=True)
class Seen:
    """
    A watched message as it was seen last.

    :param message_id: its id.
    :param batch_id: id of its batch.
    :param status: its latest status by time, ``None`` where it has none yet.
    :param recipient: masked.
    """

    message_id: str
    batch_id: str
    status: MessageStatus | None = None
    recipient: str = "?"

    @property
    def code(self) -> int | None:
        """Code of the status."""
        return None if self.status is None else self.status.code

    def as_dict(self) -> dict[str, Any]:
        """:return: the same for XCom, as JSON values; nothing personal."""
        created = None if self.status is None else self.status.created
        return {
            "message_id": self.message_id,
            "batch_id": self.batch_id,
            "code": self.code,
            "category": None if self.status is None else self.status.category,
            "created": None if created is None else created.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How things stand after a poll.

    :param verdict: whether to go on waiting.
    :param messages: the watched messages that are there.
    :param text: for people; no body, no whole phone number.
    :param has_changed: whether ``text`` differs from the poll before.
    :param warnings: what to warn about, each once per wait.
    """

    verdict: Verdict
    messages: tuple[Seen, ...]
    text: str
    has_changed: bool = True
    warnings: tuple[str, ...] = ()

    def as_dicts(self) -> list[dict[str, Any]]:
        """:return: the messages for XCom."""
        return [message.as_dict() for message in self.messages]


class Watch:
    """
    The messages of one wait, from poll to poll.

    :param target: which messages.
    :param rule: what their statuses mean.
    :param require: ``"all"``: one failure ends the wait. ``"any"``: it fails when all messages that are there have.
    :param state: what :meth:`state` gave in another process.
    """

    def __init__(
        self, target: Target, rule: StatusRule, require: Require = "all", state: Mapping[str, Any] | None = None
    ) -> None:
        self.target = target
        self.rule = rule
        self.require = require
        state = state or {}
        # message id -> batch id
        self._found: dict[str, str] = {message_id: batch_id for batch_id, message_id in state.get("found", ())}
        self._newest: str | None = state.get("newest")
        self._warned: set[int] = set(state.get("warned", ()))
        self._seen: dict[str, Seen] = {}
        self._text = ""
        if target.batch_id is not None and target.message_id is not None:
            self._found[target.message_id] = target.batch_id

    def state(self) -> dict[str, Any]:
        """
        What another process needs to go on where this one is, as JSON values; nothing personal.

        :return: ``found`` (ids of batch and message), ``newest`` (id of the newest message of the conversation that was
            looked at) and ``warned`` (status codes).
        """
        return {
            "found": [[batch_id, message_id] for message_id, batch_id in self._found.items()],
            "newest": self._newest,
            "warned": sorted(self._warned),
        }

    def poll(self) -> Poll:
        """Begin a poll. One that fails half-way changes nothing: drop it and begin another."""
        return Poll(self)


class Poll:
    """
    One look at the watched messages: says what to ask iP.1 for, in this order, and takes the answers.

    1. The pages of :attr:`conversation`, newest first, until :meth:`take_page` has enough.
    2. The messages of :attr:`batch`, each for :meth:`take`.
    3. Each of :attr:`single_messages`; those that are there for :meth:`take`.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._seen: dict[str, Seen] = {}
        self._newest: str | None = None

    @property
    def conversation(self) -> str | None:
        """
        The participant whose conversation is to be searched, if any.

        A message id is searched for until it is found. A reference may get further messages at any time, so the newest
        pages are looked at in every poll.
        """
        target = self._watch.target
        if target.message_id is not None and target.message_id in self._watch._found:
            return None
        return target.participant

    def take_page(self, page: Page) -> bool:
        """
        Look for the watched messages in a page.

        The first search goes through the whole conversation. Later ones end at the page with the message that was the
        newest before: what came before that was looked at already.

        :param page: of the conversation, newest first.
        :return: whether the search is over.
        :raises IP1ResponseError: a watched message is in no batch, and can therefore not be asked for.
        """
        if self._newest is None:
            self._newest = page.ids[0]
        target = self._watch.target
        if target.message_id is not None:
            if target.message_id in page.ids:
                self.take(page.messages[page.ids.index(target.message_id)])
                return True
        else:
            for message in page.messages:
                if message.reference == target.reference:
                    self.take(message)
        return self._watch._newest in page.ids

    @property
    def batch(self) -> str | None:
        """The batch whose messages are all watched, if any."""
        target = self._watch.target
        return target.batch_id if target.message_id is None else None

    @property
    def single_messages(self) -> list[tuple[str, str]]:
        """
        (batch id, message id) of what is to be asked for message by message.

        Left out is what this poll has seen in a list, and what has arrived for good where it was expected to.
        """
        return [
            (batch_id, message_id)
            for message_id, batch_id in self._watch._found.items()
            if message_id not in self._seen and not self._has_arrived(message_id)
        ]

    def _has_arrived(self, message_id: str) -> bool:
        seen = self._watch._seen.get(message_id)
        if seen is None or seen.code is None:
            return False
        return self._watch.rule.judge(seen.code) == "reached" and is_terminal(status_category(seen.code))

    def take(self, message: Message) -> None:
        """
        Take a message as it is now.

        :raises IP1ResponseError: it is in no batch, and can therefore not be asked for.
        """
        batch_id = message.batch_id or self._watch.target.batch_id
        if batch_id is None:
            raise IP1ResponseError(
                f"iP.1 gives no batch for message {message.id}, so that its status cannot be asked for. "
                "Report it to iP.1, with the message id."
            )
        recipient = mask_number(message.recipient) if message.recipient else "?"
        self._seen[message.id] = Seen(message.id, batch_id, message.latest_status, recipient)

    def finish(self) -> Standing:
        """
        End the poll, once all that it wanted has been asked for.

        :return: how things stand.
        """
        watch = self._watch
        if self.batch is not None:
            watch._seen = {}
        watch._seen.update(self._seen)
        if watch.target.participant is not None:
            watch._found.update({seen.message_id: seen.batch_id for seen in self._seen.values()})
            watch._newest = self._newest or watch._newest
        for message_id in watch._found:
            if message_id not in self._seen and not self._has_arrived(message_id):
                watch._seen.pop(message_id, None)  # it is gone, or not there yet
        messages = tuple(watch._seen.values())
        # A message that was found once and is not there now keeps the wait open.
        missing = len(set(watch._found) - set(watch._seen))
        verdict = self._verdict([watch.rule.judge(seen.code) for seen in messages], missing)
        text = self._failure_text(messages) if verdict == "failed" else self._text(messages)
        has_changed, watch._text = text != watch._text, text
        return Standing(verdict, messages, text, has_changed, self._warnings(messages))

    def _verdict(self, verdicts: Sequence[Verdict], missing: int) -> Verdict:
        if self._watch.require == "all":
            if "failed" in verdicts:
                return "failed"
            is_reached = bool(verdicts) and not missing and set(verdicts) == {"reached"}
            return "reached" if is_reached else "waiting"
        if "reached" in verdicts:
            return "reached"
        is_failed = bool(verdicts) and not missing and set(verdicts) == {"failed"}
        return "failed" if is_failed else "waiting"

    def _text(self, messages: Sequence[Seen]) -> str:
        if not messages:
            return f"{_capitalized(str(self._watch.target))}: nothing there yet"
        counts = Counter(map(_describe, messages))
        shown = ", ".join(f"{count} x {text}" for text, count in sorted(counts.items()))
        return f"{_capitalized(str(self._watch.target))}: {shown}"

    def _failure_text(self, messages: Sequence[Seen]) -> str:
        failed = [seen for seen in messages if self._watch.rule.judge(seen.code) == "failed"]
        shown = "; ".join(
            f"message {seen.message_id} of batch {seen.batch_id} to {seen.recipient} has status {_describe(seen)}"
            for seen in failed[:_NAMED_MESSAGES]
        )
        more = f"; and {len(failed) - _NAMED_MESSAGES} more" if len(failed) > _NAMED_MESSAGES else ""
        return f"{len(failed)} of {len(messages)} watched messages failed: {shown}{more}"

    def _warnings(self, messages: Sequence[Seen]) -> tuple[str, ...]:
        watch = self._watch
        unknown = {seen.code for seen in messages if seen.code is not None} - KNOWN_CODES - watch._warned
        watch._warned |= unknown
        return tuple(
            f"iP.1 gave status code {code}, which it does not document. By its first digit it counts as "
            f"{status_category(code)}. Put it into expected or failed if it means something else to you."
            for code in sorted(unknown)
        )


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _describe(seen: Seen) -> str:
    if seen.status is None:
        return "no status yet"
    name = status_name(seen.status.code)
    words = [str(seen.status.code), *([name] if name else []), f"({seen.status.category})"]
    # A hint only: iP.1's examples contradict each other on which number is permanent.
    if seen.status.duration in (0, 1):
        words.append(f"duration {seen.status.duration}")
    return " ".join(words)


def missing_connection(conn_id: str) -> IP1ConnectionError:
    """
    The error for a connection that Airflow does not know, or knows no more.

    :param conn_id: id of the Airflow connection.
    """
    return IP1ConnectionError(f"There is no Airflow connection {conn_id!r}. Create it, with the API key as password.")


# -- how long


class Patience:
    """
    When to poll again, and when to give up.

    :param poke_interval: seconds between polls, 0 or more; less than :data:`MIN_PAUSE` counts as that.
    :param deadline: end of the wait, seconds since 1970.
    :param started_at: its beginning, seconds since 1970.
    :param exponential_backoff: wait longer from poll to poll: as long as the wait has lasted already.
    :param max_wait: most seconds between polls with ``exponential_backoff``; ``None`` for no such limit.
    :param never_gives_up: whether errors of any kind are waited out until the deadline (a sensor's ``silent_fail``).
    :param failures: failed polls in a row so far.
    :param uniform: draws from a range, to be replaced in tests.
    """

    def __init__(
        self,
        *,
        poke_interval: float,
        deadline: float,
        started_at: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        never_gives_up: bool = False,
        failures: int = 0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.deadline = deadline
        self.failures = failures
        self._interval = max(poke_interval, MIN_PAUSE)
        self._started_at = started_at
        self._exponential_backoff = exponential_backoff
        self._max_wait = max_wait
        self._never_gives_up = never_gives_up
        self._uniform = uniform

    def first_poll(self, planned_at: float, now: float) -> float:
        """
        When a wait that was planned somewhere else begins to poll here.

        :param planned_at: when it was to poll, seconds since 1970.
        :param now: seconds since 1970.
        :return: when to poll, seconds since 1970.
        """
        if planned_at > now:
            return planned_at
        return now + self._uniform(0.0, min(self._interval, OVERDUE_SPREAD))

    def after_answer(self, now: float) -> float | None:
        """
        A poll was answered, and the wait goes on.

        :param now: seconds since 1970.
        :return: when to poll again, seconds since 1970, the last time at the deadline; ``None``: the time is up.
        """
        self.failures = 0
        pause = self._interval
        if self._exponential_backoff:
            pause = max(pause, now - self._started_at)
            if self._max_wait is not None:
                pause = min(pause, max(self._max_wait, MIN_PAUSE))
        return self._next(now, pause)

    def after_failure(self, error: IP1Error, now: float) -> float | None:
        """
        A poll failed.

        :param error: how.
        :param now: seconds since 1970.
        :return: when to poll again, seconds since 1970; ``None``: the time is up, or would be before iP.1 wants to be
            asked again (``Retry-After``).
        :raises IP1Error: of the same type; it will not pass, or too many polls in a row have failed.
        """
        self.failures += 1
        if not self._never_gives_up:
            if not isinstance(error, PASSING_ERRORS):
                raise error
            if self.failures >= MAX_FAILED_POLLS and now < self.deadline:
                raise type(error)(f"{error} {self.failures} polls in a row failed, so the wait ends here.")
        retry_after = getattr(error, "retry_after", None) or 0.0
        if now + retry_after > self.deadline:
            return None
        return self._next(now, min(self._interval, MAX_PAUSE_AFTER_FAILURE), now + retry_after)

    def _next(self, now: float, pause: float, earliest: float = 0.0) -> float | None:
        if now >= self.deadline:
            return None
        return max(min(now + pause * self._uniform(1.0, 1.0 + JITTER), self.deadline), earliest)
