# SPDX-License-Identifier: Apache-2.0
"""
Decoding iP.1's JSON into messages, summaries and batches.

msgspec decodes documented messages at full speed. A message that it rejects is decoded again field by field, four times
slower, which accepts further fields and values that are unusual but clear, and names the field of any other value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from airflow_provider_ip1.api.batches import Batch, DeliveryWindow, PriceSummary
from airflow_provider_ip1.api.json_fields import Fields, Int32, parse_decimal
from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike, parse_json, trimmed
from airflow_provider_ip1.api.messages import (
    DATACODINGS,
    DOCUMENTED_FIELDS,
    DOCUMENTED_STATUS_FIELDS,
    PRIORITIES,
    TYPES,
    ConversationSummary,
    Message,
    MessageStatus,
    StatusCount,
    name_or_value,
)
from airflow_provider_ip1.api.routes import direction_of, normalize_address
from airflow_provider_ip1.api.timestamps import parse_timestamp


class StatusRow(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A delivery report that consists of documented fields with the documented types, and nothing else."""

    code: Int32
    duration: int | str | None = None
    created: str | None = None


class MessageRow(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    """A message that consists of documented fields with the documented types, and nothing else."""

    id: str
    batch_id: str | None = None
    owner: str | None = None
    sender: str | None = None
    recipient: str | None = None
    body: str | None = None
    direction: int | str | None = None
    segments: Int32 | None = None
    type: int | str | None = None
    datacoding: int | str | None = None
    priority: int | str | None = None
    price: msgspec.Raw = msgspec.Raw(b"null")
    currency: str | None = None
    statuses: list[StatusRow] | None = None
    # As text, because msgspec would round the seventh digit of the fraction.
    modified: str | None = None
    reference: str | None = None
    mcc: int | str | None = None
    mnc: int | str | None = None


_ROW = msgspec.json.Decoder(MessageRow)


def decode_messages(
    raws: Sequence[BytesLike], *, participant: str | None = None, direction: str | None = None
) -> list[Message]:
    """
    Decode the messages of a page.

    :param raws: one JSON object per message, as in :class:`~airflow_provider_ip1.api.page_body.RawPage`.
    :param participant: the participant of the conversation, to derive the direction from the addresses.
    :param direction: ``mt`` or ``mo`` if the endpoint returns only these.
    :return: the messages, in the same order.
    :raises UnreadableBody: a message is not JSON, or is truncated.
    :raises IP1ResponseError: a value is not a message. The error names the field and the message id.
    """
    other_side = None if participant is None else normalize_address(participant)
    return [_decode(raw, other_side, direction) for raw in raws]


def decode_message(raw: BytesLike, *, participant: str | None = None, direction: str | None = None) -> Message:
    """
    Decode one message.

    :param raw: the JSON object.
    :param participant: the participant of the conversation, to derive the direction from the addresses.
    :param direction: ``mt`` or ``mo`` if the endpoint returns only these.
    :return: the message.
    :raises UnreadableBody: the text is not JSON, or is truncated.
    :raises IP1ResponseError: the value is not a message. The error names the field and the message id.
    """
    return decode_messages([trimmed(raw)], participant=participant, direction=direction)[0]


def decode_leniently(
    raw: BytesLike, *, participant: str | None = None, direction: str | None = None
) -> tuple[Message, dict[str, Any]]:
    """
    Decode one message and set aside the values that its attributes cannot hold.

    :param raw: the JSON object.
    :param participant: the participant of the conversation, to derive the direction from the addresses.
    :param direction: ``mt`` or ``mo`` if the endpoint returns only these.
    :return: the message, and the values of documented fields that do not have the documented type, under iP.1's names
        in alphabetical order. Such an attribute is ``None``, and ``statuses`` is empty.
    :raises UnreadableBody: the value is not JSON, or is truncated.
    :raises IP1ResponseError: the value is not an object, or has no usable id.
    """
    odd: set[str] = set()
    other_side = None if participant is None else normalize_address(participant)
    message = _decode(raw, other_side, direction, odd)
    values = parse_json(raw) if odd else {}
    return message, {name: values[name] for name in sorted(odd)}


def decode_documented(raw: BytesLike) -> MessageRow | None:
    """
    Decode a message if it looks exactly as iP.1 documents it.

    :param raw: the JSON object.
    :return: the fields; ``None`` if the message has an undocumented field or a value of another type.
    """
    try:
        return _ROW.decode(raw)
    except UNDECODABLE:
        return None


def undocumented_names(raw: BytesLike) -> set[str]:
    """
    Return the names of the fields that iP.1 does not document, to warn about a change of the API.

    This takes about a microsecond for an ordinary message. A new field appears in every message, so one message per
    page is enough to notice it.

    :param raw: the JSON object.
    :return: the names; ``statuses[].x`` for a field ``x`` of a delivery report. Empty for an ordinary message.
    :raises IP1ResponseError: the value is not an object.
    """
    if decode_documented(raw) is not None:
        return set()
    fields = Fields(raw, "A message", odd=set())
    names = set(fields.values.keys() - DOCUMENTED_FIELDS)
    for unknown in fields.objects("statuses", lambda report: report.values.keys() - DOCUMENTED_STATUS_FIELDS):
        names |= {f"statuses[].{name}" for name in unknown}
    return names


def _decode(raw: BytesLike, other_side: str | None, endpoint: str | None, odd: set[str] | None = None) -> Message:
    # Outside of the except block, because the decoder's error would be its context, and may contain the text.
    return _decode_fast(raw, other_side, endpoint) or _decode_by_field(bytes(raw), other_side, endpoint, odd)


def _decode_fast(raw: BytesLike, other_side: str | None, endpoint: str | None) -> Message | None:
    try:
        row = _ROW.decode(raw)
        if not row.id:
            return None
        mcc, mnc, currency, price = row.mcc, row.mnc, row.currency, bytes(row.price)
        return Message(
            row.id,
            row.batch_id,
            row.owner,
            row.sender,
            row.recipient,
            row.body,
            direction_of(row.direction, endpoint, other_side, row.sender, row.recipient),
            row.segments,
            TYPES.get(row.type) or name_or_value(row.type, TYPES),
            DATACODINGS.get(row.datacoding) or name_or_value(row.datacoding, DATACODINGS),
            PRIORITIES.get(row.priority) or name_or_value(row.priority, PRIORITIES),
            None if price == b"null" else parse_decimal(price),
            None if currency is None else currency.upper(),
            tuple([MessageStatus(s.code, s.duration, parse_timestamp(s.created)) for s in row.statuses or ()]),
            parse_timestamp(row.modified),
            row.reference,
            str(mcc) if isinstance(mcc, int) else mcc,
            str(mnc) if isinstance(mnc, int) else mnc,
            raw_json=bytes(raw),
        )
    except UNDECODABLE:
        return None


def _decode_by_field(raw: bytes, other_side: str | None, endpoint: str | None, odd: set[str] | None = None) -> Message:
    fields = Fields(raw, "A message", odd=odd)
    message_id = fields.id()
    # iP.1's ids have 24 characters.
    fields.subject = f"Message {message_id[:48]!r}"
    sender, recipient = fields.text("sender"), fields.text("recipient")
    return Message(
        id=message_id,
        batch_id=fields.text("batchId"),
        owner=fields.text("owner"),
        sender=sender,
        recipient=recipient,
        body=fields.text("body"),
        direction=direction_of(fields.scalar("direction"), endpoint, other_side, sender, recipient),
        segments=fields.int32("segments"),
        type=name_or_value(fields.scalar("type"), TYPES),
        datacoding=name_or_value(fields.scalar("datacoding"), DATACODINGS),
        priority=name_or_value(fields.scalar("priority"), PRIORITIES),
        price=fields.decimal("price"),
        currency=_upper(fields.text("currency")),
        statuses=fields.objects("statuses", _status),
        modified=fields.timestamp("modified"),
        reference=fields.text("reference"),
        mcc=fields.text("mcc"),
        mnc=fields.text("mnc"),
        raw_json=raw,
    )


def _status(report: Fields) -> MessageStatus:
    code = report.int32("code")
    if code is None:
        raise report.error("code", "is missing")
    return MessageStatus(code, report.scalar("duration"), report.timestamp("created"))


def decode_summary(raw: BytesLike) -> ConversationSummary:
    """
    Decode the summary of a conversation.

    :param raw: the JSON object.
    :return: the summary.
    :raises UnreadableBody: the text is not JSON, or is truncated.
    :raises IP1ResponseError: the JSON is not a summary. The error names the field.
    """
    text = trimmed(raw)
    fields = Fields(text, "The summary of a conversation")
    return ConversationSummary(
        participant=fields.text("participant"),
        total_messages=fields.int32("totalMessageCount"),
        total_sms=fields.int32("totalSmsCount"),
        mobile_terminated=fields.object("mobileTerminatedMessages", _counts) or {},
        mobile_originated=fields.object("mobileOriginatedMessages", _counts) or {},
        raw_json=text,
    )


def decode_batch(raw: BytesLike, *, odd: set[str] | None = None) -> Batch:
    """
    Decode a batch.

    :param raw: the JSON object.
    :param odd: if given, collects the names of fields that do not have the documented type. They then count as missing,
        but odd delivery windows are one window of unknown times. Default: such a field is an error.
    :return: the batch.
    :raises UnreadableBody: the text is not JSON, or is truncated.
    :raises IP1ResponseError: the JSON is not a batch. The error names the field.
    """
    text = trimmed(raw)
    fields = Fields(text, "A batch", odd=odd)
    batch_id = fields.id()
    fields.subject = f"Batch {batch_id[:48]!r}"
    windows = fields.objects("deliveryWindows", _window)
    return Batch(
        id=batch_id,
        sender=fields.text("sender"),
        owner=fields.text("owner"),
        direction=direction_of(fields.scalar("direction"), None, None, None, None),
        type=name_or_value(fields.scalar("type"), TYPES),
        datacoding=name_or_value(fields.scalar("datacoding"), DATACODINGS),
        priority=name_or_value(fields.scalar("priority"), PRIORITIES),
        templated=fields.flag("templated"),
        status=fields.int32("status"),
        # Without windows, the batch would count as delivered at once.
        delivery_windows=(DeliveryWindow(),) if odd and "deliveryWindows" in odd else windows,
        reference=fields.text("reference"),
        tags=fields.texts("tags"),
        message_summary=fields.object("messageSummary", _counts),
        price_summary=fields.object("priceSummary", _price_summary),
        raw_json=text,
    )


def _window(fields: Fields) -> DeliveryWindow:
    return DeliveryWindow(fields.timestamp("opens"), fields.timestamp("closes"))


def _price_summary(fields: Fields) -> PriceSummary:
    return PriceSummary(fields.decimal("total"), _upper(fields.text("currency")), fields.decimal("average"))


def _counts(by_code: Fields) -> dict[int, StatusCount]:
    counts = {}
    for code, raw in by_code.values.items():
        if not re.fullmatch("-?[0-9]{1,10}", code):
            raise by_code.error("", "has a key that is not a status code")
        count = Fields(raw, by_code.subject, f"{by_code.path}*.")
        counts[int(code)] = StatusCount(count.int32("messages"), count.int32("sms"))
    return counts


def _upper(currency: str | None) -> str | None:
    return None if currency is None else currency.upper()
