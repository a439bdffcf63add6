# SPDX-License-Identifier: Apache-2.0
"""
Messages as iP.1's SMS API v2 gives them, and how they are read from JSON.

The documented shape is in ``schema/conversation_messages.json`` (the schema of iP.1's operation
GetConversationMessages). It prints enums as integers, while the human documentation
(https://www.ip1sms.com/en/developer/readinsms) prints them as strings in mixed case, so both are read. What iP.1
sends beyond that is never lost: ``raw_json`` keeps the exact bytes.

A page is read on two paths with the same outcome. msgspec decodes the common shape at full speed; a message it cannot
decode is read once more, field by field, so that the error can name the field, or so that an unusual but readable
value is still read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec

from airflow_provider_ip1.api.status import Category, status_category
from airflow_provider_ip1.exceptions import IP1ResponseError

BytesLike: TypeAlias = bytes | bytearray | memoryview | msgspec.Raw
"""One JSON text in memory. ``msgspec.Raw`` is a view of the page it came from, without a copy."""

Scalar: TypeAlias = str | int | float
"""A value that was not recognised and is kept as it came."""


# What msgspec's decoders raise. Its own errors are ValueErrors in recent versions only.
_UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


class UnreadableBody(IP1ResponseError, ValueError):
    """The body is no JSON, or was cut on its way. The same request may well succeed at another time."""


# --- Personal data ---------------------------------------------------------------------------------------------------

_NUMBER_LIKE = re.compile(r"[+(]{0,2}[0-9](?:[\s().\-/]*[0-9])+")
# Shorter runs of digits inside a name ("Bank 24", "Taxi 020") are no phone number.
_SHORTEST_NUMBER = 7


def _mask_digits(digits: str) -> str:
    return f"{digits[:2]}***{digits[-2:]}" if len(digits) > 4 else "***"


def _mask_found(found: re.Match[str]) -> str:
    digits = re.sub(r"[^0-9]", "", found[0])
    return _mask_digits(digits) if len(digits) >= _SHORTEST_NUMBER else found[0]


def mask_number(text: str) -> str:
    """
    Make a participant fit for logs and errors.

    :param text: a phone number in any notation, an alphanumeric sender name, or a text with numbers in it.
    :return: for a number its first two and last two digits, such as ``46***67`` (``***`` for up to four digits);
        a name unchanged, apart from phone numbers of seven digits or more within it.
    """
    if _NUMBER_LIKE.fullmatch(text.strip()):
        return _mask_digits(re.sub(r"[^0-9]", "", text))
    return _NUMBER_LIKE.sub(_mask_found, text)


# --- The types -------------------------------------------------------------------------------------------------------


class MessageStatus(msgspec.Struct, frozen=True, gc=False):
    """
    One delivery report of a message.

    :param code: status code, see :mod:`airflow_provider_ip1.api.status`.
    :param duration: iP.1's mark for a permanent or temporary status, as it came. Documented as 0 or 1; which of the
        two is permanent is not documented, and the examples contradict each other.
    :param created: when the report was made, in UTC.
    """

    code: int
    duration: Scalar | None = None
    created: datetime | None = None

    @property
    def category(self) -> Category:
        """What the code means for the delivery."""
        return status_category(self.code)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("code", self.code),
            # Anything else than a small number is not documented and may be anything.
            ("duration", self.duration if self.duration in (None, 0, 1) else "..."),
            ("created", self.created and self.created.isoformat()),
        ]

    def __repr__(self) -> str:
        return _repr(self)


class Message(msgspec.Struct, frozen=True, gc=False):
    """
    One SMS of a conversation or batch. A field that iP.1 leaves out or sends as null is ``None``.

    ``repr()`` and ``str()`` show neither the body nor a whole phone number.

    :param id: iP.1's unique id, never empty.
    :param batch_id: id of the batch the message belongs to, for received messages too.
    :param owner: the account the message belongs to.
    :param sender: phone number or alphanumeric name.
    :param recipient: phone number or alphanumeric name; for a received message your own number.
    :param body: the text. A lone half of a UTF-16 pair, which no UTF-8 text can hold, is U+FFFD here.
    :param direction: ``mt`` (you sent it) or ``mo`` (you received it). iP.1 documents the names, but not which of its
        integers 0 and 1 is which. So it is taken from iP.1's text; else from the endpoint that was read (/mt, /mo);
        else from the addresses: what goes to the participant is ``mt``, what comes from it ``mo``; else ``None``.
        A text that iP.1 does not document is kept as it came.
    :param segments: number of SMS the text needs.
    :param type: ``sms`` or ``flash``; another value as it came.
    :param datacoding: ``gsm`` or ``ucs``, the smallest coding the text needs; another value as it came.
    :param priority: 1 (normal) or 2 (high); another value as it came.
    :param price: price of the whole message, all segments, with the digits that iP.1 wrote.
    :param currency: currency of the price, upper case.
    :param statuses: the delivery reports in the order of iP.1. Lists of messages hold the latest only, a message read
        by its id holds all.
    :param modified: last change, in UTC, to the microsecond. A time without zone is taken for UTC.
    :param reference: your own reference, given when the message was sent.
    :param mcc: mobile country code, three digits.
    :param mnc: mobile network code, two or three digits.
    :param raw_json: the JSON object byte for byte as iP.1 sent it.
    """

    id: str
    batch_id: str | None = None
    owner: str | None = None
    sender: str | None = None
    recipient: str | None = None
    body: str | None = None
    direction: str | None = None
    segments: int | None = None
    type: Scalar | None = None
    datacoding: Scalar | None = None
    priority: Scalar | None = None
    price: Decimal | None = None
    currency: str | None = None
    statuses: tuple[MessageStatus, ...] = ()
    modified: datetime | None = None
    reference: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    raw_json: bytes = b"{}"

    @classmethod
    def from_json(
        cls, raw: BytesLike | str | Mapping[str, Any], *, participant: str | None = None, direction: str | None = None
    ) -> Message:
        """
        Read one message.

        :param raw: the JSON object, as text or already as a mapping. A mapping is written as JSON first; a float that
            is no number (NaN) becomes null there.
        :param participant: whose conversation it is from, to tell the direction by the addresses.
        :param direction: ``mt`` or ``mo`` where the endpoint gives only these.
        :return: the message.
        :raises UnreadableBody: the text is no JSON, or was cut.
        :raises IP1ResponseError: it is JSON, but cannot be a message; names the field and the message id.
        :raises ValueError: ``direction`` is neither ``mt`` nor ``mo``.
        """
        return read_messages([_json_text(raw)], participant=participant, direction=direction)[0]

    @property
    def raw(self) -> dict[str, Any]:
        """The API's own JSON object, nothing lost. Parsed anew at each access, so changing it changes no message."""
        return _loads(self.raw_json)

    @property
    def extra_fields(self) -> dict[str, Any]:
        """
        What iP.1 sent that no attribute carries, as JSON values under iP.1's names; mostly empty.

        Holds the fields that the documented schema does not know, ``direction`` where an integer could not be
        explained, and under ``statuses`` a list, one object per report, where a report has unknown fields.
        """
        if self.direction is not None:
            try:
                _DOCUMENTED.decode(self.raw_json)
            except _UNDECODABLE:
                pass
            else:
                return {}
        raw = self.raw
        extra = {name: value for name, value in raw.items() if name not in DOCUMENTED_FIELDS}
        if self.direction is None and raw.get("direction") is not None:
            extra["direction"] = raw["direction"]
        reports = [
            {name: value for name, value in report.items() if name not in DOCUMENTED_STATUS_FIELDS}
            for report in raw.get("statuses") or ()
        ]
        if any(reports):
            extra["statuses"] = reports
        return extra

    @property
    def latest_status(self) -> MessageStatus | None:
        """
        The report made last, by ``created`` and not by position; ``None`` where there are no reports.

        Among reports of the same time the one further back in the list wins. A report without ``created`` counts as
        made together with the latest one before it.
        """
        latest: MessageStatus | None = None
        when: datetime | None = None
        for status in self.statuses:
            if status.created is None or when is None or status.created >= when:
                latest, when = status, status.created or when
        return latest

    @property
    def status_code(self) -> int | None:
        """Code of :attr:`latest_status`."""
        latest = self.latest_status
        return None if latest is None else latest.code

    @property
    def status_category(self) -> Category | None:
        """Category of :attr:`latest_status`, see :func:`airflow_provider_ip1.api.status.status_category`."""
        latest = self.latest_status
        return None if latest is None else latest.category

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("id", self.id),
            ("direction", self.direction if self.direction in (None, *_DIRECTIONS) else "..."),
            ("sender", self.sender and mask_number(self.sender)),
            ("recipient", self.recipient and mask_number(self.recipient)),
            ("status_code", self.status_code),
            ("modified", self.modified and self.modified.isoformat()),
        ]

    def __repr__(self) -> str:
        return _repr(self)


class StatusCount(msgspec.Struct, frozen=True, gc=False):
    """
    How many messages of a conversation have one status.

    :param messages: number of messages.
    :param sms: number of SMS segments of these messages.
    """

    messages: int | None = None
    sms: int | None = None


class ConversationSummary(msgspec.Struct, frozen=True):
    """
    What GET /v2/conversations/{participant}/summary counts. A message counts under its latest status only.

    Source: https://www.ip1sms.com/en/developer/conversations/ (table and example; there is no schema).

    :param participant: the phone number or name the summary is about.
    :param total_messages: number of messages, both directions.
    :param total_sms: number of SMS segments, both directions.
    :param mobile_terminated: status code -> counts, of the messages you sent.
    :param mobile_originated: status code -> counts, of the messages you received.
    :param raw_json: the JSON object byte for byte as iP.1 sent it.
    """

    participant: str | None = None
    total_messages: int | None = None
    total_sms: int | None = None
    mobile_terminated: dict[int, StatusCount] = {}
    mobile_originated: dict[int, StatusCount] = {}
    raw_json: bytes = b"{}"

    @classmethod
    def from_json(cls, raw: BytesLike | str | Mapping[str, Any]) -> ConversationSummary:
        """
        Read a summary.

        :param raw: the JSON object, as text or already as a mapping.
        :return: the summary.
        :raises UnreadableBody: the text is no JSON, or was cut.
        :raises IP1ResponseError: it is JSON, but cannot be a summary; names the field.
        """
        text = _json_text(raw)
        fields = _Fields(_parse(text), "The summary of a conversation")
        return cls(
            participant=fields.text("participant"),
            total_messages=fields.whole("totalMessageCount"),
            total_sms=fields.whole("totalSmsCount"),
            mobile_terminated=_counts(fields, "mobileTerminatedMessages"),
            mobile_originated=_counts(fields, "mobileOriginatedMessages"),
            raw_json=text,
        )

    @property
    def raw(self) -> dict[str, Any]:
        """The API's own JSON object, nothing lost. Parsed anew at each access."""
        return _loads(self.raw_json)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("participant", self.participant and mask_number(self.participant)),
            ("total_messages", self.total_messages),
            ("total_sms", self.total_sms),
            ("mobile_terminated", self.mobile_terminated),
            ("mobile_originated", self.mobile_originated),
        ]

    def __repr__(self) -> str:
        return _repr(self)


def _repr(thing: MessageStatus | Message | ConversationSummary) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in thing.__rich_repr__())
    return f"{type(thing).__name__}({shown})"


# --- Pages -----------------------------------------------------------------------------------------------------------


class _Key(msgspec.Struct, gc=False):
    id: str
    modified: Any = None


_KEYS = msgspec.json.Decoder(list[_Key])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")


class SplitPage(NamedTuple):
    """
    A page of messages, in the order it was sent.

    :param ids: the messages' ids.
    :param raws: each message's JSON object byte for byte as it was sent.
    :param modified: each message's ``modified`` as it was sent, for :func:`read_moments`.
    """

    ids: list[str]
    raws: list[BytesLike]
    modified: list[Any]


def split_page(body: bytes) -> SplitPage:
    """
    Take a page of messages apart without reading more than what it is sorted and recognised by.

    A byte order mark before the JSON is skipped. Where an object holds a name twice, the last one counts, here and
    for every other field. ``NaN`` and ``Infinity`` are no JSON. Half a UTF-16 pair as an escape is (RFC 8259, 8.2),
    and stays in the bytes as it is.

    :param body: the answer's body, UTF-8.
    :raises UnreadableBody: the body is no JSON in UTF-8, or was cut.
    :raises IP1ResponseError: it is JSON, but no array of objects that each have a non-empty text as ``id``.
    """
    body = bytes(body).removeprefix(_BOM)
    try:
        keys = _KEYS.decode(body)
        ids = [key.id for key in keys]
        raws: list[BytesLike] = _RAWS.decode(body)  # type: ignore[assignment]
        # The decoders skip what they do not keep, and do not look whether that is UTF-8.
        if all(ids) and (body.isascii() or str(body, "utf-8")):
            return SplitPage(ids, raws, [key.modified for key in keys])
    except _UNDECODABLE:
        pass
    return _split_exactly(body)


def _split_exactly(body: bytes) -> SplitPage:
    """Do what :func:`split_page` does, by a scanner that knows where and why it stops."""
    page = _parse(body)
    if not isinstance(page, list):
        raise IP1ResponseError(f"iP.1 answered with {_kind(page)} where a list of messages belongs. {_ADVICE}")
    ids = [
        _id(row, f"The message at position {position} of the page", f"[{position}].")
        for position, row in enumerate(page)
    ]
    raws: list[BytesLike] = []
    text = body.decode()
    position = _after_space(text, 0) + 1
    for _ in page:
        start = _after_space(text, position)
        _, end = _EXACT.raw_decode(text, start)
        raws.append(text[start:end].encode())
        position = _after_space(text, end) + 1
    return SplitPage(ids, raws, [row.get("modified") for row in page])


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


_TOKEN_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*+")|[ \t\r\n]+')


def one_line(raw: BytesLike) -> bytes:
    """
    Put a JSON text on one line. A text without line breaks stays as it is, byte for byte.

    :param raw: one JSON text.
    :return: the same JSON without line breaks; in a text that had some, all insignificant white space is gone.
    """
    text = bytes(raw)
    # JSON strings hold line breaks as escapes only, so a bare one is white space between tokens.
    if b"\n" not in text and b"\r" not in text:
        return text
    try:
        return msgspec.json.format(text, indent=-1)
    except _UNDECODABLE:
        # It holds half a UTF-16 pair, which msgspec refuses.
        return _TOKEN_OR_SPACE.sub(rb"\1", text)


# --- The fast path ---------------------------------------------------------------------------------------------------

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


class _DocumentedStatus(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    code: msgspec.Raw = msgspec.Raw()
    duration: msgspec.Raw = msgspec.Raw()
    created: msgspec.Raw = msgspec.Raw()


_DocumentedRow = msgspec.defstruct(
    "_DocumentedRow",
    [
        (field.encode_name, list[_DocumentedStatus] | None if field.name == "statuses" else msgspec.Raw, msgspec.Raw())
        for field in msgspec.structs.fields(_Row)
    ],
    gc=False,
    forbid_unknown_fields=True,
)

DOCUMENTED_FIELDS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(_Row))
"""iP.1's names of the fields of a message."""

DOCUMENTED_STATUS_FIELDS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(_StatusRow))
"""iP.1's names of the fields of a status."""


_ROW = msgspec.json.Decoder(_Row)
_DOCUMENTED = msgspec.json.Decoder(_DocumentedRow)


def read_messages(
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
                tuple([MessageStatus(s.code, s.duration, _moment(s.created)) for s in row.statuses or ()]),
                _moment(row.modified),
                row.reference,
                str(mcc) if isinstance(mcc, int) else mcc,
                str(mnc) if isinstance(mnc, int) else mnc,
                bytes(raw),
            )
    except _UNDECODABLE:
        # Read again below, outside of this block: the decoder's error would otherwise travel along as context, and
        # may hold the text it could not decode.
        pass
    return _read_exactly(bytes(raw), other_side, endpoint)


def read_moments(values: Sequence[Any]) -> list[datetime | None]:
    """
    Read times as iP.1 writes them, many at a time.

    :param values: JSON values, such as :attr:`SplitPage.modified`.
    :return: in UTC and in the same order; ``None`` for what is missing or no time.
    """
    try:
        moments = [_from_iso_format(value) for value in values]
        if all(moment.tzinfo is UTC for moment in moments) and _BETWEEN_DATE_AND_TIME.issuperset(
            [value[10:11] for value in values]
        ):
            return moments  # type: ignore[return-value]  # a list of the same, without the exceptions
    except (ValueError, TypeError):
        pass
    return [_moment_if_any(value) for value in values]


def _moment_if_any(value: Any) -> datetime | None:
    try:
        return None if value is None else _read_moment(value)
    except (ValueError, TypeError, ArithmeticError):
        return None


# --- Values ----------------------------------------------------------------------------------------------------------

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


def _moment(text: str | None) -> datetime | None:
    """
    Read an RFC 3339 time, with or without zone; digits after the microsecond are cut off.

    :raises ValueError: the text is no time.
    :raises OverflowError: the time in UTC is outside of years 1 to 9999.
    """
    if text is None:
        return None
    if text[10:11] not in _BETWEEN_DATE_AND_TIME:
        raise ValueError("not a date and time")
    moment = _from_iso_format(f"{text[:-1]}Z" if text[-1] == "z" else text)
    zone = moment.tzinfo
    if zone is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if zone is None else moment.astimezone(UTC)


_BETWEEN_DATE_AND_TIME = frozenset("Tt ")
_from_iso_format = datetime.fromisoformat

# --- The exact path --------------------------------------------------------------------------------------------------

_ADVICE = "This is not what iP.1 documents: update this provider, or ask iP.1's support about it."
_WHOLE = re.compile(r"-?[0-9]+(?:\.0+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()


def _refuse_constant(name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


_EXACT = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant)


def _parse(body: bytes) -> Any:
    """Parse JSON with the numbers as they are written."""
    try:
        return _EXACT.decode(body.decode())
    except (ValueError, RecursionError):
        # Raised below, outside of this block: the errors of both decoders hold the whole text.
        pass
    raise UnreadableBody(
        f"iP.1's answer of {len(body)} bytes is no JSON, or was cut on its way. Try again; if it stays so, check that "
        "the connection's host is iP.1's API and that no proxy answers in its place."
    )


def _loads(text: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value


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
    return text.removeprefix(_BOM).strip(b" \t\r\n")


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _kind(value: object) -> str:
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
            raise self.error("", f"is {_kind(value)} where an object belongs")
        self.values: dict[str, Any] = value

    def error(self, name: str, problem: str) -> IP1ResponseError:
        field = f"{self.path}{name}".rstrip(".")
        return IP1ResponseError(
            f"{self.subject} cannot be read: {f'its field {field}' if field else 'it'} {problem}. {_ADVICE}"
        )

    def _read(self, name: str, read: Callable[[Any], Any], belongs: str) -> Any:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return read(value)
        except (ValueError, TypeError, ArithmeticError):
            pass
        raise self.error(name, f"is {_kind(value)} that is not {belongs}")

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

    def moment(self, name: str) -> datetime | None:
        moment: datetime | None = self._read(name, _read_moment, "a date and time (RFC 3339)")
        return moment


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


def _read_moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or isinstance(value, _Number):
        raise TypeError
    return _moment(value)


def _id(value: Any, subject: str, path: str = "") -> str:
    fields = _Fields(value, subject, path)
    found = fields.values.get("id")
    if not isinstance(found, str) or isinstance(found, _Number):
        raise fields.error("id", "is missing" if found is None else f"is {_kind(found)} that is not a text")
    if not found:
        raise fields.error("id", "is empty")
    return _clean(found)


def _message_fields(raw: bytes) -> _Fields:
    value = _parse(raw)
    # iP.1's ids have 24 characters; more than that tells nothing.
    return _Fields(value, f"Message {_id(value, 'A message')[:48]!r}")


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
        modified=fields.moment("modified"),
        reference=fields.text("reference"),
        mcc=fields.text("mcc"),
        mnc=fields.text("mnc"),
        raw_json=raw,
    )


def _statuses(fields: _Fields) -> tuple[MessageStatus, ...]:
    reports = fields.values.get("statuses")
    if reports is None:
        return ()
    if not isinstance(reports, list):
        raise fields.error("statuses", f"is {_kind(reports)} where a list belongs")
    read = []
    for position, report in enumerate(reports):
        status = _Fields(report, fields.subject, f"statuses[{position}].")
        code = status.whole("code")
        if code is None:
            raise status.error("code", "is missing")
        read.append(MessageStatus(code, status.scalar("duration"), status.moment("created")))
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
