# SPDX-License-Identifier: Apache-2.0
"""Sends the sandbox's pushes over HTTP, to this machine only unless told otherwise."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from airflow_provider_ip1.sandbox.past import to_json
from airflow_provider_ip1.sandbox.pushes import Push
from airflow_provider_ip1.sandbox.store import Store

log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_HOUR = 3600.0


@dataclass(frozen=True)
class PushRecord:
    """
    One attempt to send a push.

    :param push: what was sent.
    :param status: the response's status; 0 if there was no response, or if the URL is not on this machine.
    :param is_last: whether the sandbox will not send this push again.
    """

    push: Push
    status: int
    is_last: bool


class Pusher:
    """
    Sends what is due in a sandbox, one push after the other, while an aiohttp application runs.

    :param store: the sandbox's messages and pushes.
    :param anywhere: send to any address, not just to this machine.
    :param record: called with each attempt.
    """

    def __init__(
        self, store: Store, *, anywhere: bool = False, record: Callable[[PushRecord], None] | None = None
    ) -> None:
        self._store = store
        self._anywhere = anywhere
        self._record = record
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()

    def check(self, url: str) -> None:
        """
        Check a URL before anything is sent to it.

        :raises ValueError: if the sandbox would never send to it.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not an http or https URL")
        if not self._allows(url):
            raise ValueError(f"{url!r} is not on this machine; allow it with --push-anywhere (push_anywhere=True)")

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Send pushes while the application runs; a ``cleanup_ctx`` of aiohttp."""
        loop, wake = asyncio.get_running_loop(), asyncio.Event()
        self._lock = asyncio.Lock()
        self._store.pushes.on_change = lambda: loop.call_soon_threadsafe(wake.set)
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as self._session:
            task = asyncio.create_task(self._send_forever(wake))
            yield
            self._store.pushes.on_change = lambda: None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def send_due(self) -> None:
        """Send what is due now, after what another call is sending."""
        async with self._lock:
            self._store.receive_replies()
            for push in self._store.pushes.take(self._store.now_ms()):
                status = await self._send(push)
                is_last = status == 200 or not self._allows(push.url)
                is_last = is_last or not self._store.pushes.failed(push, self._store.now_ms())
                # A URL may contain a secret, and its body is personal.
                log.info("push %s (%s), try %s -> %s", push.number, push.kind, push.tries + 1, status or "no response")
                if self._record is not None:
                    self._record(PushRecord(push, status, is_last))

    async def _send_forever(self, wake: asyncio.Event) -> None:
        while True:
            wake.clear()
            await self.send_due()
            due_ms = self._store.next_push_ms()
            seconds = _HOUR if due_ms is None else max((due_ms - self._store.now_ms()) / 1000, 0)
            # Not wait_for: in Python 3.11, it can swallow the cancellation that ends this task.
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, _HOUR)):
                    await wake.wait()

    async def _send(self, push: Push) -> int:
        if self._session is None or not self._allows(push.url):
            log.warning("push %s (%s) is not sent: its URL is not on this machine", push.number, push.kind)
            return 0
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            async with self._session.post(
                push.url, data=to_json(push.body), headers=headers, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0

    def _allows(self, url: str) -> bool:
        """Tell whether to send to a URL. A name is not resolved, because that would ask another machine."""
        if self._anywhere:
            return True
        try:
            host = urlsplit(url).hostname or ""
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
