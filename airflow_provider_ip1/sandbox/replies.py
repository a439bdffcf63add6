# SPDX-License-Identifier: Apache-2.0
"""What recipients reply to the messages that a test or a DAG sends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

GRAMMAR = """\
  [NUMBER:]SECONDS=TEXT
    5=Ja tack               every recipient replies 5 seconds after the delivery
    46701740606:2=STOP      this one unsubscribes: later messages to it are rejected"""

_SPEC = re.compile(r"(?:(?P<recipient>[0-9]{1,15}):)?(?P<seconds>[0-9]+(?:\.[0-9]+)?)=(?P<text>.*\S.*)", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """
    A reply to be sent.

    :param recipient: who replies; ``None`` for every recipient.
    :param seconds: how long after the delivery.
    :param text: the text.
    """

    recipient: str | None
    seconds: float
    text: str

    @classmethod
    def parse(cls, spec: str) -> Reply:
        """
        Read a reply from its text.

        :param spec: see ``GRAMMAR``.
        :raises ValueError: if it is not a reply.
        """
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise ValueError(f"{spec!r} is not a reply: [NUMBER:]SECONDS=TEXT")
        return cls(match["recipient"], float(match["seconds"]), match["text"])


class Replies:
    """
    The replies of a sandbox. They may change while it runs, and concern messages that are sent later.

    :param specs: see ``GRAMMAR``.
    """

    def __init__(self, specs: Iterable[str] = ()) -> None:
        self._by_recipient: dict[str | None, Reply] = {}
        self.add(*specs)

    def add(self, *specs: str) -> None:
        """Add replies. If two concern the same recipient, the later one counts."""
        self._by_recipient |= {reply.recipient: reply for reply in map(Reply.parse, specs)}

    def clear(self) -> None:
        """Let nobody reply."""
        self._by_recipient = {}

    def of(self, recipient: str) -> Reply | None:
        """Return what a recipient replies: their own reply, or the one of every recipient."""
        return self._by_recipient.get(recipient, self._by_recipient.get(None))
