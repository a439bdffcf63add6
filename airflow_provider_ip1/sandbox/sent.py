# SPDX-License-Identifier: Apache-2.0
"""Messages that are sent or received while the sandbox runs, and pass through their statuses on its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_ip1.sandbox import texts
from airflow_provider_ip1.sandbox.participants import OWNER
from airflow_provider_ip1.sandbox.past import EnumStyle, enums, timestamp

DELIVERED = 201
CANCELED = 203
#: Sending starts with this status. A message can be canceled before.
SENDING = 110


@dataclass(slots=True)
class SentMessage:
    """
    One message.

    :param steps: (milliseconds after creation, status code) of each status, oldest first. The first is reached at once.
    """

    id: str
    batch_id: str
    sender: str
    recipient: str
    body: str
    created_ms: int
    steps: tuple[tuple[int, int], ...]
    reference: str | None = None
    outgoing: bool = True
    flash: bool = False
    priority: int = 1

    @property
    def segments(self) -> int:
        """The number of SMS that carry the text."""
        return texts.coding_and_segments(self.body)[1]

    @property
    def price(self) -> float:
        """The price of all segments in SEK."""
        return price_of(self.body, self.priority)

    def code(self, now_ms: int) -> int:
        """Return the latest status code."""
        return self._reached(now_ms)[-1][1]

    def delivered_ms(self) -> int:
        """Return when the message gets its last status."""
        return self.created_ms + self.steps[-1][0]

    def cancel(self, now_ms: int) -> None:
        """End with the status Canceled now."""
        self.steps = (*self._reached(now_ms), (now_ms - self.created_ms, CANCELED))

    def history(self, now_ms: int) -> list[dict[str, Any]]:
        """Return the statuses so far, oldest first."""
        return [
            {"code": code, "duration": int(code >= 200), "created": timestamp(self.created_ms + after_ms)}
            for after_ms, code in self._reached(now_ms)
        ]

    def report(self, step: int) -> dict[str, Any]:
        """Return the delivery report of one of its statuses, as iP.1 pushes it."""
        after_ms, code = self.steps[step]
        return {
            "messageId": self.id,
            "batchId": self.batch_id,
            "recipient": self.recipient,
            "code": code,
            "duration": int(code >= 200),
            "created": timestamp(self.created_ms + after_ms),
            "segments": self.segments,
            "price": self.price,
            # iP.1's example has a currency in lower case here, and in upper case in a message.
            "currency": "sek",
            "reference": self.reference,
        }

    def to_dict(self, now_ms: int, style: EnumStyle) -> dict[str, Any]:
        """Return the message as a list call shows it: with its latest status only."""
        ucs, segments = texts.coding_and_segments(self.body)
        direction, kind, datacoding = enums(self.id, outgoing=self.outgoing, flash=self.flash, ucs=ucs, style=style)
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
            "datacoding": datacoding,
            "priority": self.priority,
        }
        if self.outgoing:
            message |= {"price": self.price, "currency": "SEK"}
        message |= {"statuses": [latest], "modified": latest["created"]}
        if self.reference is not None:
            message["reference"] = self.reference
        return message | {"mcc": "240", "mnc": "07"}

    def _reached(self, now_ms: int) -> list[tuple[int, int]]:
        return [step for step in self.steps if self.created_ms + step[0] <= now_ms] or [self.steps[0]]


def price_of(text: str, priority: int) -> float:
    """Return the price of all segments of a text in SEK. High priority (2) costs more."""
    return round((0.35 if priority == 1 else 0.45) * texts.coding_and_segments(text)[1], 4)
