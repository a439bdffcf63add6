# SPDX-License-Identifier: Apache-2.0
"""Single messages of the sandbox: templates for those of the past, objects for those that are on their way."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any, Literal

from airflow_provider_ip1.sandbox import texts

EnumStyle = Literal["integers", "strings"]

OWN_NUMBER = "46846500499"  # the account's; from a range kept free for fiction, like all numbers here
OWNER = "ip1-00000"

_HOUR_MS = 3600 * 1000


@lru_cache(maxsize=1)
def _seconds() -> tuple[bytes, ...]:
    return tuple(b"%02d.%03dZ" % divmod(ms, 1000) for ms in range(60_000))


_TIMES_OF_DAY = tuple(b"T%02d:%02d:" % divmod(minute, 60) for minute in range(24 * 60))


@lru_cache(maxsize=4096)
def _day(number: int) -> bytes:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat().encode()


@lru_cache(maxsize=16_384)
def _minute(number: int) -> bytes:
    return _day(number // 1440) + _TIMES_OF_DAY[number % 1440]


def stamp(ms: int, digits: int = 3) -> bytes:
    """A time in UTC, given in milliseconds since 1970, as the API prints it; with 0, 3 or 7 digits of a second."""
    minute, rest = divmod(ms, 60_000)
    second = _seconds()[rest]
    if digits == 3:
        return _minute(minute) + second
    if digits == 0:
        return b"%b%bZ" % (_minute(minute), second[:2])
    return b"%b%b%04dZ" % (_minute(minute), second[:-1], rest % 9973)


def dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _enums(seed: str, *, outgoing: bool, flash: bool, ucs: bool, style: EnumStyle) -> tuple[Any, Any, Any]:
    """direction, type and datacoding: the schema's integers, or the mixed-case strings of iP.1's guide."""
    if style == "integers":
        return (0 if outgoing else 1), (0 if flash else 1), (2 if ucs else 0)
    rng = Random(seed)
    return (
        rng.choice(("mt", "MT") if outgoing else ("mo", "MO")),
        rng.choice(("flash", "Flash") if flash else ("SMS", "sms")),
        rng.choice(("ucs", "UCS") if ucs else ("GSM", "gsm")),
    )


_HOLES = 6  # id, batch id, participant, status time, modified, reference
_PARTS = 2 * _HOLES + 1


@dataclass(frozen=True, slots=True)
class Template:
    """One message of the past, with holes for what depends on its conversation and its place there."""

    parts: tuple[bytes, ...]
    """The JSON text and a comma; every second part is a hole. An incoming message has no use for the last hole."""
    outgoing: bool
    code: int
    segments: int
    offset: float
    settle_ms: int
    lag_ms: int
    digits: int


class TemplateBlock:
    """
    Templates that are filled together, which is much cheaper than one by one.

    :param templates: at least one.
    """

    def __init__(self, templates: Sequence[Template]) -> None:
        self.templates = templates
        self._parts = [part for template in templates for part in template.parts]
        self._lags = [template.lag_ms for template in templates]
        self._outgoing = [template.outgoing for template in templates]
        self._other_digits = [(i, template.digits) for i, template in enumerate(templates) if template.digits != 3]
        # Two ids of 24 characters; a reference ends in 6 digits; a time has 20 characters and its fraction.
        self._lengths = [
            sum(map(len, template.parts))
            + 48
            + 6 * template.outgoing
            + 2 * (20 + (template.digits + 1 if template.digits else 0))
            for template in templates
        ]

    def fill(
        self, first: int, participant: bytes, machine: bytes, serials: range, created: list[int], modified: list[int]
    ) -> tuple[bytes, array[int]]:
        """
        Messages as JSON objects with commas between them.

        :param first: the first template to use; then one after the other.
        :param participant: whom the conversation is with.
        :param machine: nine characters for the middle of the ids.
        :param serials: the messages' places in the conversation.
        :param created: when each was created, in milliseconds since 1970.
        :param modified: when each was last changed.
        :return: the text, and where in it each message starts, and the next one would.
        """
        count = len(serials)
        last = first + count
        seconds = [b"%08x" % (ms // 1000) for ms in created]
        counts = [b"%06x" % serial for serial in serials]
        message, batch = b"a" + machine, b"b" + machine
        status_times = [max(a, b - lag) for a, b, lag in zip(created, modified, self._lags[first:last], strict=True)]
        parts = self._parts[first * _PARTS : last * _PARTS]
        parts[1::_PARTS] = [second + message + number for second, number in zip(seconds, counts, strict=True)]
        parts[3::_PARTS] = [second + batch + number for second, number in zip(seconds, counts, strict=True)]
        parts[5::_PARTS] = [participant] * count
        second_texts = _seconds()
        for hole, times in ((7, status_times), (9, modified)):
            parts[hole::_PARTS] = [_minute(ms // 60_000) + second_texts[ms % 60_000] for ms in times]
            for place, digits in self._other_digits:
                if first <= place < last:
                    parts[(place - first) * _PARTS + hole] = stamp(times[place - first], digits)
        parts[11::_PARTS] = [
            number if outgoing else b"" for number, outgoing in zip(counts, self._outgoing[first:last], strict=True)
        ]
        starts = array("I", [0])
        starts.extend(accumulate(length + len(participant) for length in self._lengths[first:last]))
        return b"".join(parts)[:-1], starts


def make_template(seed: int, index: int, style: EnumStyle, *, only_incoming: bool) -> Template:
    rng = Random(f"{seed}/{index}")
    outgoing = not only_incoming and rng.random() < 0.7
    body = texts.notice(rng) if outgoing else texts.reply(rng)
    ucs, segments = texts.coding_and_segments(body)
    flash = outgoing and rng.random() < 0.01
    direction, kind, coding = _enums(f"{seed}/{index}/enums", outgoing=outgoing, flash=flash, ucs=ucs, style=style)
    # Nearly all messages arrive within a minute; some take hours, and an expired one is given up after a day.
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
    hole = "\0"
    message: dict[str, Any] = {
        "id": hole,
        "batchId": hole,
        "owner": OWNER,
        "sender": (rng.choice(texts.SENDERS) if rng.random() < 0.8 else OWN_NUMBER) if outgoing else hole,
        "recipient": hole if outgoing else OWN_NUMBER,
        "body": body,
        "direction": direction,
        "segments": segments,
        "type": kind,
        "datacoding": coding,
        "priority": 2 if outgoing and rng.random() < 0.05 else 1,
    }
    if outgoing:
        message["price"] = round(rng.choice((0.35, 0.39, 0.0412)) * segments, 4)
        message["currency"] = rng.choice(("SEK", "SEK", "sek", "EUR", "eur"))
    message["statuses"] = [{"code": code, "duration": 1, "created": hole}]
    message["modified"] = hole
    if outgoing:
        message["reference"] = f"ref-{hole}"
    message["mcc"], message["mnc"] = "240", rng.choice(("01", "02", "07", "08", "10"))
    pieces = (dump(message) + ",").encode().split(dump(hole)[1:-1].encode())
    if not outgoing:
        pieces.append(b"")
    parts = [b""] * _PARTS
    parts[0::2] = pieces
    return Template(
        parts=tuple(parts),
        outgoing=outgoing,
        code=code,
        segments=segments,
        offset=rng.random(),
        settle_ms=settle_ms,
        lag_ms=rng.randrange(1, 400),
        digits=rng.choice((3,) * 14 + (0, 7)),
    )


@dataclass(slots=True)
class SentMessage:
    """A message that goes through its statuses while the sandbox runs, on the sandbox's clock."""

    id: str
    batch_id: str
    sender: str
    recipient: str
    body: str
    created_ms: int
    steps: tuple[tuple[int, int], ...]
    """(milliseconds after creation, status code), in order."""
    reference: str | None = None
    outgoing: bool = True

    def history(self, now_ms: int) -> list[dict[str, Any]]:
        reached = [step for step in self.steps if self.created_ms + step[0] <= now_ms] or [self.steps[0]]
        return [
            {"code": code, "duration": int(code >= 200), "created": stamp(self.created_ms + after).decode()}
            for after, code in reached
        ]

    def to_dict(self, now_ms: int, style: EnumStyle) -> dict[str, Any]:
        ucs, segments = texts.coding_and_segments(self.body)
        direction, kind, coding = _enums(self.id, outgoing=self.outgoing, flash=False, ucs=ucs, style=style)
        latest = self.history(now_ms)[-1]
        message: dict[str, Any] = {
            "id": self.id,
            "batchId": self.batch_id,
            "owner": OWNER,
            "sender": self.sender,
            "recipient": self.recipient,
            "body": self.body,
            "direction": direction,
            "segments": segments,
            "type": kind,
            "datacoding": coding,
            "priority": 1,
        }
        if self.outgoing:
            message |= {"price": round(0.35 * segments, 4), "currency": "SEK"}
        message |= {"statuses": [latest], "modified": latest["created"]}
        if self.reference is not None:
            message["reference"] = self.reference
        return message | {"mcc": "240", "mnc": "07"}
