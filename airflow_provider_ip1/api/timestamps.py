# SPDX-License-Identifier: Apache-2.0
"""Parsing times, as iP.1 sends them and as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from airflow_provider_ip1.api.phone import mask_number

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: The latest plausible time for code that has no clock.
LATEST_TIME: Final = datetime.max.replace(tzinfo=UTC)
_BETWEEN_DATE_AND_TIME: Final = frozenset("Tt ")
_from_iso_format = datetime.fromisoformat
_UTC_FORMAT: Final = re.compile(rb"0000-00-00T00:00:00(\.0+)?Z")
_DIGITS_TO_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")


def parse_timestamp(text: str | None) -> datetime | None:
    """
    Parse a time as iP.1 writes it (RFC 3339), with or without a zone.

    :param text: the time. A time without a zone is read as UTC. Digits after the microsecond are cut off.
    :return: the time in UTC; ``None`` for ``None``.
    :raises ValueError: the text is not a date and time.
    :raises OverflowError: the time in UTC is outside of the years 1 to 9999.
    """
    if text is None:
        return None
    if text[10:11] not in _BETWEEN_DATE_AND_TIME:
        raise ValueError("not a date and time")
    timestamp = _from_iso_format(f"{text[:-1]}Z" if text[-1] == "z" else text)
    zone = timestamp.tzinfo
    if zone is UTC:
        return timestamp
    return timestamp.replace(tzinfo=UTC) if zone is None else timestamp.astimezone(UTC)


def read_timestamps(values: Sequence[str | None]) -> list[datetime | None]:
    """
    Parse many times at once.

    :param values: texts, such as :attr:`RawPage.modified <airflow_provider_ip1.api.page_body.RawPage.modified>`.
    :return: the times in UTC, in the same order; ``None`` for a value that is missing or not a time.
    """
    try:
        timestamps = [_from_iso_format(value) for value in values]  # type: ignore[arg-type]  # None is a TypeError
        if all(timestamp.tzinfo is UTC for timestamp in timestamps) and _BETWEEN_DATE_AND_TIME.issuperset(
            [value[10:11] for value in values]  # type: ignore[index]
        ):
            return timestamps  # type: ignore[return-value]  # a list of the same, without None
    except (ValueError, TypeError):
        pass
    return [_timestamp_or_none(value) for value in values]


def earliest_and_latest(values: Sequence[str | None]) -> tuple[datetime, datetime] | None:
    """
    Find the earliest and the latest of many times by comparing their texts, which is faster than parsing them all.

    A text between the two that looks like a time but is not one, such as the 31st of February, goes unnoticed.

    :param values: texts, see :func:`read_timestamps`.
    :return: both times in UTC; ``None`` if they cannot be found this way, because there are no texts, they do not all
        have the same format, such as ``2026-01-31T23:59:59Z`` or ``2026-01-31T23:59:59.123Z``, or one of the two is not
        a time.
    """
    try:
        formats = "\n".join(values).encode().translate(_DIGITS_TO_ZEROS)  # type: ignore[arg-type]  # None: TypeError
        first, _, _ = formats.partition(b"\n")
        if _UTC_FORMAT.fullmatch(first) and formats == b"\n".join([first] * len(values)):
            return _from_iso_format(min(values)), _from_iso_format(max(values))  # type: ignore[type-var, arg-type]
    except (ValueError, TypeError):
        pass
    return None


def _timestamp_or_none(value: str | None) -> datetime | None:
    try:
        return parse_timestamp(value)
    except (ValueError, ArithmeticError):
        return None


def is_plausible(time: datetime | None, latest: datetime) -> TypeGuard[datetime]:
    """
    Return whether a message can have been modified, or a status reported, at this time.

    Times before the year 2000 are default values or errors.

    :param time: the time that iP.1 sent, aware; ``None`` if it sent none.
    :param latest: the latest plausible time, a day after the start of the export or after the poll.
    """
    return time is not None and _EARLIEST <= time <= latest


def read_time(value: Any, argument: str) -> datetime:
    """
    Read a time that a person or a template wrote.

    :param value: a datetime, or a date or date and time in ISO 8601; UTC if it has no zone. An integer becomes digits.
    :param argument: name of the argument, for the error.
    :return: the time in UTC.
    :raises ValueError: the value is neither, or lies outside the years 1 to 9999.
    """
    import pendulum

    if isinstance(value, int) and not isinstance(value, bool):
        # Native rendering of a template makes an integer of a date such as 20261101.
        value = str(value)
    time = _parse_iso(value.strip()) if isinstance(value, str) else value
    if not isinstance(time, datetime):
        shown = mask_number(repr(value)) if isinstance(value, str) else f"a value of type {type(value).__name__}"
        raise ValueError(
            f"{argument}: {shown} is not a time. Use a datetime, or ISO 8601 text such as 2026-11-01T00:00:00Z."
        )
    try:
        utc = pendulum.instance(time, tz="UTC").in_timezone("UTC")
    except OverflowError:
        raise ValueError(f"{argument}: {value!s} is outside the years 1 to 9999 in UTC.") from None
    # A plain datetime, because pendulum's subclass compares and subtracts several times slower.
    return datetime.combine(utc.date(), utc.time(), UTC)


def _parse_iso(text: str) -> datetime | None:
    import pendulum

    # pendulum also reads "now", times of day, durations and intervals.
    if not text[:4].isdigit():
        return None
    try:
        parsed = pendulum.parse(text, exact=True)
    except ValueError:
        return None
    if isinstance(parsed, pendulum.DateTime):
        return parsed
    return pendulum.datetime(parsed.year, parsed.month, parsed.day) if isinstance(parsed, pendulum.Date) else None
