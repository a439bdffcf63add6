# SPDX-License-Identifier: Apache-2.0
"""
The columns of the typed table, a page at a time.

Ordinary messages, which look exactly as iP.1 documents them, are decoded together and converted column by column. That
is several times faster than row by row. An odd message is converted by :mod:`airflow_provider_ip1.formats.rows` and
inserted where it belongs, so the result is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from typing import Any, Final

import msgspec

from airflow_provider_ip1.api.decoding import DocumentedRow, decode_documented
from airflow_provider_ip1.api.enums import (
    DATACODINGS,
    PRIORITIES,
    TYPES,
    direction_of,
    name_or_value,
    normalize_address,
)
from airflow_provider_ip1.api.json_fields import parse_decimal
from airflow_provider_ip1.api.json_text import UNDECODABLE
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.routes import other_side_of
from airflow_provider_ip1.api.status import status_category, status_name
from airflow_provider_ip1.api.timestamps import parse_timestamp
from airflow_provider_ip1.formats.redacted_page import RedactedPage
from airflow_provider_ip1.formats.rows import Row, fit_price, is_int32, json_text, name_of, row_at, utc_text
from airflow_provider_ip1.formats.table import COLUMN_NAMES

_STATUSES: Final = COLUMN_NAMES.index("statuses")
_MODIFIED: Final = COLUMN_NAMES.index("modified")
_ROWS = msgspec.json.Decoder(list[DocumentedRow])


class Columns:
    """
    Messages, column by column. Times are texts as :func:`~airflow_provider_ip1.formats.rows.utc_text` writes them.

    :ivar values: the values of each column, in the order of :data:`~airflow_provider_ip1.formats.table.COLUMNS`. For
        ``statuses`` they are the numbers of reports, and the reports themselves are in the other attributes.
    :ivar codes: the code of each report of all messages.
    :ivar durations: the duration of each report.
    :ivar created: the time of each report.
    """

    __slots__ = ("codes", "created", "durations", "values")

    def __init__(self) -> None:
        self.values: list[list[Any]] = [[] for _ in COLUMN_NAMES]
        self.codes: list[int] = []
        self.durations: list[int | None] = []
        self.created: list[str | None] = []

    def __len__(self) -> int:
        return len(self.values[0])

    @property
    def report_counts(self) -> list[int]:
        """The number of reports of each message."""
        return self.values[_STATUSES]

    def extend(self, other: Columns) -> None:
        """Append the messages of other columns."""
        for mine, theirs in zip(self._lists(), other._lists(), strict=True):
            mine.extend(theirs)

    def take(self, count: int) -> Columns:
        """Remove the first messages and return them."""
        taken = Columns()
        reports = sum(self.report_counts[:count])
        rows = len(COLUMN_NAMES) * [count]
        for mine, theirs, size in zip(self._lists(), taken._lists(), [*rows, *3 * [reports]], strict=True):
            theirs[:] = mine[:size]
            del mine[:size]
        return taken

    def insert(self, position: int, row: Row) -> None:
        """Insert a row before the message at a position."""
        start = sum(self.report_counts[:position])
        statuses, modified = row[_STATUSES], row[_MODIFIED]
        self.codes[start:start] = [status.code for status in statuses]
        self.durations[start:start] = [status.duration for status in statuses]
        self.created[start:start] = [status.created and utc_text(status.created) for status in statuses]
        for index, (values, value) in enumerate(zip(self.values, row, strict=True)):
            if index == _STATUSES:
                value = len(statuses)
            elif index == _MODIFIED:
                value = modified and utc_text(modified)
            values.insert(position, value)

    def _lists(self) -> list[list[Any]]:
        return [*self.values, self.codes, self.durations, self.created]


class _OddValue(ValueError):
    """A value has its documented type, but does not fit into its column."""


# A value that a column cannot contain makes the functions below raise one of these.
_ODD: Final = (ValueError, ArithmeticError)


def columns_of(page: Page | RedactedPage) -> Columns:
    """
    Convert the messages of a page to columns.

    :param page: the messages.
    :raises IP1ResponseError: a message is not an object, or has no usable id.
    """
    raws = page.raws_with_ids if isinstance(page, RedactedPage) else page.raws
    rows = _decode_all(raws)
    if rows is not None:
        try:
            return _convert(page, rows, range(len(rows)))
        except _ODD:
            pass
    decoded = [decode_documented(raw) for raw in raws] if rows is None else rows
    ordinary = [position for position, row in enumerate(decoded) if row is not None and _is_ordinary(row)]
    columns = _convert(page, [row for position in ordinary if (row := decoded[position]) is not None], ordinary)
    for position in sorted(set(range(len(raws))).difference(ordinary)):
        columns.insert(position, row_at(page, position))
    return columns


def _decode_all(raws: Sequence[Any]) -> list[DocumentedRow] | None:
    try:
        return _ROWS.decode(b"[" + b",".join(raws) + b"]")
    except UNDECODABLE:
        return None


def _is_ordinary(row: DocumentedRow) -> bool:
    try:
        _check_ids([row.id])
        _price(bytes(row.price))
        _priority(row.priority)
        _utc_text(row.modified)
        for report in row.statuses or ():
            _check_durations([report.duration])
            _utc_text(report.created)
    except _ODD:
        return False
    return True


def _convert(page: Page | RedactedPage, rows: list[DocumentedRow], positions: Iterable[int]) -> Columns:
    ids: list[Any] = [row.id for row in rows]
    _check_ids(ids)
    senders, recipients = [row.sender for row in rows], [row.recipient for row in rows]
    sent_directions = [row.direction for row in rows]
    participants: list[str | None]
    if isinstance(page, RedactedPage):
        routes = [page.routes[position] for position in positions]
        directions = [
            direction_of(sent, route.direction, None, None, None)
            for sent, route in zip(sent_directions, routes, strict=True)
        ]
        participants = [route.participant for route in routes]
        if page.drops_ids:
            ids = [None] * len(rows)
    else:
        other_side = None if page.participant is None else normalize_address(page.participant)
        directions = list(
            map(_direction_of, sent_directions, repeat(page.direction), repeat(other_side), senders, recipients)
        )
        participants = (
            list(map(other_side_of, directions, senders, recipients))
            if page.participant is None
            else [page.participant] * len(rows)
        )
    extras: list[str | None] = [None] * len(rows)
    if None in directions:
        extras = [
            json_text({"direction": sent}) if direction is None and sent is not None else None
            for sent, direction in zip(sent_directions, directions, strict=True)
        ]
    columns = Columns()
    statuses = [row.statuses or () for row in rows]
    reports = [report for reports in statuses for report in reports]
    columns.codes = [report.code for report in reports]
    durations: list[Any] = [report.duration for report in reports]
    _check_durations(durations)
    columns.durations = durations
    columns.created = [_utc_text(report.created) for report in reports]
    counts = [len(reports) for reports in statuses]
    latest = _latest_codes(counts, columns.codes, columns.created)
    columns.values = [
        ids,
        [row.batch_id for row in rows],
        [row.owner for row in rows],
        senders,
        recipients,
        participants,
        [row.body for row in rows],
        directions,
        [row.segments for row in rows],
        [_type(row.type) for row in rows],
        [_datacoding(row.datacoding) for row in rows],
        [_priority(row.priority) for row in rows],
        [_price(bytes(row.price)) for row in rows],
        [_currency(row.currency) for row in rows],
        latest,
        [_category(code) for code in latest],
        [_status_name(code) for code in latest],
        counts,
        [_utc_text(row.modified) for row in rows],
        [row.reference for row in rows],
        [_network_code(row.mcc) for row in rows],
        [_network_code(row.mnc) for row in rows],
        extras,
    ]
    return columns


# --- Values ----------------------------------------------------------------------------------------------------------
# Most values of a conversation repeat, so they are converted once.

_direction_of = lru_cache(maxsize=1024)(direction_of)


def _check_ids(ids: Iterable[str]) -> None:
    if not all(ids):
        raise _OddValue


def _check_durations(durations: Iterable[int | str | None]) -> None:
    for duration in set(durations):
        if duration is not None and not is_int32(duration):
            raise _OddValue


@lru_cache(maxsize=1024)
def _type(value: int | str | None) -> str | None:
    return name_of(name_or_value(value, TYPES))


@lru_cache(maxsize=1024)
def _datacoding(value: int | str | None) -> str | None:
    return name_of(name_or_value(value, DATACODINGS))


@lru_cache(maxsize=1024)
def _priority(value: int | str | None) -> int | None:
    priority: int | None = name_or_value(value, PRIORITIES)
    if priority is not None and not is_int32(priority):
        raise _OddValue
    return priority


@lru_cache(maxsize=1024)
def _price(written: bytes) -> Decimal | None:
    if written == b"null":
        return None
    price = parse_decimal(written)
    fitted = fit_price(price)
    if fitted != price:
        raise _OddValue
    return fitted


@lru_cache(maxsize=1024)
def _currency(value: str | None) -> str | None:
    return None if value is None else value.upper()


@lru_cache(maxsize=1024)
def _network_code(value: int | str | None) -> str | None:
    return None if value is None else str(value)


@lru_cache(maxsize=1024)
def _category(code: int | None) -> str | None:
    return None if code is None else status_category(code)


@lru_cache(maxsize=1024)
def _status_name(code: int | None) -> str | None:
    return None if code is None else status_name(code)


def _latest_codes(counts: list[int], codes: list[int], created: list[str | None]) -> list[int | None]:
    """Return the code of each message's latest report, as Message.latest_status determines it."""
    if len(codes) == len(counts) and all(counts):
        return list(codes)
    latest: list[int | None] = []
    start = 0
    for count in counts:
        code = when = None
        for position in range(start, start + count):
            time = created[position]
            if time is None or when is None or time >= when:
                code, when = codes[position], time or when
        latest.append(code)
        start += count
    return latest


# What stands between the numbers of a time in UTC without and with a fraction, every third character.
_WITHOUT_FRACTION: Final = "--T::Z"
_WITH_FRACTION: Final = "--T::."
_from_iso_format = datetime.fromisoformat


def _utc_text(text: str | None) -> str | None:
    """
    Rewrite a time the way the table contains it.

    :raises ValueError: the text is not a time.
    """
    if text is None:
        return None
    # Python 3.14 reads 24:00 as the next day.
    if _from_iso_format(text).tzinfo is UTC and text[-1] == "Z" and text[11:13] != "24":
        separators = text[4:20:3]
        if separators == _WITH_FRACTION:
            return f"{text[:-1]}00000"[:26] + "Z"
        if separators == _WITHOUT_FRACTION:
            return f"{text[:19]}.000000Z"
    timestamp = parse_timestamp(text)
    return None if timestamp is None else utc_text(timestamp)
