# SPDX-License-Identifier: Apache-2.0
"""Batches, as ``/v2/batches`` shows them: those of the past, one for each message, and those that were sent later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_ip1.sandbox.conversation import Conversation, count_by_code
from airflow_provider_ip1.sandbox.participants import OWNER
from airflow_provider_ip1.sandbox.past import EnumStyle, timestamp, to_json
from airflow_provider_ip1.sandbox.send_request import SendRequest
from airflow_provider_ip1.sandbox.sent import SENDING, SentMessage


@dataclass(frozen=True)
class PastBatch:
    """The batch of a message of the past: nothing but this message."""

    conversation: Conversation
    serial: int

    def __len__(self) -> int:
        return 1

    def messages(self, page: slice, style: EnumStyle, now_ms: int) -> list[bytes]:
        """Return some of the messages as a list call shows them, oldest first, as JSON."""
        return [self.conversation.message(self.serial, style, now_ms)][page]

    def message(self, message_id: str, style: EnumStyle, now_ms: int) -> dict[str, Any] | None:
        """Return a message with all of its statuses; ``None`` if it is not in this batch."""
        if self.conversation.message_id(self.serial) != message_id:
            return None
        return self.conversation.past_message(self.serial, style)

    def to_dict(self, now_ms: int, *, with_summaries: bool) -> dict[str, Any]:
        """Return the batch, with or without its summaries of prices and statuses."""
        message = self.conversation.past_message(self.serial, "integers")
        code = message["statuses"][-1]["code"]
        batch = {
            "id": message["batchId"],
            "sender": message["sender"],
            "body": message["body"],
            "owner": OWNER,
            "direction": "MO" if message["direction"] else "MT",
            "type": "sms" if message["type"] else "flash",
            "datacoding": "ucs",
            "priority": message["priority"],
            "templated": False,
            "deliveryWindows": [],
            "status": code,
            "reference": message.get("reference"),
            "tags": [],
        }
        if with_summaries:
            batch |= _summaries(
                [(code, message["segments"])], [message.get("price", 0.0)], message.get("currency", "SEK")
            )
        return batch

    def cancel(self, now_ms: int) -> bool:
        """Cancel the batch. Returns ``False`` because it was sent long ago."""
        return False


@dataclass(frozen=True)
class SentBatch:
    """A batch that was sent, or a message that was received, while the sandbox runs."""

    id: str
    order: SendRequest
    created_ms: int
    sent: Sequence[SentMessage]

    def __len__(self) -> int:
        return len(self.sent)

    def messages(self, page: slice, style: EnumStyle, now_ms: int) -> list[bytes]:
        """Return some of the messages as a list call shows them, oldest first, as JSON."""
        return [to_json(message.to_dict(now_ms, style)) for message in self.sent[page]]

    def message(self, message_id: str, style: EnumStyle, now_ms: int) -> dict[str, Any] | None:
        """Return a message with all of its statuses; ``None`` if it is not in this batch."""
        for message in self.sent:
            if message.id == message_id:
                return {**message.to_dict(now_ms, style), "statuses": message.history(now_ms)}
        return None

    def to_dict(self, now_ms: int, *, with_summaries: bool) -> dict[str, Any]:
        """Return the batch, with or without its summaries of prices and statuses."""
        order = self.order
        codes = [message.code(now_ms) for message in self.sent]
        batch: dict[str, Any] = {
            "id": self.id,
            "sender": order.sender,
            "body": order.body,
            "owner": OWNER,
            "direction": "MT" if self.sent[0].outgoing else "MO",
            "type": order.type,
            "datacoding": order.datacoding,
            "priority": order.priority,
            "templated": order.templated,
            "deliveryWindows": [
                {"opens": timestamp(opens_ms), "closes": timestamp(closes_ms)}
                for opens_ms, closes_ms in order.delivery_windows
            ],
            # The status of the message that has come least far.
            "status": min(codes),
            "reference": order.reference,
            "tags": list(order.tags),
        }
        if order.delivery_report_url is not None:
            batch["deliveryReportUrl"] = order.delivery_report_url
        if with_summaries:
            segments = [message.segments for message in self.sent]
            prices = [message.price if message.outgoing else 0.0 for message in self.sent]
            batch |= _summaries(zip(codes, segments, strict=True), prices, "SEK")
        return batch

    def cancel(self, now_ms: int) -> bool:
        """Cancel all messages, or return ``False`` if one of them is being sent or has a final status."""
        if any(message.code(now_ms) >= SENDING for message in self.sent):
            return False
        for message in self.sent:
            message.cancel(now_ms)
        return True


Batch = PastBatch | SentBatch


def _summaries(codes_and_segments: Iterable[tuple[int, int]], prices: list[float], currency: str) -> dict[str, Any]:
    total = sum(prices)
    return {
        "priceSummary": {"total": round(total, 4), "currency": currency, "average": round(total / len(prices), 4)},
        "messageSummary": count_by_code(Counter(codes_and_segments)),
    }
