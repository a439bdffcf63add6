# SPDX-License-Identifier: Apache-2.0
"""
A random account of iP.1: what it contains at each moment, and what a complete export must contain in the end.

Times are seconds of the simulated clock. iP.1 writes the times of its own clock, which is ahead or behind.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

HOUR, DAY = 3600.0, 86400.0
#: The first moment. The times of a history are always in the past of the machine that runs it.
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
#: Numbers of a range that is reserved for fiction.
PARTICIPANTS = [str(number) for number in range(46701740605, 46701740609)]
OWN_NUMBER = "46846500430"
FOREVER = float("inf")


def iso(time: float, *, is_exact: bool = True) -> str:
    """Write a time as iP.1 does, in whole seconds if it is not exact."""
    moment = datetime.fromtimestamp(time, UTC)
    return moment.isoformat().replace("+00:00", "Z") if is_exact else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Change:
    """
    A status of a message.

    :param at: when a response shows it for the first time.
    :param code: the status code.
    :param created: when the status was made, according to iP.1; ``None`` for ``at`` by iP.1's clock.
    :param moves_modified: whether ``modified`` becomes the time of the status as well.
    """

    at: float
    code: int
    created: float | None = None
    moves_modified: bool = True


@dataclass
class Message:
    """One SMS."""

    id: str
    batch_id: str
    participant: str
    is_incoming: bool
    created: float
    visible: float
    changes: list[Change]

    def state(self, now: float) -> int:
        """Return the position of the current status among :attr:`changes`."""
        state = len(self.changes) - 1
        while state and self.changes[state].at > now:
            state -= 1
        return state


@dataclass
class Batch:
    """
    Messages that were sent together, or one that was received.

    :param deleted: when it disappears, with its messages.
    """

    id: str
    created: float
    visible: float
    is_incoming: bool = False
    window: tuple[float, float] | None = None
    deleted: float = FOREVER
    messages: list[Message] = field(default_factory=list)

    def is_listed(self, now: float) -> bool:
        return self.visible <= now < self.deleted


@dataclass(frozen=True)
class Shown:
    """
    A message in a response.

    :param line: its JSON.
    :param code: its status.
    :param time: the later of ``modified`` and the time of the status.
    """

    line: bytes
    code: int
    time: datetime


class Account:
    """
    An account.

    :param clock_offset: seconds by which iP.1's clock is ahead.
    :param is_exact: whether iP.1 writes fractions of seconds.
    """

    def __init__(self, clock_offset: float = 0.0, *, is_exact: bool = True) -> None:
        self.clock_offset = clock_offset
        self.is_exact = is_exact
        self.batches: list[Batch] = []
        self._shown: dict[tuple[str, int], Shown] = {}

    def send(
        self,
        created: float,
        *changes: Change,
        participants: list[str] | None = None,
        is_incoming: bool = False,
        visible: float | None = None,
        window: tuple[float, float] | None = None,
    ) -> Batch:
        """
        Add a batch. Without changes, a sent message is delivered after ten seconds.

        :param created: when it is created, and accepted.
        :param changes: further statuses of all of its messages.
        :param participants: of each message; default one message.
        :param is_incoming: whether the message was received.
        :param visible: when iP.1 lists it; default at once.
        :param window: its delivery window.
        """
        number = len(self.batches) + 1
        seen = created if visible is None else visible
        batch = Batch(f"{number:024x}", created, seen, is_incoming, window)
        later = list(changes) or ([] if is_incoming else [Change(created + 10, 201)])
        for at, participant in enumerate(participants or PARTICIPANTS[:1]):
            first = Change(created, 201 if is_incoming else 101)
            batch.messages.append(
                Message(f"{number:016x}{at:08x}", batch.id, participant, is_incoming, created, seen, [first, *later])
            )
        self.batches.append(batch)
        # Nothing may have been asked before.
        self.__dict__.pop("_by_creation", None)
        self.__dict__.pop("_conversations", None)
        return batch

    @property
    def messages(self) -> Iterator[Message]:
        return (message for batch in self.batches for message in batch.messages)

    def batch_of(self, message: Message) -> Batch:
        return self.batches[int(message.batch_id, 16) - 1]

    @cached_property
    def _by_creation(self) -> tuple[list[Batch], list[float]]:
        batches = sorted(self.batches, key=lambda batch: (self._listed_time(batch.created), batch.id))
        # Nothing is listed before it was created, by any clock.
        return batches, [batch.created - 1 for batch in batches]

    @cached_property
    def _conversations(self) -> dict[str, list[tuple[Batch, Message]]]:
        found: dict[str, list[tuple[Batch, Message]]] = {}
        for batch in self._by_creation[0]:
            for message in batch.messages:
                found.setdefault(message.participant, []).append((batch, message))
        for rows in found.values():
            rows.sort(key=lambda row: (self._listed_time(row[1].created), row[1].id))
        return found

    def _listed_time(self, time: float) -> float:
        return time if self.is_exact else float(int(time + self.clock_offset))

    def batch_list(self, now: float) -> list[Batch]:
        """Return the batches that iP.1 lists, oldest first."""
        batches, created = self._by_creation
        return [batch for batch in batches[: bisect_right(created, now)] if batch.is_listed(now)]

    def conversation(self, participant: str, direction: str, now: float) -> list[Message]:
        """Return the messages of a conversation, oldest first. The direction is ``mt``, ``mo``, or empty for both."""
        return [
            message
            for batch, message in self._conversations.get(participant, ())
            if message.visible <= now
            and batch.is_listed(now)
            and direction in ("", "mo" if message.is_incoming else "mt")
        ]

    def render_batch(self, batch: Batch) -> bytes:
        """Return a batch as the list of batches shows it."""
        opens_and_closes = ("opens", "closes")
        window = dict(zip(opens_and_closes, map(self._text, batch.window), strict=True)) if batch.window else None
        fields = {
            "id": batch.id,
            "direction": "MO" if batch.is_incoming else "MT",
            "deliveryWindows": [window] if window else [],
            "status": 201 if batch.is_incoming else 112,
            "tags": [],
        }
        return json.dumps(fields).encode()

    def show(self, message: Message, now: float) -> Shown:
        """Return a message as every list shows it: with its latest status."""
        state = message.state(now)
        key = message.id, state
        if key not in self._shown:
            self._shown[key] = self._show(message, state)
        return self._shown[key]

    def _show(self, message: Message, state: int) -> Shown:
        change = message.changes[state]
        moved = [one for one in message.changes[: state + 1] if one.moves_modified][-1]
        sender, recipient = OWN_NUMBER, message.participant
        if message.is_incoming:
            sender, recipient = recipient, sender
        times = [self._text(one.at if one.created is None else one.created) for one in (change, moved)]
        fields = {
            "id": message.id,
            "batchId": message.batch_id,
            "sender": sender,
            "recipient": recipient,
            "body": "Hej",
            "direction": "MO" if message.is_incoming else "MT",
            "statuses": [{"code": change.code, "duration": 1, "created": times[0]}],
            "modified": times[1],
        }
        return Shown(json.dumps(fields).encode(), change.code, max(map(datetime.fromisoformat, times)))

    def _text(self, time: float) -> str:
        return iso(time + self.clock_offset, is_exact=self.is_exact)


def random_account(r: random.Random, days: float = 60.0) -> tuple[Account, list[tuple[float, float]]]:
    """
    Make an account with mostly quiet days and some busy hours.

    Messages are sent and received, in batches of 1 to 40. Some are scheduled, canceled, late or in the same second.
    They are delivered within seconds, hours or days, or fail, and some of those are delivered later all the same.

    :param r: decides everything.
    :param days: how long it lasts.
    :return: the account, and the busy times.
    """
    account = Account(r.uniform(-60, 60), is_exact=r.random() < 0.5)
    busy: list[tuple[float, float]] = []
    times: list[float] = []
    time, quiet_gap = BEGINNING, r.choice([0.2, 0.5, 1.0]) * DAY
    while (time := time + r.expovariate(1 / quiet_gap)) < BEGINNING + days * DAY:
        times.append(time)
    for _ in range(r.randint(1, 3)):
        start = BEGINNING + r.uniform(0, days * DAY - 8 * HOUR)
        gap, count = r.choice([(5.0, 220), (40.0, 40), (300.0, 40), (1200.0, 24)])
        end = start
        for _ in range(count):
            end += r.choice([0.0, gap]) if r.random() < 0.1 else r.expovariate(1 / gap)
            times.append(end)
        busy.append((start, end))
    has_late, is_ordered = r.random() < 0.5, r.random() < 0.5
    for time in sorted(times):
        _random_batch(r, account, time, has_late=has_late, modified_stays=not is_ordered)
    return account, sorted(busy)


def _random_batch(r: random.Random, account: Account, time: float, *, has_late: bool, modified_stays: bool) -> None:
    is_incoming = r.random() < 0.2
    size = 1 if is_incoming else r.choice([1] * 40 + [2, 2, 2, 3, 3, 5, 15, 40])
    opens = time + r.uniform(HOUR, 4 * DAY) if not is_incoming and r.random() < 0.05 else time
    batch = account.send(
        time,
        participants=r.choices(PARTICIPANTS, k=size),
        is_incoming=is_incoming,
        visible=time + (r.uniform(0, 100) if has_late and r.random() < 0.15 else 0),
        window=(opens, opens + r.uniform(0.1, 7) * DAY) if opens > time else None,
    )
    canceled = r.uniform(time, opens)
    if batch.window and (fate := r.random()) < 0.3:
        if fate < 0.15:
            batch.deleted = canceled
        for message in batch.messages:
            message.changes = [message.changes[0], Change(canceled, 203)]
        return
    for message in batch.messages:
        # A large batch takes iP.1 a while.
        if (has_late and r.random() < 0.3) or (size >= 15 and r.random() < 0.3):
            message.visible = max(batch.visible, time + r.uniform(0, 120))
        if is_incoming:
            continue
        message.changes = [message.changes[0], *_random_delivery(r, opens, modified_stays=modified_stays)]


def _random_delivery(r: random.Random, opens: float, *, modified_stays: bool) -> Iterator[Change]:
    delay = r.uniform(1, 30)
    if r.random() < 0.3:
        delay = r.choice([r.uniform(30, 3 * HOUR), r.uniform(3 * HOUR, 2.5 * DAY)])
    moves = not modified_stays or r.random() < 0.5
    at, final = opens + delay, r.choice([201] * 8 + [202, 511, 406])
    if r.random() < 0.3:
        # In the same second, which iP.1 may write without fractions.
        for code in (110, 112):
            yield Change(at, code, created=at, moves_modified=moves)
            at += r.choice([0.1, 0.4, 20.0])
            moves = moves and r.random() < 0.8
    # A report that reaches iP.1 late.
    yield Change(at + (r.uniform(0, 60) if r.random() < 0.1 else 0), final, created=at, moves_modified=moves)
    if final != 201 and r.random() < 0.4:
        at += 60 + r.choice([r.uniform(60, 20 * HOUR), r.uniform(20 * HOUR, 2.2 * DAY)])
        yield Change(at, 201, moves_modified=moves)
