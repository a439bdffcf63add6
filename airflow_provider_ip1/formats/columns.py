# SPDX-License-Identifier: Apache-2.0
"""
The columns of the typed table, a page at a time.

Ordinary messages, which look exactly as iP.1 documents them, are decoded together and converted column by column. That
is several times faster than message by message. The values of an odd message are decoded one by one first: those that
fit into their columns become an ordinary message, and the others are kept for the column ``extra``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, TypeGuard

import msgspec

from airflow_provider_ip1.api.decoding import MessageRow, StatusRow, decode_documented, decode_leniently
from airflow_provider_ip1.api.json_fields import parse_decimal
from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.messages import DATACODINGS, PRIORITIES, TYPES, Scalar, name_or_value
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.routes import direction_of, normalize_address, other_side_of
from airflow_provider_ip1.api.status import latest_report, status_category, status_name
from airflow_provider_ip1.api.timestamps import parse_timestamp
from airflow_provider_ip1.formats.redaction import RedactedPage
from airflow_provider_ip1.formats.table import COLUMN_NAMES, PRICE_PRECISION, PRICE_SCALE

_STATUSES: Final = COLUMN_NAMES.index("statuses")
_SMALLEST_PRICE: Final = Decimal(1).scaleb(-PRICE_SCALE)
_ROWS = msgspec.json.Decoder(list[MessageRow])


# No repr, which would show texts and numbers wherever a traceback shows local variables.
@dataclass(slots=True, repr=False, eq=False)
class Columns:
    """
    Messages, column by column. Times are texts as :func:`utc_text` writes them.

    :param values: the values of each column, in the order of :data:`~airflow_provider_ip1.formats.table.COLUMNS`. For
        ``statuses`` they are the numbers of reports, and the reports themselves are in the other attributes.
    :param codes: the code of each report of all messages.
    :param durations: the duration of each report.
    :param created: the time of each report.
    """

    values: list[list[Any]] = field(default_factory=lambda: [[] for _ in COLUMN_NAMES])
    codes: list[int] = field(default_factory=list)
    durations: list[int | None] = field(default_factory=list)
    created: list[str | None] = field(default_factory=list)

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
    try:
        ordinary = _ROWS.decode(b"[" + b",".join(raws) + b"]")
        return _convert(page, ordinary, [None] * len(ordinary))
    except UNDECODABLE:
        pass
    rows: list[MessageRow] = []
    extras: list[dict[str, Any] | None] = []
    for position, raw in enumerate(raws):
        row = decode_documented(raw)
        fitting = (row, None) if row is not None and _is_ordinary(row) else _fit(page, position, raw)
        rows.append(fitting[0])
        extras.append(fitting[1])
    return _convert(page, rows, extras)


def _is_ordinary(row: MessageRow) -> bool:
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


def _fit(page: Page | RedactedPage, position: int, raw: BytesLike) -> tuple[MessageRow, dict[str, Any]]:
    """Return an odd message as an ordinary one with the values that fit into their columns, and everything else."""
    if isinstance(page, RedactedPage):
        message, odd = decode_leniently(raw, direction=page.routes[position].direction)
    else:
        message, odd = decode_leniently(raw, participant=page.participant, direction=page.direction)
    price, priority, statuses = message.price, message.priority, message.statuses
    if price is not None:
        price = _fit_price(price)
        if price != message.price:
            odd["price"] = message.raw["price"]
    if priority is not None and not _is_int32(priority):
        odd["priority"], priority = priority, None
    if not all(status.duration is None or _is_int32(status.duration) for status in statuses):
        odd["statuses"] = message.raw["statuses"]
    # Both have the same fields, in the same order.
    row = MessageRow(*[getattr(message, name) for name in MessageRow.__struct_fields__])
    row.type, row.datacoding, row.priority = _name_of(message.type), _name_of(message.datacoding), priority
    row.price = msgspec.Raw(b"null" if price is None else f"{price:f}".encode())
    row.modified = utc_text(message.modified)
    row.statuses = [
        StatusRow(status.code, status.duration if _is_int32(status.duration) else None, utc_text(status.created))
        for status in statuses
    ]
    return row, message.extra_fields | odd


def _convert(page: Page | RedactedPage, rows: Sequence[MessageRow], extras: list[dict[str, Any] | None]) -> Columns:
    ids: list[Any] = [row.id for row in rows]
    _check_ids(ids)
    senders, recipients = [row.sender for row in rows], [row.recipient for row in rows]
    sent_directions = [row.direction for row in rows]
    participants: list[str | None]
    if isinstance(page, RedactedPage):
        routes = page.routes
        directions = [
            direction_of(sent, route.direction, None, None, None)
            for sent, route in zip(sent_directions, routes, strict=True)
        ]
        participants = [route.participant for route in routes]
        if page.redaction.drops_ids:
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
    if None in directions:
        extras = [
            extra or {"direction": sent} if direction is None and sent is not None else extra
            for sent, direction, extra in zip(sent_directions, directions, extras, strict=True)
        ]
    statuses = [row.statuses or () for row in rows]
    reports = [report for reports in statuses for report in reports]
    codes = [report.code for report in reports]
    durations: list[Any] = [report.duration for report in reports]
    _check_durations(durations)
    created = [_utc_text(report.created) for report in reports]
    counts = [len(reports) for reports in statuses]
    latest = _latest_codes(counts, codes, created)
    values: list[list[Any]] = [
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
        [_json_text(extra) if extra else None for extra in extras],
    ]
    return Columns(values, codes, durations, created)


# --- Values ----------------------------------------------------------------------------------------------------------
# Most values of a conversation repeat, so they are converted once.


def _once(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lru_cache(maxsize=1024)(lambda value: None if value is None else convert(value))


_direction_of = lru_cache(maxsize=1024)(direction_of)
_type = _once(lambda value: _name_of(name_or_value(value, TYPES)))
_datacoding = _once(lambda value: _name_of(name_or_value(value, DATACODINGS)))
_currency = _once(str.upper)
_network_code = _once(str)
_category = _once(status_category)
_status_name = _once(status_name)


def _is_int32(value: object) -> TypeGuard[int]:
    """Tell whether a value fits into an integer column."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31


def _name_of(value: Scalar | None) -> str | None:
    """Return the text of an enum value. A value that iP.1 does not document is converted to text."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _check_ids(ids: Iterable[str]) -> None:
    if not all(ids):
        raise _OddValue


def _check_durations(durations: Iterable[int | str | None]) -> None:
    for duration in set(durations):
        if duration is not None and not _is_int32(duration):
            raise _OddValue


@lru_cache(maxsize=1024)
def _priority(value: int | str | None) -> int | None:
    priority: int | None = name_or_value(value, PRIORITIES)
    if priority is not None and not _is_int32(priority):
        raise _OddValue
    return priority


@lru_cache(maxsize=1024)
def _price(written: bytes) -> Decimal | None:
    if written == b"null":
        return None
    price = parse_decimal(written)
    fitted = _fit_price(price)
    if fitted != price:
        raise _OddValue
    return fitted


def _latest_codes(counts: list[int], codes: list[int], created: list[str | None]) -> list[int | None]:
    """Return the code of each message's latest report, as Message.latest_status determines it."""
    if len(codes) == len(counts) and all(counts):
        return list(codes)
    latest: list[int | None] = []
    start = 0
    for count in counts:
        of_message = slice(start, start + count)
        # Times before the year 2000 are default values or errors.
        times = [None if time is None or time < "2000" else time for time in created[of_message]]
        position = latest_report(codes[of_message], times)
        latest.append(None if position is None else codes[start + position])
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
    return utc_text(parse_timestamp(text))


@lru_cache(maxsize=1024)
def _fit_price(price: Decimal) -> Decimal | None:
    """Round a price to the decimals of its column; ``None`` if it has too many digits."""
    try:
        # Adding 0 turns -0 into 0.
        fitted = price.quantize(_SMALLEST_PRICE) + 0
    except InvalidOperation:
        return None
    return fitted if len(fitted.as_tuple().digits) <= PRICE_PRECISION else None


def _json_text(value: Any) -> str:
    """Encode a value as compact JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a UTF-16 pair can only be written as an escape.
        return json.dumps(value, separators=(",", ":"))
    return text


def utc_text(timestamp: datetime | None) -> str | None:
    """
    Write a time the way csv files contain it.

    :param timestamp: in UTC.
    :return: such as ``2026-11-01T10:00:00.000000Z``, always with microseconds, so that texts sort like times.
    """
    return None if timestamp is None else timestamp.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"
