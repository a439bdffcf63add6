# SPDX-License-Identifier: Apache-2.0
"""The request rate that all clients of a process share."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import ClassVar
from weakref import WeakValueDictionary

from airflow_provider_ip1.api.rate import RequestRate
from airflow_provider_ip1.api.settings import Settings


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
