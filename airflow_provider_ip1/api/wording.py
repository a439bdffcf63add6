# SPDX-License-Identifier: Apache-2.0
"""Numbers and times in words, for logs and errors, and what a log has to offer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Protocol

_UNITS: Final = ((172_800.0, 86_400.0, "days"), (7200.0, 3600.0, "h"), (120.0, 60.0, "min"))
_LAST_SECOND: Final = 253_402_300_799.0  # of the year 9999


class Log(Protocol):
    """A logger, of the standard library or of Airflow."""

    def info(self, event: Any, /, *args: Any) -> Any:
        """Log a line at INFO."""

    def warning(self, event: Any, /, *args: Any, **options: Any) -> Any:
        """Log a line at WARNING."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """
    Return a number with its noun, such as ``1 message`` or ``5,000 messages``.

    :param number: the number.
    :param noun: the noun in the singular.
    :param plural: the noun in the plural; by default with an ``s``.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def rate_text(number: int, noun: str, seconds: float) -> str | None:
    """
    Return how many there were per second, such as ``1 message/s`` or ``5,000 messages/s``.

    :param number: the number.
    :param noun: the noun in the singular.
    :param seconds: the time that they took.
    :return: the rate; ``None`` if it is below 1, because ``0 messages/s`` would look as if there had been none.
    """
    rate = round(number / max(seconds, 1e-3))
    return f"{counted(rate, noun)}/s" if rate else None


def duration_text(seconds: float) -> str:
    """
    Put a duration into words.

    :param seconds: the duration.
    :return: such as ``30 s``, ``10 min``, ``1.5 h`` or ``7 days``.
    """
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"


def moment_text(moment: float) -> str:
    """
    Put a moment into words.

    :param moment: seconds since 1970.
    :return: such as ``2026-11-01 12:00:00 UTC``; the end of the year 9999 for anything later.
    """
    return f"{datetime.fromtimestamp(min(moment, _LAST_SECOND), UTC):%Y-%m-%d %H:%M:%S} UTC"
