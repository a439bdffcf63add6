# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""Single messages of the sandbox: templates for those of the past, objects for those that are on their way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
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


@lru_cache(maxsize=16_384)
def _minute(number: int) -> bytes:
    return (datetime(1970, 1, 1) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:").encode()


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


@dataclass(frozen=True, slots=True)
class Template:
    """One message of the past, with holes for what depends on its place in the conversation."""

    pieces: tuple[bytes, ...]
    """The JSON text around the holes: id, batch id, participant, status time, modified, and reference if outgoing."""
    length: int
    outgoing: bool
    code: int
    segments: int
    offset: float
    settle_ms: int
    lag_ms: int
    digits: int


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
        message["reference"] = hole
    message["mcc"], message["mnc"] = "240", rng.choice(("01", "02", "07", "08", "10"))
    pieces = tuple(dump(message).encode().split(dump(hole)[1:-1].encode()))
    return Template(
        pieces=pieces,
        length=sum(map(len, pieces)),
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
