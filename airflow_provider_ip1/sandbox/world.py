# SPDX-License-Identifier: Apache-2.0
"""
The sandbox's data: conversations of any length that are made up when they are asked for.

A message of the past is a template filled with an id and times, both computed from its place in the conversation, so a
million messages need no memory and the same seed always gives the same bytes. Messages that were sent, inserted or are
on their way are few and kept as objects.
"""

from __future__ import annotations

import json
import re
import threading
import time
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

from airflow_provider_ip1.sandbox import texts
from airflow_provider_ip1.sandbox.messages import (
    EnumStyle,
    SentMessage,
    Template,
    TemplateBlock,
    dump,
    make_template,
    stamp,
)

Direction = Literal["mt", "mo"]

# Every number is from a range that the Swedish Post and Telecom Authority keeps free for books and films.
MAIN = "46701740605"
SEVEN = "46701740606"
SINGLE = "46701740607"
EMPTY = "46701740608"
LIVE = "46701740609"
NAME = "Grannen"
NAME_WITH_SPACE = "Min skola"
GENERATED = tuple(
    str(number)
    for first, last in (
        (46701740610, 46701740699),
        (46313900600, 46313900699),
        (46406280400, 46406280499),
        (46846500400, 46846500498),
        (46980319200, 46980319299),
    )
    for number in range(first, last + 1)
)

PLACES = ("head", "middle", "tail")
HISTORY_END = datetime(2026, 11, 1, tzinfo=UTC)
MAX_MESSAGES = 10_000_000

_BLOCK = 64
_TEMPLATE_BLOCKS = 128  # enough to keep repeats further apart than the window of gzip or zstd at their usual levels
_CACHE_BYTES = 96 * 2**20
_YEAR_MS = 365 * 24 * 3600 * 1000
_HOUR_MS = 3600 * 1000

_NUMBER = re.compile(r"[0-9]{1,15}\Z", re.ASCII)
_NAME = re.compile(r"[0-9A-Za-z ]{1,11}\Z", re.ASCII)


def is_participant(text: str) -> bool:
    """
    Whether iP.1 would accept this participant: at most 15 digits, or a sender name of at most 11 letters and digits.

    The rule is iP.1's for senders and recipients (its page "Sending SMS"). A space is let through because iP.1's own
    example registers a sender with one.
    """
    return bool(_NUMBER.match(text) or (_NAME.match(text) and text.strip() == text))


@dataclass(slots=True)
class _Inserted:
    """A message of the past that was put into a conversation later: a template with a time of its own."""

    created_ms: int


Rows = Sequence[int]
_Block = tuple[bytes, "array[int]", int]


class Conversation:
    """
    The messages with one participant, oldest first.

    A row is a serial number: below ``history`` it names a computed message, from there on an object in ``added``.
    ``rows`` is replaced, never changed in place, so that a reader in another thread always sees a whole list.
    """

    def __init__(self, world: World, index: int, participant: str, history: int) -> None:
        self.world = world
        self.index = index
        self.participant = participant
        self.history = history
        self.rows: Rows = range(history)
        self.added: dict[int, SentMessage | _Inserted] = {}
        self._next = history
        self._only_incoming = not participant.isdigit()
        # Conversations begin at different templates, or they would all say the same.
        self._shift = index * 997
        self._step_ms = min(_HOUR_MS, _YEAR_MS // max(history, 1))
        self._start_ms = world.history_end_ms - history * self._step_ms
        self._machine = f"{index:03x}{Random(f'{world.seed}/{index}').randrange(16**6):06x}"
        self._filtered: dict[Direction, tuple[Rows, Rows]] = {}
        self._counted: tuple[Rows, dict[str, Any]] | None = None

    # One message

    def _template(self, serial: int) -> Template:
        number, place = divmod(serial + self._shift, _BLOCK)
        return self.world.template_block(number, "integers", self._only_incoming).templates[place]

    def _created_ms(self, serial: int) -> int:
        added = self.added.get(serial)
        if added is not None:
            return added.created_ms
        return self._start_ms + int((serial + self._template(serial).offset) * self._step_ms)

    def object_id(self, kind: Literal["a", "b"], serial: int) -> str:
        """24 hexadecimal digits like a MongoDB ObjectId: seconds, a part that tells message from batch, a count."""
        return f"{self._created_ms(serial) // 1000:08x}{kind}{self._machine}{serial:06x}"

    def _modified_ms(self, created: int, template: Template) -> int:
        modified, end = created + template.settle_ms, self.world.history_end_ms
        return modified if modified <= end else max(created, end)  # the past is over: all of it is final

    def _block(self, number: int, style: EnumStyle) -> _Block:
        """Messages that are rendered together: their text, where each starts in it, and the first one's serial."""
        key = (self.index, style, number)
        block = self.world.cached(key)
        if block is None:
            first = max(number * _BLOCK - self._shift, 0)
            serials = range(first, min((number + 1) * _BLOCK - self._shift, self.history))
            block = (*self._render(serials, style), first)
            self.world.cache(key, block)
        return block

    def _render(self, serials: range, style: EnumStyle) -> tuple[bytes, array[int]]:
        number, place = divmod(serials[0] + self._shift, _BLOCK)
        block = self.world.template_block(number, style, self._only_incoming)
        templates = block.templates[place : place + len(serials)]
        if serials[0] < self.history:
            start, step = self._start_ms, self._step_ms
            created = [
                start + int((serial + template.offset) * step)
                for serial, template in zip(serials, templates, strict=True)
            ]
        else:
            created = [self._created_ms(serial) for serial in serials]
        modified = [ms + template.settle_ms for ms, template in zip(created, templates, strict=True)]
        if max(modified) > self.world.history_end_ms:
            modified = [self._modified_ms(ms, template) for ms, template in zip(created, templates, strict=True)]
        return block.fill(place, self.participant.encode(), self._machine.encode(), serials, created, modified)

    def message(self, serial: int, style: EnumStyle) -> bytes:
        """One message as the bytes of its JSON object."""
        if serial < self.history:
            blob, starts, first = self._block((serial + self._shift) // _BLOCK, style)
            place = serial - first
            return blob[starts[place] : starts[place + 1] - 1]
        added = self.added[serial]
        if isinstance(added, SentMessage):
            return dump(added.to_dict(self.world.now_ms(), style)).encode()
        return self._render(range(serial, serial + 1), style)[0]

    def is_outgoing(self, serial: int) -> bool:
        added = self.added.get(serial)
        return added.outgoing if isinstance(added, SentMessage) else self._template(serial).outgoing

    # Many messages

    def select(self, direction: Direction | None) -> Rows:
        """The rows of one direction, or all."""
        rows = self.rows
        if direction is None:
            return rows
        known = self._filtered.get(direction)
        if known is None or known[0] is not rows:
            outgoing = direction == "mt"
            known = self._filtered[direction] = (
                rows,
                array("I", (serial for serial in rows if self.is_outgoing(serial) is outgoing)),
            )
        return known[1]

    def page(self, rows: Rows, start: int, stop: int, *, descending: bool, style: EnumStyle) -> bytes:
        """Rows start to stop, counted from the newest when descending, as a JSON array."""
        if descending:
            start, stop = len(rows) - stop, len(rows) - start
        serials = rows[start:stop]
        if isinstance(serials, range) and not descending:
            chunks = self._runs(serials, style)
        else:
            chunks = self._each(reversed(serials) if descending else serials, style)
        return b"[" + b",".join(chunks) + b"]"

    def _runs(self, serials: range, style: EnumStyle) -> list[bytes]:
        chunks = []
        serial, stop = serials.start, serials.stop
        while serial < stop:
            blob, starts, first = self._block((serial + self._shift) // _BLOCK, style)
            end = min(stop - first, len(starts) - 1)
            chunks.append(blob[starts[serial - first] : starts[end] - 1])
            serial = first + end
        return chunks

    def _each(self, serials: Iterable[int], style: EnumStyle) -> list[bytes]:
        chunks = []
        current, first, shift = -1, 0, self._shift
        for serial in serials:
            if serial >= self.history:
                chunks.append(self.message(serial, style))
                continue
            number = (serial + shift) // _BLOCK
            if number != current:
                current, (blob, starts, first) = number, self._block(number, style)
            place = serial - first
            chunks.append(blob[starts[place] : starts[place + 1] - 1])
        return chunks

    def summary(self) -> dict[str, Any]:
        """The counts that ``/summary`` answers, each message under its latest status."""
        rows = self.rows
        if self._counted is not None and self._counted[0] is rows:
            return self._counted[1]
        counts: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
        segments: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
        moving = False
        for serial in rows:
            added = self.added.get(serial) if serial >= self.history else None
            if isinstance(added, SentMessage):
                moving = True
                now_ms = self.world.now_ms()
                outgoing, code = added.outgoing, added.history(now_ms)[-1]["code"]
                parts = texts.coding_and_segments(added.body)[1]
            else:
                template = self._template(serial)
                outgoing, code, parts = template.outgoing, template.code, template.segments
            counts[outgoing][code] += 1
            segments[outgoing][code] += parts
        answer = {
            "participant": self.participant,
            "totalMessageCount": len(rows),
            "totalSmsCount": segments[True].total() + segments[False].total(),
        }
        for field, outgoing in (("mobileTerminatedMessages", True), ("mobileOriginatedMessages", False)):
            answer[field] = {
                str(code): {"messages": counts[outgoing][code], "sms": segments[outgoing][code]}
                for code in sorted(counts[outgoing])
            }
        self._counted = None if moving else (rows, answer)
        return answer

    def history_of(self, serial: int, style: EnumStyle) -> dict[str, Any]:
        """One message with all of its statuses, as the single-message call gives it."""
        added = self.added.get(serial)
        message: dict[str, Any]
        if isinstance(added, SentMessage):
            now_ms = self.world.now_ms()
            message = added.to_dict(now_ms, style)
            message["statuses"] = added.history(now_ms)
            return message
        message = json.loads(self.message(serial, style))
        template = self._template(serial)
        if not template.outgoing:
            return message
        created = self._created_ms(serial)
        modified = self._modified_ms(created, template)
        final = max(created, modified - template.lag_ms)
        # A rejected message never reaches an operator.
        passed = (
            ((101, 0.0), (102, 0.02)) if template.code >= 400 else ((101, 0.0), (102, 0.02), (110, 0.1), (112, 0.4))
        )
        message["statuses"] = [
            {
                "code": code,
                "duration": 0,
                "created": stamp(created + int((final - created) * part), template.digits).decode(),
            }
            for code, part in passed
        ] + message["statuses"]
        return message

    # Changes

    def insert(self, count: int = 1, at: str | int = "tail") -> list[str]:
        """
        Put messages of the past into the conversation.

        :param at: ``head`` (before the oldest), ``middle``, ``tail`` (after the newest) or the row to insert before.
        :return: their ids.
        :raises ValueError: there is no such place.
        """
        with self.world.change_lock:
            rows = self.rows
            place = self._place(at, len(rows))
            serials = range(self._next, self._next + count)
            if place < len(rows):
                base = self._created_ms(rows[place]) - count
            else:
                base = self._created_ms(rows[-1]) + 1000 if rows else self.world.history_end_ms
            for offset, serial in enumerate(serials):
                self.added[serial] = _Inserted(base + offset)
            self._next += count
            self.rows = array("I", [*rows[:place], *serials, *rows[place:]])
            return [self.message_id(serial) for serial in serials]

    def delete(self, count: int = 1, at: str | int = "head") -> list[str]:
        """
        Take messages out of the conversation.

        :param at: ``head`` (the oldest ones), ``middle``, ``tail`` (the newest ones) or the first row to go.
        :return: their ids.
        :raises ValueError: there is no such place.
        """
        with self.world.change_lock:
            rows = self.rows
            place = self._place(at, max(len(rows) - count, 0) if isinstance(at, str) else len(rows))
            gone = [self.message_id(serial) for serial in rows[place : place + count]]
            self.rows = array("I", [*rows[:place], *rows[place + count :]])
            return gone

    def _place(self, at: str | int, tail: int) -> int:
        if isinstance(at, str) and at in PLACES:
            return {"head": 0, "middle": tail // 2, "tail": tail}[at]
        if isinstance(at, int) and 0 <= at <= tail:
            return at
        raise ValueError(f"at must be {', '.join(PLACES)} or a row number up to {tail}, not {at!r}")

    def append(self, message: SentMessage) -> int:
        """Add a message that is on its way as the newest one, and return its row."""
        with self.world.change_lock:
            serial = self._next
            self.added[serial] = message
            self.rows = array("I", [*self.rows, serial])
            self._next += 1
        return serial

    def message_id(self, serial: int) -> str:
        added = self.added.get(serial)
        return added.id if isinstance(added, SentMessage) else self.object_id("a", serial)


# Batches that are on their way when the sandbox starts: name -> (batch id, final status of each of its messages).
# None stays at "delivered to carrier" for ever.
DEMO_BATCHES: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "delivered": ("69000000c000000000000001", (201,)),
    "expired": ("69000000c000000000000002", (202,)),
    "rejected": ("69000000c000000000000003", (403,)),
    "failed": ("69000000c000000000000004", (511,)),
    "stuck": ("69000000c000000000000005", (None,)),
    "mixed": ("69000000c000000000000006", (201, 201, 202)),
    "large": ("69000000c000000000000007", (201,) * 120),
}


class World:
    """
    All conversations and batches of one sandbox.

    :param messages: messages in the main conversation, 0 to 10,000,000.
    :param conversations: how many further numbers have a conversation, 0 to the length of ``GENERATED``.
    :param seed: the same seed gives the same messages.
    :param history_end: no message of the past is newer than this; aware.
    :param delivery_seconds: how long a message takes from being accepted to its final status, in seconds, over 0.
    :param clock: seconds since 1970 (UTC); the sandbox's own idea of time.
    :raises ValueError: a number is out of its range.
    """

    def __init__(
        self,
        *,
        messages: int = 5000,
        conversations: int = 0,
        seed: int = 1,
        history_end: datetime = HISTORY_END,
        delivery_seconds: float = 20.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 <= messages <= MAX_MESSAGES:
            raise ValueError(f"messages must be 0 to {MAX_MESSAGES}, not {messages}")
        if not 0 <= conversations <= len(GENERATED):
            raise ValueError(f"conversations must be 0 to {len(GENERATED)}, not {conversations}")
        if delivery_seconds <= 0:
            raise ValueError(f"delivery_seconds must be over 0, not {delivery_seconds}")
        if history_end.tzinfo is None:
            raise ValueError("history_end must have a time zone")
        self.seed = seed
        self.history_end_ms = int(history_end.timestamp() * 1000)
        self.delivery_ms = int(delivery_seconds * 1000)
        self._clock = clock
        self._templates: dict[tuple[EnumStyle, bool, int], TemplateBlock] = {}
        self._blocks: OrderedDict[tuple[int, str, int], _Block] = OrderedDict()
        self.cached_bytes = 0
        self._block_lock = threading.Lock()
        self.change_lock = threading.RLock()
        self._sent = 0xFF  # the batches above have the numbers below
        self.batches: dict[str, list[tuple[Conversation, int]]] = {}
        self._by_index: list[Conversation] = []
        self.conversations: dict[str, Conversation] = {}
        rng = Random(f"{seed}/sizes")
        for participant, size in (
            (MAIN, messages),
            (SEVEN, 7),
            (SINGLE, 1),
            (NAME, 12),
            (NAME_WITH_SPACE, 3),
            *((number, rng.randrange(20, 121)) for number in GENERATED[:conversations]),
        ):
            self._open(participant, size)
        for name, (batch_id, finals) in DEMO_BATCHES.items():
            # A large batch goes to many numbers, the last ones of the ranges; the others are one conversation.
            recipients = [*reversed(GENERATED)][: len(finals)] if len(finals) > 9 else [LIVE] * len(finals)
            self._deliver(batch_id, recipients, finals, reference=f"demo-{name}")

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _open(self, participant: str, history: int = 0) -> Conversation:
        conversation = Conversation(self, len(self._by_index), participant, history)
        self._by_index.append(conversation)
        self.conversations[participant] = conversation
        return conversation

    def template_block(self, number: int, style: EnumStyle, only_incoming: bool) -> TemplateBlock:
        """The templates of a block; they repeat after ``_TEMPLATE_BLOCKS`` of them."""
        key = (style, only_incoming, number % _TEMPLATE_BLOCKS)
        block = self._templates.get(key)
        if block is None:
            first = key[2] * _BLOCK
            block = self._templates[key] = TemplateBlock(
                [
                    make_template(self.seed, index, style, only_incoming=only_incoming)
                    for index in range(first, first + _BLOCK)
                ]
            )
        return block

    def cached(self, key: tuple[int, str, int]) -> _Block | None:
        with self._block_lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
            return block

    def cache(self, key: tuple[int, str, int], block: _Block) -> None:
        with self._block_lock:
            if key not in self._blocks:
                self.cached_bytes += len(block[0])
            self._blocks[key] = block
            while self.cached_bytes > _CACHE_BYTES:
                self.cached_bytes -= len(self._blocks.popitem(last=False)[1][0])

    # Batches

    def _deliver(
        self,
        batch_id: str,
        recipients: Iterable[str],
        finals: Sequence[int | None],
        *,
        reference: str | None,
        sender: str = "Sandbox",
        body: str = "Hej! Det här är ett testmeddelande från sandlådan. Ingen får det på riktigt.",
    ) -> None:
        created_ms = self.now_ms()
        batch = self.batches[batch_id] = []
        for place, (recipient, final) in enumerate(zip(recipients, finals, strict=True)):
            # The messages of a batch are settled one after the other, the last one after the whole time.
            whole = self.delivery_ms * (0.5 + 0.5 * (place + 1) / len(finals))
            stages = [(0, 101), (whole * 0.1, 102), (whole * 0.25, 110), (whole * 0.5, 112), (whole, final)]
            message = SentMessage(
                id=f"{batch_id[:8]}d{batch_id[18:]}{batch_id[15:18]}{place:06x}",
                batch_id=batch_id,
                sender=sender,
                recipient=recipient,
                body=body,
                created_ms=created_ms,
                steps=tuple((int(after), code) for after, code in stages if code is not None),
                reference=reference,
            )
            conversation = self.conversations.get(recipient) or self._open(recipient)
            batch.append((conversation, conversation.append(message)))

    def send(self, sender: str, recipients: Sequence[str], body: str, reference: str | None = None) -> str:
        """
        Put a new batch on its way: nothing leaves the sandbox, but its messages appear and get delivered in time.

        :return: the batch's id.
        """
        with self.change_lock:
            self._sent += 1
            batch_id = f"{self.now_ms() // 1000:08x}c{self.seed % 16**9:09x}{self._sent:06x}"
            self._deliver(batch_id, recipients, [201] * len(recipients), reference=reference, sender=sender, body=body)
        return batch_id

    def find_batch(self, batch_id: str) -> list[tuple[Conversation, int]]:
        """
        The messages of a batch, oldest first, each as its conversation and row there.

        :return: empty if there is no such batch.
        """
        if batch_id in self.batches:
            return self.batches[batch_id]
        if not re.fullmatch(r"[0-9a-f]{8}b[0-9a-f]{15}", batch_id):
            return []
        index, serial = int(batch_id[9:12], 16), int(batch_id[18:], 16)
        if index >= len(self._by_index):
            return []
        conversation = self._by_index[index]
        if serial not in conversation.rows or conversation.object_id("b", serial) != batch_id:
            return []
        return [(conversation, serial)]
