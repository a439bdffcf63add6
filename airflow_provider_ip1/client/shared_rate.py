# SPDX-License-Identifier: Apache-2.0
"""Spreads the requests of all clients of a process over time."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import ClassVar
from weakref import WeakValueDictionary

from airflow_provider_ip1.api.settings import Settings


class RequestRate:
    """
    Hands out evenly spaced moments for sending, so that no second has more requests than the limit.

    It has no lock: call it from one thread, or hold a lock around :meth:`reserve`.

    :param per_second: most requests per second, above 0; 0 for no limit.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        self._next = 0.0

    def reserve(self, now: float) -> float:
        """
        Take the next free moment.

        :param now: seconds of a monotonic clock.
        :return: seconds to wait from now until sending, 0 or more.
        """
        moment = max(self._next, now)
        self._next = moment + self._interval
        return moment - now


class SharedRate:
    """
    The request rate of all clients of a process that use the same key, in any thread.

    Before sending, wait as long as :meth:`reserve` says, then as long as :meth:`confirm` says. Waiters delayed by a
    blocked event loop would otherwise all send at once.

    :param per_second: most requests per second; 0 for no limit.
    :param clock: seconds of a monotonic clock; tests replace it.
    """

    _shared: ClassVar[WeakValueDictionary[tuple[str, str, float], SharedRate]] = WeakValueDictionary()
    _sharing: ClassVar = threading.Lock()

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._planned = RequestRate(per_second)
        self._sent = RequestRate(per_second)
        self._clock = clock
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> SharedRate:
        """
        Return the rate for a connection.

        :param settings: of the connection.
        """
        key_digest = hashlib.sha256(settings.api_key.encode()).hexdigest()
        name = (settings.base_url, key_digest, settings.requests_per_second)
        with cls._sharing:
            shared = cls._shared.get(name)
            if shared is None:
                shared = cls._shared[name] = cls(settings.requests_per_second)
            return shared

    def reserve(self) -> float:
        """Take the next free moment. Returns the seconds until then."""
        with self._lock:
            return self._planned.reserve(self._clock())

    def confirm(self) -> float:
        """Take a moment again, now that the reserved one has come. Returns the seconds until then, mostly 0."""
        with self._lock:
            return self._sent.reserve(self._clock())
