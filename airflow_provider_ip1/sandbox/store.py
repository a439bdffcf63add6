# SPDX-License-Identifier: Apache-2.0
"""What one sandbox holds: its conversations and batches."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random

from airflow_provider_ip1.sandbox.conversation import Conversation
from airflow_provider_ip1.sandbox.participants import GENERATED, LIVE, MAIN, NAME, NAME_WITH_SPACE, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.past import Past
from airflow_provider_ip1.sandbox.sent import SentMessage

HISTORY_END = datetime(2026, 11, 1, tzinfo=UTC)
MAX_MESSAGES = 10_000_000

#: The batches that are on their way when the sandbox starts: name -> (id, final status of each message). ``None`` means
#: that a message stays at 112.
DEMO_BATCHES: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "delivered": ("69000000c000000000000001", (201,)),
    "expired": ("69000000c000000000000002", (202,)),
    "rejected": ("69000000c000000000000003", (403,)),
    "failed": ("69000000c000000000000004", (511,)),
    "stuck": ("69000000c000000000000005", (None,)),
    "mixed": ("69000000c000000000000006", (201, 201, 202)),
    "large": ("69000000c000000000000007", (201,) * 120),
}
_DEMO_TEXT = "Hej! Det här är ett testmeddelande från sandlådan. Ingen får det på riktigt."


class Store:
    """
    The conversations and batches of one sandbox.

    :param messages: how many messages the main conversation has, 0 to 10,000,000.
    :param conversations: how many further numbers have a conversation, 0 to the length of ``GENERATED``.
    :param seed: the same seed makes the same messages.
    :param history_end: no message of the past is newer than this; with a time zone.
    :param delivery_seconds: how long a message takes from being accepted to its final status, in seconds, above 0.
    :param clock: returns the sandbox's time in seconds since 1970.
    :raises ValueError: if a value is out of range.
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
            raise ValueError(f"delivery_seconds must be above 0, not {delivery_seconds}")
        if history_end.tzinfo is None:
            raise ValueError("history_end must have a time zone")
        self.conversations: dict[str, Conversation] = {}
        self.batches: dict[str, list[tuple[Conversation, int]]] = {}
        self._by_index: list[Conversation] = []
        self._lock = threading.RLock()
        self._seed = seed
        self._end_ms = int(history_end.timestamp() * 1000)
        self._delivery_ms = int(delivery_seconds * 1000)
        self._clock = clock
        self._sent = 0xFF  # The demo batches have the numbers below.
        random = Random(f"{seed}/sizes")
        for participant, count in (
            (MAIN, messages),
            (SEVEN, 7),
            (SINGLE, 1),
            (NAME, 12),
            (NAME_WITH_SPACE, 3),
            *((number, random.randrange(20, 121)) for number in GENERATED[:conversations]),
        ):
            self._open(participant, count)
        for name, (batch_id, finals) in DEMO_BATCHES.items():
            # The large batch goes to many numbers, the last ones of the ranges. The others are one conversation.
            recipients = [*reversed(GENERATED)][: len(finals)] if len(finals) > 9 else [LIVE] * len(finals)
            self._deliver(batch_id, "Sandbox", recipients, _DEMO_TEXT, f"demo-{name}", finals)

    def now_ms(self) -> int:
        """Return the sandbox's time in milliseconds since 1970."""
        return int(self._clock() * 1000)

    def send(self, sender: str, recipients: Sequence[str], body: str, reference: str | None = None) -> str:
        """
        Send a batch. Nothing leaves the sandbox, but the messages appear and are delivered in time.

        :return: the batch's id.
        """
        with self._lock:
            self._sent += 1
            batch_id = f"{self.now_ms() // 1000:08x}c{self._seed % 16**9:09x}{self._sent:06x}"
            self._deliver(batch_id, sender, recipients, body, reference, [201] * len(recipients))
        return batch_id

    def find_batch(self, batch_id: str) -> list[tuple[Conversation, int]]:
        """
        Return the messages of a batch, oldest first, each as its conversation and its serial number there.

        :return: an empty list if there is no such batch.
        """
        if batch_id in self.batches:
            return self.batches[batch_id]
        if not re.fullmatch(r"[0-9a-f]{8}b[0-9a-f]{15}", batch_id):
            return []
        index, serial = int(batch_id[9:12], 16), int(batch_id[18:], 16)
        if index >= len(self._by_index):
            return []
        conversation = self._by_index[index]
        if serial not in conversation.rows or conversation.batch_id(serial) != batch_id:
            return []
        return [(conversation, serial)]

    def _open(self, participant: str, count: int = 0) -> Conversation:
        past = Past(self._seed, len(self._by_index), participant, count, self._end_ms)
        conversation = self.conversations[participant] = Conversation(past, self._lock)
        self._by_index.append(conversation)
        return conversation

    def _deliver(
        self,
        batch_id: str,
        sender: str,
        recipients: Sequence[str],
        body: str,
        reference: str | None,
        finals: Sequence[int | None],
    ) -> None:
        created_ms = self.now_ms()
        batch = self.batches[batch_id] = []
        for place, (recipient, final) in enumerate(zip(recipients, finals, strict=True)):
            # The messages of a batch are delivered one after the other, the last one after the whole time.
            whole = self._delivery_ms * (0.5 + 0.5 * (place + 1) / len(finals))
            stages = [(0, 101), (whole * 0.1, 102), (whole * 0.25, 110), (whole * 0.5, 112), (whole, final)]
            message = SentMessage(
                id=f"{batch_id[:8]}d{batch_id[18:]}{batch_id[15:18]}{place:06x}",
                batch_id=batch_id,
                sender=sender,
                recipient=recipient,
                body=body,
                created_ms=created_ms,
                steps=tuple((int(after_ms), code) for after_ms, code in stages if code is not None),
                reference=reference,
            )
            conversation = self.conversations.get(recipient) or self._open(recipient)
            batch.append((conversation, conversation.append([message])[0]))
