# SPDX-License-Identifier: Apache-2.0
"""
Decoding iP.1's JSON into the types of :mod:`airflow_provider_ip1.api.messages`.

iP.1's schema specifies enums as integers, while the human documentation
(https://www.ip1sms.com/en/developer/readinsms) shows them as strings in mixed case. Both are accepted.

msgspec decodes the usual shape at full speed. A message that it rejects is decoded again, field by field, to read
values that are unusual but clear, or to raise an error that names the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from airflow_provider_ip1.api.batches import Batch, DeliveryWindow, PriceSummary
from airflow_provider_ip1.api.messages import (
    DOCUMENTED_FIELDS,
    BytesLike,
    ConversationSummary,
    Message,
    MessageStatus,
    Scalar,
    StatusCount,
)
from airflow_provider_ip1.exceptions import IP1ResponseError

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

# The errors of msgspec's decoders. Its own errors are ValueErrors in recent versions only.
UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


class UnreadableBody(IP1ResponseError, ValueError):
    """The body is not JSON, or is truncated. Repeating the request may succeed."""


# The schema's format int32.
_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1
_Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=_INT32_MIN, le=_INT32_MAX)]


class _StatusRow(msgspec.Struct, gc=False):
    code: _Int32
    duration: int | str | None = None
    created: str | None = None


class _Row(msgspec.Struct, gc=False, rename="camel"):
    id: str
    batch_id: str | None = None
    owner: str | None = None
    sender: str | None = None
    recipient: str | None = None
    body: str | None = None
    direction: int | str | None = None
    segments: _Int32 | None = None
    type: int | str | None = None
    datacoding: int | str | None = None
    priority: int | str | None = None
    price: msgspec.Raw = msgspec.Raw(b"null")
    currency: str | None = None
    statuses: list[_StatusRow] | None = None
    # Text, as msgspec would round the seventh digit of a second's fraction up.
    modified: str | None = None
    reference: str | None = None
    mcc: int | str | None = None
    mnc: int | str | None = None


_ROW = msgspec.json.Decoder(_Row)


def decode_messages(
    raws: Sequence[BytesLike], *, participant: str | None = None, direction: str | None = None
) -> list[Message]:
    """
    Read the messages of a page.

    :param raws: one JSON object per message, such as :func:`split_page` gives.
    :param participant: whose conversation it is, to tell the direction by the addresses.
    :param direction: ``mt`` or ``mo`` where the endpoint gives only these.
    :return: the messages, in the same order.
    :raises UnreadableBody: one of them is no JSON, or was cut.
    :raises IP1ResponseError: one of them cannot be a message; names the field and the message id.
    :raises ValueError: ``direction`` is neither ``mt`` nor ``mo``.
    """
    if direction not in (None, *_DIRECTIONS):
        raise ValueError('direction must be "mt" (you sent it), "mo" (you received it) or None (both).')
    other_side = None if participant is None else _address(participant)
    return [_read(raw, other_side, direction) for raw in raws]


def decode_message(
    raw: BytesLike | str | Mapping[str, Any], *, participant: str | None = None, direction: str | None = None
) -> Message:
    """
    Decode one message.

    :param raw: the JSON object, as text or as a mapping. A mapping is encoded as JSON first, which turns a float that
        is not a number (NaN) into null.
    :param participant: the participant of the conversation, to derive the direction from the addresses.
    :param direction: ``mt`` or ``mo`` if the endpoint returns only these.
    :return: the message.
    :raises UnreadableBody: the text is not JSON, or is truncated.
    :raises IP1ResponseError: the JSON is not a message. The error names the field and the message id.
    :raises ValueError: ``direction`` is neither ``mt`` nor ``mo``.
    """
    return decode_messages([_json_text(raw)], participant=participant, direction=direction)[0]


def decode_leniently(
    raw: BytesLike, *, participant: str | None = None, direction: str | None = None
) -> tuple[Message, dict[str, Any]]:
    """
    Decode one message, setting aside the values that its fields cannot hold.

    :param raw: the JSON object.
    :param participant: the participant of the conversation, to derive the direction from the addresses.
    :param direction: ``mt`` or ``mo`` if the endpoint returns only these.
    :return: the message, and the values of documented fields that do not have the documented type, as JSON values
        under iP.1's names. Such a field is ``None`` in the message.
    :raises IP1ResponseError: the value is not a message at all: not an object, or without a usable id.
    """

    def readable(value: BytesLike | dict[str, Any]) -> bool:
        try:
            decode_message(value, participant=participant, direction=direction)
        except IP1ResponseError:
            return False
        return True

    if readable(raw):
        return decode_message(raw, participant=participant, direction=direction), {}
    fields: dict[str, Any] = json.loads(bytes(raw))
    odd = {
        name: fields.pop(name)
        for name in sorted(DOCUMENTED_FIELDS & fields.keys() - {"id"})
        if not readable({"id": fields["id"], name: fields[name]})
    }
    return decode_message(fields, participant=participant, direction=direction), odd


def _read(raw: BytesLike, other_side: str | None, endpoint: str | None) -> Message:
    try:
        row = _ROW.decode(raw)
        if row.id:
            mcc, mnc, currency = row.mcc, row.mnc, row.currency
            return Message(
                row.id,
                row.batch_id,
                row.owner,
                row.sender,
                row.recipient,
                row.body,
                _direction(row.direction, endpoint, other_side, row.sender, row.recipient),
                row.segments,
                _TYPES.get(row.type) or _named(row.type, _TYPES),
                _DATACODINGS.get(row.datacoding) or _named(row.datacoding, _DATACODINGS),
                _PRIORITIES.get(row.priority) or _named(row.priority, _PRIORITIES),
                _price(bytes(row.price)),
                None if currency is None else currency.upper(),
                tuple([MessageStatus(s.code, s.duration, _timestamp(s.created)) for s in row.statuses or ()]),
                _timestamp(row.modified),
                row.reference,
                str(mcc) if isinstance(mcc, int) else mcc,
                str(mnc) if isinstance(mnc, int) else mnc,
                bytes(raw),
            )
    except UNDECODABLE:
        # Read again below, outside of this block: the decoder's error would otherwise travel along as context, and
        # may hold the text it could not decode.
        pass
    return _read_exactly(bytes(raw), other_side, endpoint)


def read_timestamps(values: Sequence[Any]) -> list[datetime | None]:
    """
    Read times as iP.1 writes them, many at a time.

    :param values: JSON values, such as :attr:`RawPage.modified`.
    :return: in UTC and in the same order; ``None`` for what is missing or no time.
    """
    try:
        timestamps = [_from_iso_format(value) for value in values]
        if all(timestamp.tzinfo is UTC for timestamp in timestamps) and _BETWEEN_DATE_AND_TIME.issuperset(
            [value[10:11] for value in values]
        ):
            return timestamps  # type: ignore[return-value]  # a list of the same, without the exceptions
    except (ValueError, TypeError):
        pass
    return [_timestamp_if_any(value) for value in values]


def _timestamp_if_any(value: Any) -> datetime | None:
    try:
        return None if value is None else _read_timestamp(value)
    except (ValueError, TypeError, ArithmeticError):
        return None


def decode_summary(raw: BytesLike | str | Mapping[str, Any]) -> ConversationSummary:
    """
    Decode the summary of a conversation.

    :param raw: the JSON object, as text or as a mapping.
    :return: the summary.
    :raises UnreadableBody: the text is not JSON, or is truncated.
    :raises IP1ResponseError: the JSON is not a summary. The error names the field.
    """
    text = _json_text(raw)
    fields = _Fields(parse_exactly(text), "The summary of a conversation")
    return ConversationSummary(
        participant=fields.text("participant"),
        total_messages=fields.whole("totalMessageCount"),
        total_sms=fields.whole("totalSmsCount"),
        mobile_terminated=_counts(fields, "mobileTerminatedMessages"),
        mobile_originated=_counts(fields, "mobileOriginatedMessages"),
        raw_json=text,
    )


_DIRECTIONS: Final = ("mt", "mo")
_TYPES: Final[Mapping[Scalar | None, str]] = {
    0: "flash",
    1: "sms",
    "0": "flash",
    "1": "sms",
    "flash": "flash",
    "sms": "sms",
}
_DATACODINGS: Final[Mapping[Scalar | None, str]] = {
    0: "gsm",
    2: "ucs",
    "0": "gsm",
    "2": "ucs",
    "gsm": "gsm",
    "ucs": "ucs",
}
_PRIORITIES: Final[Mapping[Scalar | None, int]] = {1: 1, 2: 2, "1": 1, "2": 2, "normal": 1, "high": 2}


def _named(value: Scalar | None, names: Mapping[Scalar | None, Any]) -> Any:
    if isinstance(value, bool):
        # Equal to 0 or 1 for a dict, but no enum value.
        return value
    return names.get(value.casefold() if isinstance(value, str) else value, value)


def _direction(
    value: Scalar | None, endpoint: str | None, other_side: str | None, sender: str | None, recipient: str | None
) -> str | None:
    if isinstance(value, str) and value and not value.isdigit():
        known = value.casefold()
        return known if known in _DIRECTIONS else value
    if endpoint is not None:
        return endpoint
    if other_side is not None:
        is_recipient = recipient is not None and _address(recipient) == other_side
        is_sender = sender is not None and _address(sender) == other_side
        if is_recipient != is_sender:
            return "mt" if is_recipient else "mo"
    return None


@lru_cache(maxsize=1024)
def _address(text: str) -> str:
    """Give the form in which two spellings of the same number or name are equal."""
    digits = re.sub(r"[\s().\-/+]", "", text)
    return digits.removeprefix("00") if digits.isdigit() else text.strip().casefold()


_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


# Few prices make up most messages.
@lru_cache(maxsize=1024)
def _price(written: bytes) -> Decimal | None:
    if written == b"null":
        return None
    text = json.loads(written, parse_float=str, parse_int=str)
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number")
    return Decimal(text)


def _timestamp(text: str | None) -> datetime | None:
    """
    Read an RFC 3339 time, with or without zone; digits after the microsecond are cut off.

    :raises ValueError: the text is no time.
    :raises OverflowError: the time in UTC is outside of years 1 to 9999.
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


_BETWEEN_DATE_AND_TIME = frozenset("Tt ")
_from_iso_format = datetime.fromisoformat


ADVICE = "This is not what iP.1 documents: update this provider, or ask iP.1's support about it."
_WHOLE = re.compile(r"-?[0-9]+(?:\.0+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()


def _refuse_constant(name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


EXACT_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant)


def parse_exactly(body: bytes) -> Any:
    """Parse JSON with the numbers as they are written."""
    try:
        return EXACT_DECODER.decode(body.decode())
    except (ValueError, RecursionError):
        # Raised below, outside of this block: the errors of both decoders hold the whole text.
        pass
    raise UnreadableBody(
        f"iP.1's answer of {len(body)} bytes is no JSON, or was cut on its way. Try again; if it stays so, check that "
        "the connection's host is iP.1's API and that no proxy answers in its place."
    )


def _json_text(raw: BytesLike | str | Mapping[str, Any]) -> bytes:
    """Give the JSON text of a single object, without anything around it."""
    if isinstance(raw, Mapping):
        try:
            return _ENCODER.encode(dict(raw))
        except UnicodeEncodeError:
            pass
        # Half a UTF-16 pair in a text, which only an escape can express.
        return json.dumps(dict(raw), default=str).encode()
    text = raw.encode() if isinstance(raw, str) else bytes(raw)
    return text.removeprefix(BYTE_ORDER_MARK).strip(b" \t\r\n")


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def kind_of(value: object) -> str:
    """Name the JSON type of a value without its content."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case _Number():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
    return "an object"


def _clean(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


class _Fields:
    """
    The fields of one JSON object, each read with an error that names the field and not its content.

    :param value: what should be the object, from :func:`_parse`.
    :param subject: what the object is, for the error.
    :param path: what precedes the names of the fields in the error.
    """

    def __init__(self, value: Any, subject: str, path: str = "") -> None:
        self.subject = subject
        self.path = path
        if not isinstance(value, dict):
            raise self.error("", f"is {kind_of(value)} where an object belongs")
        self.values: dict[str, Any] = value

    def error(self, name: str, problem: str) -> IP1ResponseError:
        field = f"{self.path}{name}".rstrip(".")
        return IP1ResponseError(
            f"{self.subject} cannot be read: {f'its field {field}' if field else 'it'} {problem}. {ADVICE}"
        )

    def _read(self, name: str, read: Callable[[Any], Any], belongs: str) -> Any:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return read(value)
        except (ValueError, TypeError, ArithmeticError):
            pass
        raise self.error(name, f"is {kind_of(value)} that is not {belongs}")

    def text(self, name: str) -> str | None:
        text: str | None = self._read(name, _read_text, "a text")
        return text

    def whole(self, name: str) -> int | None:
        number: int | None = self._read(name, _read_whole, "a whole number")
        return number

    def scalar(self, name: str) -> Scalar | None:
        value: Scalar | None = self._read(name, _read_scalar, "a text or number")
        return value

    def decimal(self, name: str) -> Decimal | None:
        number: Decimal | None = self._read(name, _read_decimal, "a decimal number")
        return number

    def flag(self, name: str) -> bool | None:
        flag: bool | None = self._read(name, _read_flag, "true or false")
        return flag

    def items(self, name: str) -> list[Any]:
        items: list[Any] | None = self._read(name, _read_list, "a list")
        return items or []

    def timestamp(self, name: str) -> datetime | None:
        timestamp: datetime | None = self._read(name, _read_timestamp, "a date and time (RFC 3339)")
        return timestamp


def _read_text(value: Any) -> str:
    if isinstance(value, _Number):
        return str(int(value))
    if not isinstance(value, str):
        raise TypeError
    return _clean(value)


def _read_whole(value: Any) -> int:
    if not _WHOLE.fullmatch(value):
        raise ValueError
    number = int(value.partition(".")[0])
    if not _INT32_MIN <= number <= _INT32_MAX:
        raise ValueError
    return number


def _read_scalar(value: Any) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, _Number):
        return int(value) if value.lstrip("-").isdigit() else float(value)
    return _read_text(value)


def _read_decimal(value: Any) -> Decimal:
    if not _DECIMAL.fullmatch(value):
        raise ValueError
    return Decimal(value)


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _read_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _read_timestamp(value: Any) -> datetime | None:
    if not isinstance(value, str) or isinstance(value, _Number):
        raise TypeError
    return _timestamp(value)


def decode_id(value: Any, subject: str, path: str = "") -> str:
    """
    Return the id of a message.

    :param value: what should be the message, as :func:`parse_exactly` returns it.
    :param subject: what the value is, for the error.
    :param path: what precedes the field's name in the error.
    :raises IP1ResponseError: the value is not an object with a non-empty text as ``id``.
    """
    fields = _Fields(value, subject, path)
    found = fields.values.get("id")
    if not isinstance(found, str) or isinstance(found, _Number):
        raise fields.error("id", "is missing" if found is None else f"is {kind_of(found)} that is not a text")
    if not found:
        raise fields.error("id", "is empty")
    return _clean(found)


def _message_fields(raw: bytes) -> _Fields:
    value = parse_exactly(raw)
    # iP.1's ids have 24 characters; more than that tells nothing.
    return _Fields(value, f"Message {decode_id(value, 'A message')[:48]!r}")


def _read_exactly(raw: bytes, other_side: str | None, endpoint: str | None) -> Message:
    """Do what :func:`_read` does, field by field."""
    fields = _message_fields(raw)
    sender, recipient, currency = fields.text("sender"), fields.text("recipient"), fields.text("currency")
    return Message(
        id=_clean(fields.values["id"]),
        batch_id=fields.text("batchId"),
        owner=fields.text("owner"),
        sender=sender,
        recipient=recipient,
        body=fields.text("body"),
        direction=_direction(fields.scalar("direction"), endpoint, other_side, sender, recipient),
        segments=fields.whole("segments"),
        type=_named(fields.scalar("type"), _TYPES),
        datacoding=_named(fields.scalar("datacoding"), _DATACODINGS),
        priority=_named(fields.scalar("priority"), _PRIORITIES),
        price=fields.decimal("price"),
        currency=None if currency is None else currency.upper(),
        statuses=_statuses(fields),
        modified=fields.timestamp("modified"),
        reference=fields.text("reference"),
        mcc=fields.text("mcc"),
        mnc=fields.text("mnc"),
        raw_json=raw,
    )


def _statuses(fields: _Fields) -> tuple[MessageStatus, ...]:
    read = []
    for position, report in enumerate(fields.items("statuses")):
        status = _Fields(report, fields.subject, f"statuses[{position}].")
        code = status.whole("code")
        if code is None:
            raise status.error("code", "is missing")
        read.append(MessageStatus(code, status.scalar("duration"), status.timestamp("created")))
    return tuple(read)


def _counts(fields: _Fields, name: str) -> dict[int, StatusCount]:
    values = fields.values.get(name)
    if values is None:
        return {}
    counts = {}
    for code, count in _Fields(values, fields.subject, f"{name}.").values.items():
        if not _WHOLE.fullmatch(code):
            raise fields.error(name, "has a key that is not a status code")
        counted = _Fields(count, fields.subject, f"{name}.*.")
        counts[int(code)] = StatusCount(counted.whole("messages"), counted.whole("sms"))
    return counts


def decode_batch(raw: BytesLike | str | Mapping[str, Any]) -> Batch:
    """
    Decode a batch.

    :param raw: the JSON object, as text or as a mapping.
    :return: the batch.
    :raises UnreadableBody: the text is not JSON, or is truncated.
    :raises IP1ResponseError: the JSON is not a batch. The error names the field.
    """
    text = _json_text(raw)
    value = parse_exactly(text)
    batch_id = decode_id(value, "A batch")
    # iP.1's ids have 24 characters.
    fields = _Fields(value, f"Batch {batch_id[:48]!r}")
    return Batch(
        id=batch_id,
        sender=fields.text("sender"),
        owner=fields.text("owner"),
        direction=_direction(fields.scalar("direction"), None, None, None, None),
        type=_named(fields.scalar("type"), _TYPES),
        datacoding=_named(fields.scalar("datacoding"), _DATACODINGS),
        priority=_named(fields.scalar("priority"), _PRIORITIES),
        templated=fields.flag("templated"),
        status=fields.whole("status"),
        delivery_windows=_delivery_windows(fields),
        reference=fields.text("reference"),
        tags=_tags(fields),
        message_summary=None if fields.values.get("messageSummary") is None else _counts(fields, "messageSummary"),
        price_summary=_price_summary(fields),
        raw_json=text,
    )


def _delivery_windows(fields: _Fields) -> tuple[DeliveryWindow, ...]:
    windows = []
    for position, value in enumerate(fields.items("deliveryWindows")):
        window = _Fields(value, fields.subject, f"deliveryWindows[{position}].")
        windows.append(DeliveryWindow(window.timestamp("opens"), window.timestamp("closes")))
    return tuple(windows)


def _tags(fields: _Fields) -> tuple[str, ...]:
    tags = fields.items("tags")
    if not all(isinstance(tag, str) for tag in tags):
        raise fields.error("tags", "is a list of something other than texts")
    return tuple(_clean(tag) for tag in tags)


def _price_summary(fields: _Fields) -> PriceSummary | None:
    value = fields.values.get("priceSummary")
    if value is None:
        return None
    summary = _Fields(value, fields.subject, "priceSummary.")
    currency = summary.text("currency")
    return PriceSummary(
        summary.decimal("total"), None if currency is None else currency.upper(), summary.decimal("average")
    )
