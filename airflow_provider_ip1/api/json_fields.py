# SPDX-License-Identifier: Apache-2.0
"""Reading a JSON object field by field: lenient about spelling, exact about which field cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike, check_json, kind_of, replace_lone_surrogates
from airflow_provider_ip1.api.messages import Scalar
from airflow_provider_ip1.api.timestamps import parse_timestamp
from airflow_provider_ip1.exceptions import IP1ResponseError

T = TypeVar("T")

Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""The schema's format int32."""

ADVICE: Final = "This is not what iP.1 documents: update this provider, or ask iP.1's support about it."

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_TEXTS = msgspec.json.Decoder(list[str])
_TEXT_OR_INTEGER = msgspec.json.Decoder(int | str)
_SCALAR = msgspec.json.Decoder(bool | int | float | str)
_INT32 = msgspec.json.Decoder(Int32, strict=False)
_FLAG = msgspec.json.Decoder(bool)
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class Fields:
    """
    The fields of one JSON object. Errors name the field, and do not show its value.

    Each method returns ``None`` for a field that is missing or null, and raises :class:`IP1ResponseError` for one that
    cannot be read. Of a name that occurs twice, the last one counts. Half a UTF-16 pair in a text is U+FFFD.

    :param raw: the object.
    :param subject: what the object is part of, for errors.
    :param path: where in the subject the object is, for errors; empty, or ending in a dot.
    :param odd: if given, collects the names of fields that cannot be read. They then count as missing.
    :raises UnreadableBody: ``raw`` is not JSON.
    :raises IP1ResponseError: ``raw`` is not an object.
    """

    def __init__(self, raw: BytesLike, subject: str, path: str = "", odd: set[str] | None = None) -> None:
        self.subject = subject
        self.path = path
        self.odd = odd
        cleaned = replace_lone_surrogates(bytes(raw))
        try:
            # As text, because the decoder skips the values without checking their encoding.
            self.values = _OBJECT.decode(str(cleaned, "utf-8"))
            return
        except UNDECODABLE:
            # Raise outside of this block. The context of the error would otherwise contain the whole text.
            pass
        raise self.error("", f"is {kind_of(check_json(cleaned))}, not an object")

    def error(self, name: str, problem: str) -> IP1ResponseError:
        """Return the error for a field. An empty name stands for the object itself."""
        field = f"{self.path}{name}".rstrip(".")
        return IP1ResponseError(
            f"{self.subject} cannot be read: {f'its field {field}' if field else 'it'} {problem}. {ADVICE}"
        )

    def id(self, name: str = "id") -> str:
        """Return the field that identifies the object, which is a text of at least one character."""
        raw = self.values.get(name)
        if raw is None or bytes(raw) == b"null":
            raise self.error(name, "is missing")
        found = self.text_or_none(name)
        if found is None:
            raise self.error(name, f"is {kind_of(raw)}, not a text")
        if not found:
            raise self.error(name, "is empty")
        return found

    def text_or_none(self, name: str) -> str | None:
        """Return a text; ``None`` for anything else."""
        raw = self.values.get(name)
        try:
            return None if raw is None else _TEXT.decode(raw)
        except UNDECODABLE:
            return None

    def text(self, name: str) -> str | None:
        """Return a text. An integer is converted."""
        return self._read(name, lambda raw: str(_TEXT_OR_INTEGER.decode(raw)), "a text")

    def int32(self, name: str) -> int | None:
        """Return a 32-bit integer, which iP.1 may send as a number or as a text."""
        return self._read(name, _INT32.decode, "a 32-bit integer")

    def scalar(self, name: str) -> Scalar | None:
        """Return a text, number or boolean as sent."""
        return self._read(name, _SCALAR.decode, "a text or a number within range")

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        return self._read(name, _FLAG.decode, "true or false")

    def decimal(self, name: str) -> Decimal | None:
        """Return a number with its digits, which iP.1 may send as a number or as a text."""
        return self._read(name, lambda raw: parse_decimal(bytes(raw)), "a decimal number within range")

    def timestamp(self, name: str) -> datetime | None:
        """Return a time in UTC."""
        return self._read(name, lambda raw: parse_timestamp(_TEXT.decode(raw)), "a date and time (RFC 3339)")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; an empty one if the field is missing or null."""
        return self._read(name, lambda raw: tuple(_TEXTS.decode(raw)), "a list of texts") or ()

    def objects(self, name: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """Return what a function makes of each object in a list; nothing if the field is missing or null."""

        def read_all(raw: msgspec.Raw) -> tuple[T, ...]:
            items = enumerate(_LIST.decode(raw))
            return tuple([read(Fields(item, self.subject, f"{self.path}{name}[{at}].")) for at, item in items])

        return self._read(name, read_all, "a list") or ()

    def object(self, name: str, read: Callable[[Fields], T]) -> T | None:
        """Return what a function makes of a nested object. If a part of it cannot be read, none of it can."""
        return self._read(name, lambda raw: read(Fields(raw, self.subject, f"{self.path}{name}.")), "an object")

    def _read(self, name: str, decode: Callable[[msgspec.Raw], T], expected: str) -> T | None:
        raw = self.values.get(name)
        if raw is None or bytes(raw) == b"null":
            return None
        try:
            return decode(raw)
        except UNDECODABLE:
            pass
        except IP1ResponseError:
            # A part of a nested field cannot be read.
            if self.odd is None:
                raise
        if self.odd is None:
            raise self.error(name, f"is {kind_of(raw)}, not {expected}")
        self.odd.add(name)
        return None


# A few prices account for most messages.
@lru_cache(maxsize=1024)
def parse_decimal(written: bytes) -> Decimal:
    """
    Parse a decimal number, keeping its digits.

    :param written: a JSON number, or a JSON text that contains a number.
    :raises ValueError: the value is not a decimal number.
    :raises ArithmeticError: its exponent is out of range.
    """
    text = written.decode().strip('"')
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number")
    return Decimal(text)
