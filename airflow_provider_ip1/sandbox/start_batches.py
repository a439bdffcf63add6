# SPDX-License-Identifier: Apache-2.0
"""Batches that are sent when the sandbox starts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_ip1.sandbox.send_request import MAX_RECIPIENTS

GRAMMAR = """\
  MESSAGES[+SECONDS]
    3000                    a batch of 3,000 messages, which is sent when the sandbox starts
    3+86400                 a future batch: its delivery window opens a day later"""

_SPEC = re.compile(r"(?P<messages>[0-9]{1,9})(?:\+(?P<seconds>[0-9]{1,9}))?")


@dataclass(frozen=True)
class StartBatch:
    """
    A batch.

    :param messages: the number of messages.
    :param opens_after: seconds from the start of the sandbox until the delivery window opens; ``None`` for no window.
    """

    messages: int
    opens_after: int | None = None

    @classmethod
    def parse(cls, spec: str) -> StartBatch:
        """
        Read a batch from its text.

        :param spec: see ``GRAMMAR``.
        :raises ValueError: if it is not a batch of 1 to 10,000 messages.
        """
        match = _SPEC.fullmatch(spec)
        if match is None or not 1 <= int(match["messages"]) <= MAX_RECIPIENTS:
            raise ValueError(f"{spec!r} is not a batch of 1 to {MAX_RECIPIENTS} messages: MESSAGES[+SECONDS]")
        return cls(int(match["messages"]), None if match["seconds"] is None else int(match["seconds"]))
