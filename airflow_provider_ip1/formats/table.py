# SPDX-License-Identifier: Apache-2.0
"""
The columns of the typed table that csv and parquet files contain.

Every file has all columns in this order, even a file without messages. Types have Arrow's names.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS

PRICE_PRECISION: Final = 18
PRICE_SCALE: Final = 9


class Column(NamedTuple):
    """
    One column.

    :param name: in snake_case.
    :param type: Arrow's name of the type. A csv file contains the value as text.
    :param source: the field of iP.1's message that the value comes from, or what it is derived from.
    :param description: what the value means.
    """

    name: str
    type: str
    source: str
    description: str


COLUMNS: Final = (
    Column("id", "string", "id", "iP.1's id of the message, unique."),
    Column("batch_id", "string", "batchId", "Id of the batch the message belongs to. Received messages have one too."),
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
    Column("body", "string", "body", "The text. An unpaired UTF-16 surrogate becomes U+FFFD."),
    Column(
        "direction",
        "string",
        "direction",
        "mt (you sent it) or mo (you received it); null if unknown. Taken from iP.1's text, the endpoint (/mt, /mo) or "
        "the addresses. iP.1 does not document the meaning of its integers, so they are not used.",
    ),
    Column("segments", "int32", "segments", "Number of SMS the text needs."),
    Column("type", "string", "type", "sms or flash. A value that iP.1 does not document is kept as text."),
    Column("datacoding", "string", "datacoding", "gsm or ucs. A value that iP.1 does not document is kept as text."),
    Column("priority", "int32", "priority", "1 (normal) or 2 (high)."),
    Column(
        "price",
        f"decimal128({PRICE_PRECISION}, {PRICE_SCALE})",
        "price",
        "Price of the whole message, all segments. A price with more than nine decimals is rounded, and extra contains "
        "the price as sent.",
    ),
    Column("currency", "string", "currency", "Currency of the price, in upper case."),
    Column("status_code", "int32", "statuses[].code", "Code of the latest delivery report, by time."),
    Column(
        "status_category",
        "string",
        "statuses[].code",
        "What the latest code means: pending, delivered, undelivered, rejected or failed. The first digit decides for "
        "an unknown code.",
    ),
    Column("status_name", "string", "statuses[].code", "iP.1's name of the latest code; null if it is not documented."),
    Column(
        "statuses",
        "list<struct<code: int32, duration: int32, created: timestamp[us, tz=UTC]>>",
        "statuses",
        "The delivery reports in iP.1's order. Conversations contain only the latest of each message. JSON in csv.",
    ),
    Column("modified", "timestamp[us, tz=UTC]", "modified", "Time of the last change, truncated to microseconds."),
    Column("reference", "string", "reference", "Your own reference, given when the message was sent."),
    Column("mcc", "string", "mcc", "Mobile country code, with its leading zeros."),
    Column("mnc", "string", "mnc", "Mobile network code, with its leading zeros."),
    Column(
        "extra",
        "string",
        "any other",
        "JSON object with everything that no other column contains: fields that iP.1 does not document, and values "
        "that do not fit their column's type. Null if there is nothing.",
    ),
)

COLUMN_NAMES: Final = tuple(column.name for column in COLUMNS)


def fields_of(file_format: str) -> list[tuple[str, str | None, str]]:
    """
    Return what a file of this format contains, for lineage.

    :param file_format: ``"csv"`` and ``"parquet"`` contain the table, ``"jsonl"`` contains iP.1's objects.
    :return: name, type (``None`` if the file does not specify it) and description of each column or field.
    """
    if file_format != "jsonl":
        return [(column.name, column.type, column.description) for column in COLUMNS]
    return [(column.source, None, column.description) for column in COLUMNS if column.source in DOCUMENTED_FIELDS]
