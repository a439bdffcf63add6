# SPDX-License-Identifier: Apache-2.0
"""
What the sandbox pushes, and when: delivery reports and incoming messages, their retries, and their faults.

Nothing here sends anything; :mod:`.pusher` does. The time is the sandbox's clock, so tests decide when a push is due.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

from airflow_provider_ip1.sandbox.faults import Faults
from airflow_provider_ip1.sandbox.sent import SentMessage

#: iP.1 tries to deliver a report ten times. For incoming messages, it only documents that it tries again "later".
TRIES = 10
RETRY_SECONDS = 600.0


@dataclass(frozen=True)
class Push:
    """
    One POST that the sandbox owes.

    :param number: counts the pushes from 1, in the order in which they become due; 0 before that. A repeated push
        keeps its number.
    :param kind: ``report`` for a delivery report, ``incoming`` for an incoming message.
    :param url: where to.
    :param body: the JSON object.
    :param tries: how often it was sent before.
    """

    kind: Literal["report", "incoming"]
    url: str
    body: dict[str, Any]
    number: int = 0
    tries: int = 0


@dataclass
class _Watched:
    """A message whose statuses are reported: where to, how many of them were, and those that are held back."""

    message: SentMessage
    url: str
    reported: int = 0
    held: list[Push] | None = None


class PushQueue:
    """
    The pushes of one sandbox.

    :param faults: the sandbox's faults; those that start with ``push-`` count here.
    :param retry_seconds: how long after a push without a 200 it is sent again, above 0.
    :param on_change: called when a push was added.
    :raises ValueError: if ``retry_seconds`` is out of range.
    """

    def __init__(
        self, faults: Faults, *, retry_seconds: float = RETRY_SECONDS, on_change: Callable[[], object] = lambda: None
    ) -> None:
        if retry_seconds <= 0:
            raise ValueError(f"push_retry_seconds must be above 0, not {retry_seconds}")
        self.on_change = on_change
        self._faults = faults
        self._retry_ms = int(retry_seconds * 1000)
        # When, in which order if at the same time, and what: a push, or a message whose next status is to be reported.
        self._due: list[tuple[int, int, Push | _Watched]] = []
        self._order = count()
        self._numbers = count(1)
        # Leave after the push that follows them.
        self._overtaken: list[Push] = []
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()

    def report(self, messages: Iterable[SentMessage], url: str) -> None:
        """Report each status of these messages to a URL when they reach it."""
        with self._lock:
            for message in messages:
                self._watch(self._watched.setdefault(message.id, _Watched(message, url)))
        self.on_change()

    def canceled(self, messages: Iterable[SentMessage]) -> None:
        """Report the status of messages whose next statuses have changed."""
        with self._lock:
            for message in messages:
                if message.id in self._watched:
                    self._watch(self._watched[message.id])
        self.on_change()

    def incoming(self, message: SentMessage, url: str) -> None:
        """Push an incoming message to a URL."""
        fields = message.to_dict(message.created_ms, "integers")
        # iP.1's example prints these in exactly this case.
        texts = {"direction": "mo", "type": "SMS", "datacoding": "UCS" if fields["datacoding"] else "GSM"}
        with self._lock:
            self._add(message.created_ms, Push("incoming", url, fields | texts))
        self.on_change()

    def next_ms(self) -> int | None:
        """Return when the next push is due, in milliseconds since 1970; ``None`` if there is none."""
        with self._lock:
            return self._due[0][0] if self._due else None

    def take(self, now_ms: int) -> list[Push]:
        """Return the pushes that are due, in the order in which to send them, and forget them."""
        found: list[Push] = []
        with self._lock:
            while self._due and self._due[0][0] <= now_ms:
                due_ms, _, entry = heapq.heappop(self._due)
                pushes = self._reports(entry, due_ms) if isinstance(entry, _Watched) else self._pushes(entry, due_ms)
                if pushes:
                    found += [*pushes, *self._overtaken]
                    self._overtaken = []
        return found

    def failed(self, push: Push, now_ms: int) -> bool:
        """
        Send a push again later, because it did not get a 200.

        :return: whether it will be sent again; ``False`` after ten tries.
        """
        if push.tries + 1 >= TRIES:
            return False
        with self._lock:
            self._add(now_ms + self._retry_ms, replace(push, tries=push.tries + 1))
        return True

    def _add(self, due_ms: int, entry: Push | _Watched) -> None:
        heapq.heappush(self._due, (due_ms, next(self._order), entry))

    def _watch(self, watched: _Watched) -> None:
        after_ms, _ = watched.message.steps[watched.reported]
        self._add(watched.message.created_ms + after_ms, watched)

    def _reports(self, watched: _Watched, due_ms: int) -> list[Push]:
        message = watched.message
        after_ms, _ = message.steps[min(watched.reported, len(message.steps) - 1)]
        if watched.reported == len(message.steps) or message.created_ms + after_ms != due_ms:
            # The batch was canceled in the meantime, so this status never came, or another entry reported it.
            return []
        push = Push("report", watched.url, message.report(watched.reported), next(self._numbers))
        if watched.reported == 0 and "push-reversed" in self._faults.for_push(push.number):
            watched.held = []
        watched.reported += 1
        is_last = watched.reported == len(message.steps)
        if is_last:
            del self._watched[message.id]
        else:
            self._watch(watched)
        if watched.held is None:
            return self._spoil(push, due_ms)
        watched.held.append(push)
        return [each for held in reversed(watched.held) for each in self._spoil(held, due_ms)] if is_last else []

    def _pushes(self, push: Push, due_ms: int) -> list[Push]:
        if push.number:
            # The faults hit it before: it is late, or sent again.
            return [push]
        return self._spoil(replace(push, number=next(self._numbers)), due_ms)

    def _spoil(self, push: Push, due_ms: int) -> list[Push]:
        hits = self._faults.for_push(push.number)
        copies = [push] * (0 if "push-lost" in hits else 2 if "push-twice" in hits else 1)
        late = hits.last("push-late")
        if late is not None:
            for copy in copies:
                self._add(due_ms + int(float(late.options["seconds"]) * 1000), copy)
            return []
        if "push-swap" in hits:
            self._overtaken += copies
            return []
        return copies
