# SPDX-License-Identifier: Apache-2.0
"""A conversation in the sandbox: which messages it has, in which order, and how they change."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from airflow_provider_ip1.sandbox.past import EnumStyle, Past, to_json
from airflow_provider_ip1.sandbox.sent import SentMessage

Direction = Literal["mt", "mo"]
#: Serial numbers of messages, oldest first.
Rows = Sequence[int]

PLACES = ("head", "middle", "tail")


class Conversation:
    """
    The messages with one participant.

    :param past: the messages that were there before the sandbox started.
    :param lock: held during changes.

    Each message has a serial number. ``rows`` lists the current ones, oldest first. It is replaced and never changed in
    place, so that a reader in another thread always sees a complete list. ``changes`` counts the changes to messages of
    the past.
    """

    def __init__(self, past: Past, lock: threading.RLock) -> None:
        self.past = past
        self.participant = past.participant
        self.rows: Rows = range(past.count)
        self.changes = 0
        self._lock = lock
        self._next = past.count
        self._inserted_ms: dict[int, int] = {}
        self._sent: dict[int, SentMessage] = {}
        self._overrides: dict[int, dict[str, Any]] = {}
        self._selected: dict[Direction, tuple[Rows, Rows]] = {}
        self._past_counts: tuple[Rows, dict[bool, Counter[tuple[int, int]]]] | None = None

    # One message

    def created_ms(self, serial: int) -> int:
        """Return when a message was created, in milliseconds since 1970."""
        sent = self._sent.get(serial)
        if sent is not None:
            return sent.created_ms
        inserted_ms = self._inserted_ms.get(serial)
        return self.past.created_ms(serial) if inserted_ms is None else inserted_ms

    def message_id(self, serial: int) -> str:
        """Return the id of a message."""
        sent = self._sent.get(serial)
        return self.past.object_id("a", serial, self.created_ms(serial)) if sent is None else sent.id

    def batch_id(self, serial: int) -> str:
        """Return the id of a message's batch."""
        sent = self._sent.get(serial)
        return self.past.object_id("b", serial, self.created_ms(serial)) if sent is None else sent.batch_id

    def is_outgoing(self, serial: int) -> bool:
        """Tell whether the account sent a message."""
        sent = self._sent.get(serial)
        return self.past.template(serial).outgoing if sent is None else sent.outgoing

    def message(self, serial: int, style: EnumStyle, now_ms: int) -> bytes:
        """Return a message as a list call shows it, as JSON."""
        sent = self._sent.get(serial)
        if sent is not None:
            return to_json(sent.to_dict(now_ms, style))
        if serial in self._overrides:
            return to_json({**self.past.message(serial, self.created_ms(serial), style), **self._overrides[serial]})
        return self.past.render(serial, self._inserted_ms.get(serial), style)

    def past_message(self, serial: int, style: EnumStyle) -> dict[str, Any]:
        """Return a message of the past with all of its statuses, as the call for a single message shows it."""
        created_ms = self.created_ms(serial)
        return {
            **self.past.message(serial, created_ms, style),
            "statuses": self.past.history(serial, created_ms),
            **self._overrides.get(serial, {}),
        }

    # Many messages

    def select(self, direction: Direction | None) -> Rows:
        """Return the messages of one direction, or all."""
        rows = self.rows
        if direction is None:
            return rows
        selected = self._selected.get(direction)
        if selected is None or selected[0] is not rows:
            outgoing = direction == "mt"
            selected = rows, [serial for serial in rows if self.is_outgoing(serial) is outgoing]
            self._selected[direction] = selected
        return selected[1]

    def summary(self, now_ms: int) -> dict[str, Any]:
        """Return the counts that ``/summary`` shows. A message counts under its latest status."""
        rows = self.rows
        if self._past_counts is None or self._past_counts[0] is not rows:
            counted: dict[bool, Counter[tuple[int, int]]] = {True: Counter(), False: Counter()}
            for serial in rows:
                if serial not in self._sent:
                    made = self.past.template(serial)
                    counted[made.outgoing][made.code, made.segments] += 1
            self._past_counts = rows, counted
        counts = {outgoing: counter.copy() for outgoing, counter in self._past_counts[1].items()}
        for serial in rows if self._sent else ():
            sent = self._sent.get(serial)
            if sent is not None:
                counts[sent.outgoing][sent.code(now_ms), sent.segments] += 1
        return {
            "participant": self.participant,
            "totalMessageCount": len(rows),
            "totalSmsCount": sum(
                segments * count for counter in counts.values() for (_, segments), count in counter.items()
            ),
            "mobileTerminatedMessages": count_by_code(counts[True]),
            "mobileOriginatedMessages": count_by_code(counts[False]),
        }

    def past_batches(self) -> Iterator[tuple[int, str]]:
        """Return when each batch of the past was created, in milliseconds since 1970, and its id."""
        for serial in self.rows:
            if serial not in self._sent:
                created_ms = self.created_ms(serial)
                yield created_ms, self.past.object_id("b", serial, created_ms)

    # Changes

    def insert(self, count: int = 1, at: str | int = "tail") -> list[str]:
        """
        Put messages of the past into the conversation.

        :param count: how many.
        :param at: ``head`` (before the oldest), ``middle``, ``tail`` (after the newest), or the row to insert before.
        :return: their ids.
        :raises ValueError: if ``at`` is not a place in the conversation.
        """
        with self._lock:
            rows = self.rows
            place = _place(at, len(rows))
            serials = range(self._next, self._next + count)
            if place < len(rows):
                first_ms = self.created_ms(rows[place]) - count
            else:
                first_ms = self.created_ms(rows[-1]) + 1000 if rows else self.past.end_ms
            self._inserted_ms.update(zip(serials, range(first_ms, first_ms + count), strict=True))
            self._next += count
            self.rows = [*rows[:place], *serials, *rows[place:]]
            self.changes += 1
            return [self.message_id(serial) for serial in serials]

    def delete(self, count: int = 1, at: str | int = "head") -> list[str]:
        """
        Take messages out of the conversation.

        :param count: how many.
        :param at: ``head`` (the oldest), ``middle``, ``tail`` (the newest), or the first row to delete.
        :return: their ids.
        :raises ValueError: if ``at`` is not a place in the conversation.
        """
        with self._lock:
            rows = self.rows
            place = _place(at, max(len(rows) - count, 0) if isinstance(at, str) else len(rows))
            deleted = [self.message_id(serial) for serial in rows[place : place + count]]
            self.rows = [*rows[:place], *rows[place + count :]]
            self.changes += 1
            return deleted

    def swap(self, at: int) -> None:
        """Swap the rows ``at`` and ``at + 1``, as a database may if their messages were created at the same time."""
        with self._lock:
            rows = list(self.rows)
            rows[at : at + 2] = reversed(rows[at : at + 2])
            self.rows = rows

    def override(self, at: int, fields: dict[str, Any]) -> None:
        """
        Give a message of the past other values for some fields.

        :param at: its row.
        :param fields: any JSON, by field.
        """
        self._overrides[self.rows[at]] = fields

    def append(self, messages: Sequence[SentMessage]) -> list[int]:
        """Add messages after the newest one and return their serial numbers."""
        with self._lock:
            serials = range(self._next, self._next + len(messages))
            self._sent.update(zip(serials, messages, strict=True))
            self._next += len(messages)
            self.rows = [*self.rows, *serials]
            return list(serials)


def _place(at: str | int, tail: int) -> int:
    if isinstance(at, str) and at in PLACES:
        return {"head": 0, "middle": tail // 2, "tail": tail}[at]
    if isinstance(at, int) and 0 <= at <= tail:
        return at
    raise ValueError(f"at must be {', '.join(PLACES)} or a row number up to {tail}, not {at!r}")


def count_by_code(messages: Counter[tuple[int, int]]) -> dict[str, dict[str, int]]:
    """
    Count messages and SMS under each status code, as iP.1's summaries do.

    :param messages: how many messages have which status code and number of segments.
    """
    by_code: dict[str, dict[str, int]] = {}
    for (code, segments), count in sorted(messages.items()):
        row = by_code.setdefault(str(code), {"messages": 0, "sms": 0})
        row["messages"] += count
        row["sms"] += segments * count
    return by_code
