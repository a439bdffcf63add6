# SPDX-License-Identifier: Apache-2.0
"""What one sandbox holds: its conversations and batches, and the messages that are on their way."""

from __future__ import annotations

import heapq
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from random import Random

from airflow_provider_ip1.sandbox.account import Account, SenderRule
from airflow_provider_ip1.sandbox.batches import Batch, PastBatch, SentBatch
from airflow_provider_ip1.sandbox.conversation import Conversation
from airflow_provider_ip1.sandbox.faults import Faults
from airflow_provider_ip1.sandbox.participants import (
    GENERATED,
    LIVE,
    MAIN,
    NAME,
    NAME_WITH_SPACE,
    OWN_NUMBER,
    SEVEN,
    SINGLE,
)
from airflow_provider_ip1.sandbox.past import Past
from airflow_provider_ip1.sandbox.pushes import PushQueue
from airflow_provider_ip1.sandbox.replies import Replies
from airflow_provider_ip1.sandbox.send_request import WEEK_MS, SendRequest
from airflow_provider_ip1.sandbox.sent import DELIVERED, SentMessage
from airflow_provider_ip1.sandbox.start_batches import StartBatch

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
    :param replies: what recipients reply, see :data:`.replies.GRAMMAR`.
    :param batches: batches that are sent when the sandbox starts, besides the demo batches, see
        :data:`.start_batches.GRAMMAR`.
    :param senders: who can send, see :class:`.Account`.
    :param balance: what the account has paid in advance, see :class:`.Account`.
    :param pushes: gets the pushes that are owed. Default: a queue without faults.
    :param clock: returns the sandbox's time in seconds since 1970.
    :raises ValueError: if a value is out of range.

    ``incoming_url`` is where incoming messages are pushed to, as set in iP.1's portal. It may be changed.
    """

    def __init__(
        self,
        *,
        messages: int = 5000,
        conversations: int = 0,
        seed: int = 1,
        history_end: datetime = HISTORY_END,
        delivery_seconds: float = 20.0,
        replies: Iterable[str] = (),
        batches: Iterable[str] = (),
        senders: SenderRule = "any",
        balance: float | None = None,
        pushes: PushQueue | None = None,
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
        self.replies = Replies(replies)
        self.account = Account(sender_rule=senders, balance=balance, now_ms=self.now_ms)
        self.pushes = PushQueue(Faults()) if pushes is None else pushes
        self.incoming_url: str | None = None
        self._by_index: list[Conversation] = []
        self._sent: dict[str, SentBatch] = {}
        # The batches, and how many changes, or batches that were sent, they include.
        self._past_batches: tuple[int, list[tuple[int, str]]] | None = None
        self._all_batches: tuple[int, list[tuple[int, str]]] | None = None
        # When the reply arrives, the message that it replies to, and its text.
        self._due_replies: list[tuple[int, str, SentMessage, str]] = []
        self._lock = threading.RLock()
        self._seed = seed
        self._end_ms = int(history_end.timestamp() * 1000)
        self._delivery_ms = int(delivery_seconds * 1000)
        self._clock = clock
        self._count = 0xFF  # The demo batches have the numbers below.
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
            numbers = [*reversed(GENERATED)][: len(finals)] if len(finals) > 9 else [LIVE] * len(finals)
            order = SendRequest("Sandbox", _DEMO_TEXT, dict.fromkeys(numbers, _DEMO_TEXT), reference=f"demo-{name}")
            self._deliver(batch_id, order, [(number, _DEMO_TEXT) for number in numbers], finals)
        for batch in map(StartBatch.parse, batches):
            # More messages than numbers: some numbers get several.
            numbers = list(islice(cycle(GENERATED), batch.messages))
            order = SendRequest(
                "Sandbox",
                _DEMO_TEXT,
                dict.fromkeys(numbers, _DEMO_TEXT),
                delivery_windows=() if batch.opens_after is None else (self._window(batch.opens_after),),
                reference=f"batch-{batch.messages}",
            )
            recipients = [(number, _DEMO_TEXT) for number in numbers]
            self._deliver(self._new_id("c"), order, recipients, [DELIVERED] * len(recipients))

    def now_ms(self) -> int:
        """Return the sandbox's time in milliseconds since 1970."""
        return int(self._clock() * 1000)

    def send(self, order: SendRequest) -> SentBatch:
        """Send a batch. Nothing leaves the sandbox, but the messages appear and arrive, and recipients reply."""
        with self._lock:
            self.receive_replies()
            recipients = list(order.texts.items())
            finals = [self.account.final_status(order, number, text) for number, text in recipients]
            batch = self._deliver(self._new_id("c"), order, recipients, finals, rejects_early=True)
            for message in batch.sent:
                reply = self.replies.of(message.recipient)
                if reply is not None:
                    due_ms = message.delivered_ms() + int(reply.seconds * 1000)
                    heapq.heappush(self._due_replies, (due_ms, message.id, message, reply.text))
            if order.delivery_report_url is not None:
                self.pushes.report(batch.sent, order.delivery_report_url)
            # The next reply may be due before the next push.
            self.pushes.on_change()
            return batch

    def cancel(self, batch: Batch) -> bool:
        """Cancel all messages of a batch, or return ``False`` if one is being sent or has a final status."""
        if not batch.cancel(self.now_ms()):
            return False
        if isinstance(batch, SentBatch):
            self.pushes.canceled(batch.sent)
        return True

    def receive(self, sender: str, body: str, recipient: str = OWN_NUMBER, created_ms: int | None = None) -> SentBatch:
        """
        Receive a message from a participant. ``STOP`` puts the participant on the blacklist.

        :param sender: the participant.
        :param recipient: a number of the account.
        :param created_ms: when it arrived, in milliseconds since 1970; now if ``None``.
        """
        with self._lock:
            if created_ms is None:
                created_ms = self.now_ms()
            batch_id = self._new_id("e")
            message = SentMessage(
                id=f"{batch_id[:8]}f{batch_id[9:]}",
                batch_id=batch_id,
                sender=sender,
                recipient=recipient,
                body=body,
                created_ms=created_ms,
                steps=((0, DELIVERED),),
                outgoing=False,
            )
            self._conversation(sender).append([message])
            if body.strip().upper() == "STOP":
                self.account.blacklist.add(sender)
            batch = SentBatch(batch_id, SendRequest(sender, body, {recipient: body}), created_ms, [message])
            self._sent[batch_id] = batch
            if self.incoming_url is not None:
                self.pushes.incoming(message, self.incoming_url)
            return batch

    def next_push_ms(self) -> int | None:
        """Return when a push or a reply that causes one is due, in milliseconds since 1970; ``None`` if none is."""
        times = [self.pushes.next_ms()]
        if self.incoming_url is not None:
            times.append(self._next_reply_ms())
        return min((time for time in times if time is not None), default=None)

    def _next_reply_ms(self) -> int | None:
        # Without the lock, so another thread may take the last one at any time.
        return next((due_ms for due_ms, *_ in self._due_replies[:1]), None)

    def receive_replies(self) -> None:
        """Receive the replies that are due. Nobody replies to a message that did not arrive."""
        now_ms = self.now_ms()
        # Before taking the lock, which a large batch holds for long.
        due_ms = self._next_reply_ms()
        if due_ms is None or due_ms > now_ms:
            return
        with self._lock:
            while self._due_replies and self._due_replies[0][0] <= now_ms:
                due_ms, _, message, text = heapq.heappop(self._due_replies)
                if message.code(due_ms) == DELIVERED:
                    own = message.sender if message.sender.isdigit() else OWN_NUMBER
                    self.receive(message.recipient, text, own, due_ms)

    def batch_ids(self) -> list[tuple[int, str]]:
        """Return when each batch was created, in milliseconds since 1970, and its id, oldest first."""
        with self._lock:
            changes = sum(conversation.changes for conversation in self._by_index)
            if self._past_batches is None or self._past_batches[0] != changes:
                past = [batch for conversation in self._by_index for batch in conversation.past_batches()]
                self._past_batches = changes, sorted(past)
                self._all_batches = None
            if self._all_batches is None or self._all_batches[0] != len(self._sent):
                sent = [(batch.created_ms, batch.id) for batch in self._sent.values()]
                self._all_batches = len(sent), sorted([*self._past_batches[1], *sent])
            return self._all_batches[1]

    def find_batch(self, batch_id: str) -> Batch | None:
        """Return a batch, or ``None`` if there is no batch with this id."""
        if batch_id in self._sent:
            return self._sent[batch_id]
        if not re.fullmatch(r"[0-9a-f]{8}b[0-9a-f]{15}", batch_id):
            return None
        index, serial = int(batch_id[9:12], 16), int(batch_id[18:], 16)
        if index >= len(self._by_index):
            return None
        conversation = self._by_index[index]
        if serial not in conversation.rows or conversation.batch_id(serial) != batch_id:
            return None
        return PastBatch(conversation, serial)

    def _open(self, participant: str, count: int = 0) -> Conversation:
        past = Past(self._seed, len(self._by_index), participant, count, self._end_ms)
        conversation = self.conversations[participant] = Conversation(past, self._lock)
        self._by_index.append(conversation)
        return conversation

    def _conversation(self, participant: str) -> Conversation:
        return self.conversations.get(participant) or self._open(participant)

    def _window(self, opens_after: int) -> tuple[int, int]:
        opens_ms = self.now_ms() + opens_after * 1000
        return opens_ms, opens_ms + WEEK_MS

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{self.now_ms() // 1000:08x}{kind}{self._seed % 16**9:09x}{self._count:06x}"

    def _deliver(
        self,
        batch_id: str,
        order: SendRequest,
        recipients: Sequence[tuple[str, str]],
        finals: Sequence[int | None],
        *,
        rejects_early: bool = False,
    ) -> SentBatch:
        created_ms = self.now_ms()
        # The first window that is not over yet.
        opens_ms = next((opens for opens, closes in order.delivery_windows if closes > created_ms), created_ms)
        wait_ms = max(opens_ms - created_ms, 0)
        sent = []
        for place, ((recipient, text), final) in enumerate(zip(recipients, finals, strict=True)):
            # The messages of a batch are delivered one after the other, the last one after the whole time.
            whole = self._delivery_ms * (0.5 + 0.5 * (place + 1) / len(finals))
            stages = [(0, 101), (whole * 0.1, 102)]
            if rejects_early and final is not None and final != DELIVERED:
                stages += [(wait_ms + whole * 0.25, final)]
            else:
                stages += [(wait_ms + whole * 0.25, 110), (wait_ms + whole * 0.5, 112)]
                stages += [(wait_ms + whole, final)] if final is not None else []
            message = SentMessage(
                id=f"{batch_id[:8]}d{batch_id[18:]}{batch_id[15:18]}{place:06x}",
                batch_id=batch_id,
                sender=order.sender,
                recipient=recipient,
                body=text,
                created_ms=created_ms,
                steps=tuple((int(after_ms), code) for after_ms, code in stages),
                reference=order.reference,
                flash=order.type == "flash",
                priority=order.priority,
            )
            sent.append(message)
            self._conversation(recipient).append([message])
        batch = self._sent[batch_id] = SentBatch(batch_id, order, created_ms, sent)
        return batch
