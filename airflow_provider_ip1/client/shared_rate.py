# SPDX-License-Identifier: Apache-2.0
"""Spreads the requests of all clients of a process over time."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Generator
from typing import ClassVar, Literal

from airflow_provider_ip1.api.call import origin
from airflow_provider_ip1.api.settings import Settings, is_loopback


class SharedRate:
    """
    The request rate of all clients of a process that use the same key, in any thread and event loop.

    It spaces requests evenly and allows no burst.

    :param clock: seconds of a monotonic clock, 0 or more; tests replace it.
    """

    # One lock for all, so that a forked process can replace it. The other threads that may hold it do not exist there.
    _lock: ClassVar = threading.Lock()
    # By host, port and a hash of the key. A process meets few keys, so none is forgotten.
    _known: ClassVar[dict[tuple[str, int | None, str], SharedRate]] = {}

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free = {"planned": 0.0, "sent": 0.0}
        self._held_until = 0.0

    @staticmethod
    def of(settings: Settings) -> SharedRate:
        """
        Return the rate of a connection's key. It outlives the clients that use it.

        :param settings: of the connection.
        """
        _, host, port = origin(settings.base_url)
        host = "localhost" if is_loopback(host) else host.rstrip(".")
        key = hashlib.sha256(settings.api_key.encode()).hexdigest()
        with SharedRate._lock:
            return SharedRate._known.setdefault((host, port, key), SharedRate())

    def turn(self, per_second: float) -> Generator[float, None, None]:
        """
        Take a turn to send one request: yield the seconds to wait, until there is nothing to wait for.

        :param per_second: most requests per second, above 0; 0 for no limit. It sets the distance to the next request,
            so clients with different limits never exceed the highest.
        """
        if per_second:
            yield from self._wait("planned", 1 / per_second)
            # Waiters delayed by a blocked event loop would otherwise all send at once.
            yield from self._wait("sent", 1 / per_second)
        while self._held_until > self._clock():
            yield from self._wait("sent", 1 / per_second if per_second else 0.0)

    def hold(self, seconds: float) -> None:
        """
        Let no request have its turn for a while, because the server has refused one as too many.

        :param seconds: how long, from now.
        """
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)

    def _wait(self, queue: Literal["planned", "sent"], interval: float) -> Generator[float, None, None]:
        with self._lock:
            now = self._clock()
            moment = max(now, self._held_until)
            if interval:
                moment = max(moment, self._free[queue])
                self._free[queue] = moment + interval
        if moment > now:
            yield moment - now


def _after_fork() -> None:
    SharedRate._lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
