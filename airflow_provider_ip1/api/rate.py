# SPDX-License-Identifier: Apache-2.0
"""Spreads requests over time. It neither sleeps nor looks at a clock."""

from __future__ import annotations


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
