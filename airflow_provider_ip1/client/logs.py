# SPDX-License-Identifier: Apache-2.0
"""What the clients say in the task's log, and what the HTTP libraries must not say in theirs."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

from airflow_provider_ip1.api.paging.listing import AccountMessages, Lists
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.wording import counted, duration_text, rate_text

#: Seconds between two lines in the task's log; about a read, at first.
PROGRESS_INTERVAL = 10.0
#: Seconds between two lines about a long read.
LONGEST_INTERVAL: Final = 300.0
#: The part of the allowed requests from which on the limit decides how long a read takes.
_NEAR_LIMIT: Final = 0.8

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
# The signature of Azure's SAS tokens, which are a part of the URLs of an export's target.
_SIGNATURE = re.compile(r"([?&]sig=)[^&\s\"'<>]+")
_CONVERSATION_PATH = re.compile(r"(/conversations/)([^/?\s\"'<>]+)", re.IGNORECASE)


def mask_conversation_paths(text: str) -> str:
    """
    Mask the participant in every conversation path of a text.

    :param text: a URL, a path, or a log line that contains one.
    :return: the text with each ``/conversations/{participant}`` masked as :func:`mask_number` does.
    """
    return _CONVERSATION_PATH.sub(lambda found: found[1] + quote(mask_number(unquote(found[2])), safe="*"), text)


def _mask_urls(text: str) -> str:
    return _SIGNATURE.sub(r"\1***", mask_conversation_paths(text))


class _UrlFilter(logging.Filter):
    """Masks the participant, which is part of the path of a request, and signatures."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (masked := _mask_urls(message)) != message:
            record.msg, record.args = masked, ()
        if record.exc_info and record.exc_info[1] is not None:
            # A formatted traceback quotes the errors of the library, and these quote the URL.
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, _mask_urls(text)
        return True


def mask_http_logs() -> None:
    """Make the loggers of urllib3 and aiohttp mask participants and signatures. Calling it again changes nothing."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, _UrlFilter) for present in logger.filters):
            logger.addFilter(_UrlFilter())


class Progress:
    """
    Says how far a read is, at intervals that double from :data:`PROGRESS_INTERVAL` to :data:`LONGEST_INTERVAL`.

    :param lists: what is read.
    :param limit: the setting ``requests_per_second``; 0 for no limit.
    :param now: seconds of a monotonic clock at the start.
    """

    def __init__(self, lists: Lists, limit: float, now: float) -> None:
        self._lists = lists
        self._limit = limit
        self._began = now
        self._interval = PROGRESS_INTERVAL
        self._due = now + self._interval
        self._first: datetime | None = None
        self.messages = 0

    def add(self, page: Page, now: float, *, lists_read: int, batches: int | None, requests: int) -> str | None:
        """
        Count a page that was delivered.

        :param page: the page.
        :param now: seconds of the same clock.
        :param lists_read: how many lists were read to their end.
        :param batches: about how many batches the account has, if known.
        :param requests: how many requests were sent.
        :return: a line for the log if one is due, else ``None``.
        """
        self.messages += len(page)
        if self._first is None and page.batch is not None:
            self._first = _earliest(page)
        if now < self._due:
            return None
        self._interval = min(2 * self._interval, LONGEST_INTERVAL)
        self._due, seconds = now + self._interval, now - self._began
        messages = f"{self.messages:,} messages"
        if isinstance(self._lists, AccountMessages) or len(self._lists) > 1:
            parts, done = self._lists_so_far(page, lists_read, batches)
            parts.append(messages)
        else:
            has_total = page.total_hint is not None and page.total_hint > self.messages
            parts = [f"{messages} so far{f' of about {page.total_hint:,}' if has_total else ''}"]
            done = self.messages / page.total_hint if has_total and page.total_hint else 0.0
        if speed := rate_text(self.messages, "message", seconds):
            parts.append(speed)
        if 0 < done < 1:
            left = seconds / done - seconds
            parts.append(f"about {duration_text(round(left) if left < 120 else 60 * round(left / 60))} left")
        line = ", ".join(parts)
        if self._limit and requests >= _NEAR_LIMIT * self._limit * seconds:
            line += f"; requests_per_second={self._limit:g} is the limit"
        return line

    def _lists_so_far(self, page: Page, read: int, batches: int | None) -> tuple[list[str], float]:
        """Return what is known about the lists, and which part of them was read; 0 if unknown."""
        noun = ("conversation", "conversations") if page.batch is None else ("batch", "batches")
        if not isinstance(self._lists, AccountMessages):
            total: int | None = len(self._lists)
            count = f"{read:,} of {counted(len(self._lists), *noun)}"
        else:
            # The read may end early, or leave some of the batches out.
            total = None if self._lists.since is not None or self._lists.direction is not None else batches
            count = f"{read:,} of about {counted(total, *noun)}" if total else counted(read, *noun)
        parts, done = [count], min(read / total, 1) if total else 0.0
        if page.batch is not None and self._first is not None and (at := _earliest(page)) is not None:
            parts.append(f"{'back' if at < self._first else 'up'} to {at:%Y-%m-%d}")
            if isinstance(self._lists, AccountMessages) and (since := self._lists.since) is not None:
                done = (self._first - at) / (self._first - since) if since < at <= self._first else 0.0
        return parts, done


def _earliest(page: Page) -> datetime | None:
    return page.modified_range[0] if page.modified_range else None
