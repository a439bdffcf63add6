# SPDX-License-Identifier: Apache-2.0
"""
The typed table that csv and parquet files hold: its columns, and the rows that messages make.

Every file has all columns in this order, also one without messages. Names of types are those of Arrow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, NamedTuple

from airflow_provider_ip1.api.decoding import decode_leniently
from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS, Message, MessageStatus
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.status import status_category, status_name
from airflow_provider_ip1.formats.redacted_page import RedactedPage, participant_of

PRICE_PRECISION: Final = 18
PRICE_SCALE: Final = 9


class Column(NamedTuple):
    """
    One column.

    :param name: in snake_case.
    :param type: as Arrow calls it. A csv file holds its text.
    :param source: the field of iP.1's message that it comes from, or what it is made of.
    :param description: what it means.
    """

    name: str
    type: str
    source: str
    description: str


COLUMNS: Final = (
    Column("id", "string", "id", "iP.1's id of the message, unique."),
    Column("batch_id", "string", "batchId", "Id of the batch the message belongs to, for received messages too."),
    Column("owner", "string", "owner", "The iP.1 account."),
    Column("sender", "string", "sender", "Phone number or alphanumeric name."),
    Column("recipient", "string", "recipient", "Phone number or alphanumeric name."),
    Column(
        "participant",
        "string",
        "the conversation",
        "Whose conversation the message belongs to: the number or name that was exported, without + and separators. "
        "For messages read by batch, the recipient of a sent message or the sender of a received one.",
    ),
    Column("body", "string", "body", "The text. Half a UTF-16 pair, which UTF-8 cannot hold, is U+FFFD."),
    Column(
        "direction",
        "string",
        "direction",
        "mt (you sent it) or mo (you received it), null where neither can be told. iP.1 does not document its "
        "integers, so they are not used: its texts, the endpoint read (/mt, /mo) or the addresses decide.",
    ),
    Column("segments", "int32", "segments", "Number of SMS the text needs."),
    Column("type", "string", "type", "sms or flash. A value that iP.1 does not document is kept as text."),
    Column("datacoding", "string", "datacoding", "gsm or ucs. A value that iP.1 does not document is kept as text."),
    Column("priority", "int32", "priority", "1 (normal) or 2 (high)."),
    Column(
        "price",
        f"decimal128({PRICE_PRECISION}, {PRICE_SCALE})",
        "price",
        "Price of the whole message, all segments. Rounded to nine decimals if it has more; the price as sent is then "
        "in extra.",
    ),
    Column("currency", "string", "currency", "Currency of the price, upper case."),
    Column("status_code", "int32", "statuses[].code", "Code of the latest delivery report, by its time."),
    Column(
        "status_category",
        "string",
        "statuses[].code",
        "pending, delivered, undelivered, rejected or failed: what the latest code means. Unknown codes go by their "
        "first digit.",
    ),
    Column(
        "status_name", "string", "statuses[].code", "iP.1's name of the latest code, null where none is documented."
    ),
    Column(
        "statuses",
        "list<struct<code: int32, duration: int32, created: timestamp[us, tz=UTC]>>",
        "statuses",
        "The delivery reports in iP.1's order; a conversation has only the latest of each message. JSON text in csv.",
    ),
    Column("modified", "timestamp[us, tz=UTC]", "modified", "Last change. Cut off after the microsecond."),
    Column("reference", "string", "reference", "Your own reference from when the message was sent."),
    Column("mcc", "string", "mcc", "Mobile country code, with its leading zeros."),
    Column("mnc", "string", "mnc", "Mobile network code, with its leading zeros."),
    Column(
        "extra",
        "string",
        "any other",
        "JSON object with all that no column holds: fields that iP.1 does not document, and values that are not of "
        "their column's type. Null where there is nothing.",
    ),
)

COLUMN_NAMES: Final = tuple(column.name for column in COLUMNS)

Row = tuple[Any, ...]


def fields_of(file_format: str) -> list[tuple[str, str | None, str]]:
    """
    What a file of this format holds, for lineage.

    :param file_format: ``"csv"`` and ``"parquet"`` hold the table, ``"jsonl"`` iP.1's objects.
    :return: name, type (``None`` where the file does not tell) and description of each column or field.
    """
    if file_format != "jsonl":
        return [(column.name, column.type, column.description) for column in COLUMNS]
    return [(column.source, None, column.description) for column in COLUMNS if column.source in DOCUMENTED_FIELDS]


def rows(page: Page | RedactedPage) -> Iterator[Row]:
    """
    Convert messages to rows.

    :param page: the messages.
    :return: one tuple per message, in the order of :data:`COLUMNS`; ``statuses`` are
        :class:`~airflow_provider_ip1.api.messages.MessageStatus`, times aware, prices :class:`~decimal.Decimal`.
    :raises IP1ResponseError: one of them cannot be a message at all.
    """
    drops_ids = isinstance(page, RedactedPage) and page.drops_ids
    for message, participant, odd in _decoded(page):
        latest = message.latest_status
        code = None if latest is None else latest.code
        price, priority, statuses = message.price, message.priority, message.statuses
        if price is not None:
            exact, price = price, _fit_price(price)
            if price != exact:
                odd["price"] = message.raw["price"]
        if priority is not None and not _is_int32(priority):
            odd["priority"], priority = priority, None
        if not all(_is_int32(status.duration) or status.duration is None for status in statuses):
            odd["statuses"] = message.raw["statuses"]
            statuses = tuple(
                status if _is_int32(status.duration) else MessageStatus(status.code, None, status.created)
                for status in statuses
            )
        extra = message.extra_fields
        if odd:
            extra = extra | odd
        yield (
            None if drops_ids else message.id,
            message.batch_id,
            message.owner,
            message.sender,
            message.recipient,
            participant,
            message.body,
            message.direction,
            message.segments,
            _name(message.type),
            _name(message.datacoding),
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
            _json_text(extra) if extra else None,
        )


def _decoded(page: Page | RedactedPage) -> Iterator[tuple[Message, str | None, dict[str, Any]]]:
    """Decode each message, its participant, and the values that its fields cannot hold."""
    if not isinstance(page, RedactedPage):
        for raw in page.raws:
            message, odd = decode_leniently(raw, participant=page.participant, direction=page.direction)
            yield message, participant_of(message, page.participant), odd
        return
    for raw, route in zip(page.raws_with_ids, page.routes, strict=True):
        message, odd = decode_leniently(raw, direction=route.direction)
        yield message, route.participant, odd


def _is_int32(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31


def _name(value: str | int | float | None) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=1024)
def _fit_price(price: Decimal) -> Decimal | None:
    try:
        fitted = price.quantize(Decimal(1).scaleb(-PRICE_SCALE))
    except InvalidOperation:
        return None
    return fitted if len(fitted.as_tuple().digits) <= PRICE_PRECISION else None


def _json_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a UTF-16 pair, which only an escape can express.
        return json.dumps(value, separators=(",", ":"))
    return text


def utc_text(moment: datetime) -> str:
    """
    Write a time as csv files have it.

    :param moment: in UTC.
    :return: such as ``2026-11-01T10:00:00.000000Z``, always with microseconds, so that texts sort as times do.
    """
    return moment.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"
