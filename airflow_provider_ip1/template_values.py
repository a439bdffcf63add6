# SPDX-License-Identifier: Apache-2.0
"""Values of arguments that a DAG author or a template wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pendulum


def timestamp(value: Any, argument: str) -> datetime | None:
    """
    Read a time that a DAG author or a template wrote.

    :param value: a datetime, or ISO 8601 text; UTC if it has no zone. ``None``, ``""`` and ``"None"`` mean not set,
        because templates render ``None`` as text.
    :param argument: name of the argument, for the error.
    :return: the time in UTC, ``None`` if it is not set.
    :raises ValueError: the value is neither, or lies outside the years 1 to 9999.
    """
    if isinstance(value, str):
        value = none_if_blank(value)
        if isinstance(value, str):
            value = _parse(value.strip())
    if value is None:
        return None
    if not isinstance(value, datetime):
        shown = repr(value) if isinstance(value, str) else f"a value of type {type(value).__name__}"
        raise ValueError(
            f"{argument}: {shown} is not a time. Use a datetime, or ISO 8601 text such as 2026-11-01T00:00:00Z."
        )
    try:
        utc = pendulum.instance(value, tz="UTC").in_timezone("UTC")
    except OverflowError:
        raise ValueError(f"{argument}: {value!s} is outside the years 1 to 9999 in UTC.") from None
    # A plain datetime, because pendulum's subclass compares and subtracts several times slower.
    return datetime.combine(utc.date(), utc.time(), UTC)


def _parse(text: str) -> datetime | str:
    """Return the text unchanged if it is not a date or a date with a time."""
    try:
        parsed = pendulum.parse(text, exact=True)
    except ValueError:
        return text
    # pendulum also reads "now", times of day, durations and intervals.
    if not text[:4].isdigit():
        return text
    if isinstance(parsed, pendulum.DateTime):
        return parsed
    return pendulum.datetime(parsed.year, parsed.month, parsed.day) if isinstance(parsed, pendulum.Date) else text


def none_if_blank(value: str | None) -> str | None:
    """
    Undo the rendering of ``None`` by templates.

    :param value: the value of a templated argument.
    :return: ``None`` for blank text and ``"None"``, otherwise the value unchanged.
    """
    return None if isinstance(value, str) and value.strip() in ("", "None") else value
