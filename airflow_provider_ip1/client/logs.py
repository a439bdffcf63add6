# SPDX-License-Identifier: Apache-2.0
"""What the clients say in the task's log, and what the HTTP libraries must not say in theirs."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, unquote

from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.wording import Log, rate_text

#: Seconds between two lines in the task's log.
PROGRESS_INTERVAL = 10.0
#: Reasons of repeated requests that one line lists.
MAX_REASONS: Final = 5

#: Loggers that write paths or URLs of requests: each request at DEBUG, malformed headers at WARNING.
_LOGGERS: Final = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
    "aiohttp.client",
    "aiohttp.internal",
    "asyncio",
)
_CONVERSATION_PATH = re.compile(r"(/conversations/)([^/?\s\"'<>]+)", re.IGNORECASE)


def mask_conversation_paths(text: str) -> str:
    """
    Mask the participant in every conversation path of a text.

    :param text: a URL, a path, or a log line that contains one.
    :return: the text with each ``/conversations/{participant}`` masked as :func:`mask_number` does.
    """
    return _CONVERSATION_PATH.sub(lambda found: found[1] + quote(mask_number(unquote(found[2])), safe="*"), text)


class _ConversationPathFilter(logging.Filter):
    """Masks the participant, which is part of the path of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (masked := mask_conversation_paths(message)) != message:
            record.msg, record.args = masked, ()
        if record.exc_info and record.exc_info[1] is not None:
            # A formatted traceback quotes the errors of the library, and these quote the URL.
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, mask_conversation_paths(text)
        return True


def mask_http_logs() -> None:
    """Make the loggers of urllib3 and aiohttp mask participants. Calling it again changes nothing."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, _ConversationPathFilter) for present in logger.filters):
            logger.addFilter(_ConversationPathFilter())


class RetryLog:
    """
    Says why requests are repeated: one line at once, and one for all further ones at intervals and at the end.

    :param log: gets the lines.
    :param clock: seconds of a monotonic clock; tests replace it.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._counting = threading.Lock()
        self._next = 0.0
        self._reasons: Counter[str] = Counter()

    def add(self, label: str, seconds: float, reason: str) -> None:
        """
        Count a request that will be repeated.

        :param label: what is requested.
        :param seconds: how long its client waits before.
        :param reason: why its last attempt had no usable response.
        """
        with self._counting:
            now = self._clock()
            is_due = now >= self._next
            if is_due:
                self._next = now + PROGRESS_INTERVAL
            else:
                self._reasons[reason] += 1
        if is_due:
            self.finish()
            self._log.info("Requesting %s again in %.1f s: %s.", label, seconds, reason)

    def finish(self) -> None:
        """Write the line for requests that have none, if there are any."""
        with self._counting:
            reasons, self._reasons = self._reasons, Counter()
        if reasons:
            counts = [f"{reason} ({count}x)" for reason, count in reasons.most_common(MAX_REASONS)]
            rest = f", and {len(reasons) - MAX_REASONS} other reasons" if len(reasons) > MAX_REASONS else ""
            self._log.info("Requested %d more times again: %s%s.", reasons.total(), ", ".join(counts), rest)


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
        if speed := rate_text(self.messages, "message", now - self._began):
            line += f", {speed}"
        if total_hint is not None and total_hint > self.messages and rate > 0:
            line += f", about {(total_hint - self.messages) / rate:,.0f} s left"
        return line
