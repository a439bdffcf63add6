# SPDX-License-Identifier: Apache-2.0
"""The rows of the typed table, one message at a time and without caches: the reference for the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

from airflow_provider_ip1.api.decoding import decode_leniently
from airflow_provider_ip1.api.messages import MessageStatus, Scalar
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.routes import other_side_of
from airflow_provider_ip1.api.status import status_category, status_name
from airflow_provider_ip1.formats.redaction import RedactedPage
from airflow_provider_ip1.formats.table import PRICE_PRECISION, PRICE_SCALE

Row: TypeAlias = tuple[Any, ...]
"""The values of one message in the order of :data:`~airflow_provider_ip1.formats.table.COLUMNS`."""

_SMALLEST_PRICE: Final = Decimal(1).scaleb(-PRICE_SCALE)


def rows(page: Page | RedactedPage) -> Iterator[Row]:
    """Convert the messages of a page to rows."""
    return (row_at(page, position) for position in range(len(page.raws)))


def row_at(page: Page | RedactedPage, position: int) -> Row:
    """Convert one message to a row. Statuses are ``MessageStatus``, times are aware, and prices are ``Decimal``."""
    if isinstance(page, RedactedPage):
        direction, participant = page.routes[position]
        message, odd = decode_leniently(page.raws_with_ids[position], direction=direction)
    else:
        message, odd = decode_leniently(page.raws[position], participant=page.participant, direction=page.direction)
        participant = page.participant
        if participant is None:
            participant = other_side_of(message.direction, message.sender, message.recipient)
    latest = message.latest_status
    code = None if latest is None else latest.code
    price, priority, statuses = message.price, message.priority, message.statuses
    if price is not None:
        exact, price = price, fit_price(price)
        if price != exact:
            odd["price"] = message.raw["price"]
    if priority is not None and not is_int32(priority):
        odd["priority"], priority = priority, None
    if not all(status.duration is None or is_int32(status.duration) for status in statuses):
        odd["statuses"] = message.raw["statuses"]
        statuses = tuple(
            status if is_int32(status.duration) else MessageStatus(status.code, None, status.created)
            for status in statuses
        )
    extra = message.extra_fields | odd
    return (
        None if isinstance(page, RedactedPage) and page.redaction.drops_ids else message.id,
        message.batch_id,
        message.owner,
        message.sender,
        message.recipient,
        participant,
        message.body,
        message.direction,
        message.segments,
        name_of(message.type),
        name_of(message.datacoding),
        priority,
        price,
        message.currency,
        code,
        None if code is None else status_category(code),
        None if code is None else status_name(code),
        statuses,
        message.modified,
        message.reference,
        message.mcc,
        message.mnc,
        json_text(extra) if extra else None,
    )


def is_int32(value: object) -> bool:
    """Tell whether a value fits into an integer column."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31


def name_of(value: Scalar | None) -> str | None:
    """Return the text of an enum value. A value that iP.1 does not document is converted to text."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def fit_price(price: Decimal) -> Decimal | None:
    """Round a price to the decimals of its column; ``None`` if it has too many digits."""
    try:
        # Adding 0 turns -0 into 0.
        fitted = price.quantize(_SMALLEST_PRICE) + 0
    except InvalidOperation:
        return None
    return fitted if len(fitted.as_tuple().digits) <= PRICE_PRECISION else None


def json_text(value: Any) -> str:
    """Encode a value as compact JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a UTF-16 pair can only be written as an escape.
        return json.dumps(value, separators=(",", ":"))
    return text


def utc_text(timestamp: datetime) -> str:
    """
    Write a time the way csv files contain it.

    :param timestamp: in UTC.
    :return: such as ``2026-11-01T10:00:00.000000Z``, always with microseconds, so that texts sort like times.
    """
    return timestamp.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"
