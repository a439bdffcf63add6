# SPDX-License-Identifier: Apache-2.0
"""Invented messages that are difficult for a file format. Their shape follows iP.1's documentation."""

from __future__ import annotations

import json
from typing import Any

PARTICIPANT = "46701740605"
OWN_NUMBER = "46846500499"

USUAL: dict[str, Any] = {
    "id": "69054e12a000c3378f000000",
    "batchId": "69054e12b000c3378f000000",
    "owner": "ip1-00000",
    "sender": OWN_NUMBER,
    "recipient": PARTICIPANT,
    "body": "Hej, din tid är bokad.",
    "direction": 0,
    "segments": 1,
    "type": 1,
    "datacoding": 0,
    "priority": 1,
    "price": 0.35,
    "currency": "sek",
    "statuses": [{"code": 201, "duration": 1, "created": "2026-10-31T10:00:00.123Z"}],
    "modified": "2026-10-31T10:00:01Z",
    "reference": "ref-1",
    "mcc": "240",
    "mnc": "07",
}


def message(number: int, **changes: Any) -> dict[str, Any]:
    """Return a usual message with another id and some fields changed. A field set to ``...`` is left out."""
    fields = USUAL | {"id": f"{number:024x}"} | changes
    return {name: value for name, value in fields.items() if value is not ...}


ODD = [
    message(1),
    message(2, body="Emoji 🎂 ✔, \"quotes\", 'single', a; semicolon, a \\ backslash"),
    message(3, body="lines\nin\r\nsome\rforms\tand\u2028more\x00", reference=""),
    message(4, body=None, price=None, currency=None, statuses=None, modified=None, reference=None, mcc=None),
    message(5, body=..., price=..., currency=..., statuses=..., reference=..., mcc=..., mnc=..., segments=...),
    message(6, statuses=[], body=""),
    message(7, direction="MO", type="FLASH", datacoding="ucs", priority="high", sender=PARTICIPANT, recipient="iP1"),
    message(8, direction=7, type=9, datacoding="rot13", priority="urgent", sender="a", recipient="b"),
    message(9, statuses=[{"code": 777, "duration": 1, "created": "2026-10-31T10:00:00Z"}]),
    message(
        10,
        statuses=[
            {"code": 201, "duration": 1, "created": "2026-10-31T10:00:02+02:00"},
            {"code": 102, "duration": 0, "created": "2026-10-31T07:59:00Z", "gateway": "north"},
            {"code": 111, "duration": "temporary", "created": None},
        ],
    ),
    message(11, tags=["a", {"b": None}], links={"self": "https://example.com/?a=1&b=2"}, score=1.5),
    message(12, price=0.30000000000000004, mcc=240, mnc="007"),
    message(13, price=12345678901.5),
    message(14, modified="2026-10-31T10:00:01.1234567Z"),
    message(15, modified="yesterday", segments="two", price="free"),
    message(16, body="=1+1", reference="a,b\n"),
]


def raw(fields: dict[str, Any]) -> bytes:
    """Encode the JSON object as a server would."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


ODD_RAWS = [raw(fields) for fields in ODD] + [
    # Half a UTF-16 pair and numbers with more digits than a float has, as JSON allows them.
    b'{"id":"surrogate","body":"half \\ud83d","price":1.10,"unknown \\ud83d":"\\udc00"}',
    b'{ "id" : "pretty",\r\n  "body" : "on\\nlines",\n  "extra" : [ 1 ,\n 2 ] }',
]
