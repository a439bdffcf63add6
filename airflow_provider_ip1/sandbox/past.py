# SPDX-License-Identifier: Apache-2.0
"""
Messages of the past, computed from their place in a conversation.

They need no memory until they are read, and the same seed always makes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any, Literal

import msgspec

from airflow_provider_ip1.sandbox import texts
from airflow_provider_ip1.sandbox.participants import OWN_NUMBER, OWNER

EnumStyle = Literal["integers", "strings"]

#: Renders a value as compact JSON in UTF-8.
to_json = msgspec.json.Encoder().encode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_MS = 365 * 24 * 3600 * 1000
_HOUR_MS = 3600 * 1000
# Enough different messages that no compressor finds a repeated one within its window.
_TEMPLATES = 8192
# About 120 MB of messages.
_CACHED_MESSAGES = 150_000


def timestamp(ms: int, digits: Literal[0, 3, 7] = 3) -> str:
    """
    Print a time as the API does.

    :param ms: milliseconds since 1970, UTC.
    :param digits: the number of digits after the second.
    """
    text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
    if digits == 3:
        return f"{text[:23]}Z"
    # A time in milliseconds does not have seven digits, so the last four are made up.
    return f"{text[:19]}Z" if digits == 0 else f"{text[:23]}{ms % 60_000 % 9973:04d}Z"


def enums(
    seed: str, *, outgoing: bool, flash: bool, ucs: bool, style: EnumStyle
) -> tuple[int | str, int | str, int | str]:
    """
    Return direction, type and datacoding in one of the two styles that iP.1 documents.

    :param seed: decides which upper or lower case a string gets.
    :param style: ``integers`` as in the schema, or ``strings`` in mixed case as in the guide.
    """
    if style == "integers":
        return 0 if outgoing else 1, 0 if flash else 1, 2 if ucs else 0
    rng = Random(seed)
    return (
        rng.choice(("mt", "MT") if outgoing else ("mo", "MO")),
        rng.choice(("flash", "Flash") if flash else ("SMS", "sms")),
        rng.choice(("ucs", "UCS") if ucs else ("GSM", "gsm")),
    )


@dataclass(frozen=True, slots=True)
class Template:
    """A message without the fields that depend on its conversation and its place there."""

    fields: dict[str, Any]
    """All fields in order. Those that depend on the conversation are ``None``."""
    outgoing: bool
    code: int
    segments: int
    offset: float
    """When the message was created, as a fraction of the time between two messages."""
    settle_ms: int
    """The time from its creation to its last change."""
    lag_ms: int
    """The time from its final status to its last change."""
    digits: Literal[0, 3, 7]


@lru_cache(maxsize=2 * _TEMPLATES)
def template(seed: int, index: int, style: EnumStyle, only_incoming: bool) -> Template:
    """Make up a message: the same arguments always return the same one."""
    rng = Random(f"{seed}/{index}")
    outgoing = not only_incoming and rng.random() < 0.7
    body = texts.notice(rng) if outgoing else texts.reply(rng)
    ucs, segments = texts.coding_and_segments(body)
    flash = outgoing and rng.random() < 0.01
    # Nearly all messages arrive within a minute. Some take hours, and an expired one is given up after a day.
    code, settle_ms = 201, int(rng.uniform(1_500, 40_000))
    if outgoing:
        chance = rng.random()
        if chance < 0.02:
            code, settle_ms = 202, 24 * _HOUR_MS
        elif chance < 0.03:
            code, settle_ms = rng.choice((402, 403, 406, 500, 511, 599)), int(rng.uniform(200, 2_000))
        elif chance < 0.10:
            settle_ms = int(rng.uniform(60_000, 5 * _HOUR_MS))
    else:
        settle_ms = int(rng.uniform(100, 900))
    direction, kind, datacoding = enums(f"{seed}/{index}/enums", outgoing=outgoing, flash=flash, ucs=ucs, style=style)
    fields: dict[str, Any] = {
        "id": None,
        "batchId": None,
        "owner": OWNER,
        "sender": (rng.choice(texts.SENDERS) if rng.random() < 0.8 else OWN_NUMBER) if outgoing else None,
        "recipient": None if outgoing else OWN_NUMBER,
        "body": body,
        "direction": direction,
        "segments": segments,
        "type": kind,
        "datacoding": datacoding,
        "priority": 2 if outgoing and rng.random() < 0.05 else 1,
    }
    if outgoing:
        fields["price"] = round(rng.choice((0.35, 0.39, 0.0412)) * segments, 4)
        fields["currency"] = rng.choice(("SEK", "SEK", "sek", "EUR", "eur"))
    fields["statuses"] = fields["modified"] = None
    if outgoing:
        fields["reference"] = None
    fields["mcc"], fields["mnc"] = "240", rng.choice(("01", "02", "07", "08", "10"))
    return Template(
        fields=fields,
        outgoing=outgoing,
        code=code,
        segments=segments,
        offset=rng.random(),
        settle_ms=settle_ms,
        lag_ms=rng.randrange(1, 400),
        digits=rng.choice((3,) * 14 + (0, 7)),
    )


@dataclass(frozen=True)
class Past:
    """
    The messages that a conversation had before the sandbox started, oldest first.

    Each message has a serial number. Numbers from ``count`` on belong to messages that were inserted later, at any
    creation time.

    :param seed: the sandbox's seed.
    :param index: the conversation's number, which tells its ids and texts from other conversations'.
    :param participant: the other side of the conversation.
    :param count: the number of messages.
    :param end_ms: no message is newer than this, in milliseconds since 1970.
    """

    seed: int
    index: int
    participant: str
    count: int
    end_ms: int

    def template(self, serial: int, style: EnumStyle = "integers") -> Template:
        """Return what a message says. Conversations start at different templates so that they differ."""
        return template(self.seed, (serial + self.index * 997) % _TEMPLATES, style, not self.participant.isdigit())

    def created_ms(self, serial: int) -> int:
        """Return when a message was created. Messages are at most an hour apart and span at most a year."""
        step_ms = min(_HOUR_MS, _YEAR_MS // max(self.count, 1))
        return self.end_ms - self.count * step_ms + int((serial + self.template(serial).offset) * step_ms)

    def object_id(self, kind: Literal["a", "b"], serial: int, created_ms: int) -> str:
        """
        Make an id that looks like a MongoDB ObjectId: seconds, the conversation, the serial number.

        :param kind: ``a`` for a message, ``b`` for its batch.
        """
        return f"{created_ms // 1000:08x}{kind}{self.index % 4096:03x}{_salt(self.seed, self.index)}{serial:06x}"

    def times(self, serial: int, created_ms: int) -> tuple[int, int]:
        """Return when a message got its final status and when it last changed."""
        made = self.template(serial)
        # The past is over, so every message in it is final.
        modified = max(created_ms, min(created_ms + made.settle_ms, self.end_ms))
        return max(created_ms, modified - made.lag_ms), modified

    def message(self, serial: int, created_ms: int, style: EnumStyle) -> dict[str, Any]:
        """Return a message as a list call shows it: with its latest status only."""
        made = self.template(serial, style)
        final, modified = self.times(serial, created_ms)
        message = {
            **made.fields,
            "id": self.object_id("a", serial, created_ms),
            "batchId": self.object_id("b", serial, created_ms),
            "recipient" if made.outgoing else "sender": self.participant,
            "statuses": [{"code": made.code, "duration": 1, "created": timestamp(final, made.digits)}],
            "modified": timestamp(modified, made.digits),
        }
        if made.outgoing:
            message["reference"] = f"ref-{serial:06x}"
        return message

    @lru_cache(maxsize=_CACHED_MESSAGES)  # noqa: B019 - equal conversations share their messages, across servers
    def render(self, serial: int, inserted_ms: int | None, style: EnumStyle) -> bytes:
        """
        Return :meth:`message` as JSON.

        :param inserted_ms: the creation time of an inserted message.
        """
        return to_json(self.message(serial, self.created_ms(serial) if inserted_ms is None else inserted_ms, style))

    def history(self, serial: int, created_ms: int) -> list[dict[str, Any]]:
        """Return all statuses that a message had, oldest first."""
        made = self.template(serial)
        final, _ = self.times(serial, created_ms)
        passed: tuple[tuple[int, float], ...] = ()
        if made.outgoing:
            passed = ((101, 0.0), (102, 0.02))
            # A rejected message never reaches the carrier.
            if made.code < 400:
                passed += ((110, 0.1), (112, 0.4))
        return [
            {
                "code": code,
                "duration": 0,
                "created": timestamp(created_ms + int((final - created_ms) * part), made.digits),
            }
            for code, part in passed
        ] + [{"code": made.code, "duration": 1, "created": timestamp(final, made.digits)}]


@lru_cache
def _salt(seed: int, index: int) -> str:
    return f"{Random(f'{seed}/{index}').randrange(16**6):06x}"
