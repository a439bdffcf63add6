# SPDX-License-Identifier: Apache-2.0
"""The progress lines of a long read."""

from __future__ import annotations

#: Seconds between two lines in the task's log.
PROGRESS_INTERVAL = 10.0


class Progress:
    """
    Reports the progress of a read at intervals.

    :param now: seconds of a monotonic clock at the start.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._reported = now
        self.messages = 0

    def add(self, messages: int, total_hint: int | None, now: float) -> str | None:
        """
        Count messages that were delivered.

        :param messages: how many more.
        :param total_hint: about how many there are in all, if known.
        :param now: seconds of the same clock.
        :return: a line for the log if the last one is at least :data:`PROGRESS_INTERVAL` old, else ``None``.
        """
        self.messages += messages
        if now - self._reported < PROGRESS_INTERVAL:
            return None
        self._reported = now
        rate = self.messages / (now - self._began)
        line = f"{self.messages:,} messages so far"
        if total_hint is not None and total_hint > self.messages:
            line += f" of about {total_hint:,}"
        line += f", {rate:,.0f} messages/s"
        if total_hint is not None and total_hint > self.messages and rate > 0:
            line += f", about {(total_hint - self.messages) / rate:,.0f} s left"
        return line
