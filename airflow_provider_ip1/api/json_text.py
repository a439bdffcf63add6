# SPDX-License-Identifier: Apache-2.0
"""JSON texts from iP.1: checking, parsing and repairing them before anything in them is decoded."""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias

import msgspec

from airflow_provider_ip1.exceptions import IP1ResponseError

BytesLike: TypeAlias = bytes | bytearray | memoryview | msgspec.Raw
"""One JSON text in memory. ``msgspec.Raw`` is a view of the page that contains it, without a copy."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""The errors of msgspec's decoders. Before msgspec 0.22 its own errors are not ValueErrors."""

# iP.1 documents three levels.
_MAX_DEPTH: Final = 100

_ANY_VALUE = msgspec.json.Decoder(msgspec.Raw)
# Matches every escape, so that an escaped backslash before "u" is not mistaken for one. A pair is one character.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_KINDS: Final = {
    b"n": "null", b"t": "true or false", b"f": "true or false", b'"': "a text", b"[": "a list", b"{": "an object"
}  # fmt: skip


class UnreadableBody(IP1ResponseError, ValueError):
    """The body is not JSON, is truncated, or is nested too deeply. Repeating the request may succeed."""


def check_json(text: bytes) -> msgspec.Raw:
    """
    Check that a text is JSON.

    :param text: the text. Its lone surrogates must have been replaced.
    :return: the JSON value.
    :raises UnreadableBody: it is not JSON in UTF-8, is truncated, or is nested too deeply.
    """
    try:
        # The decoder skips the value without checking its encoding.
        if text.isascii() or str(text, "utf-8"):
            return _ANY_VALUE.decode(text)
    except UNDECODABLE:
        # Raise outside of this block. The context of the error would otherwise contain the whole text.
        pass
    raise _unreadable(text)


def parse_json(text: BytesLike) -> Any:
    """
    Parse a JSON text.

    :param text: the text. Half a UTF-16 pair is kept.
    :return: the value. A number that Python cannot represent, such as 1e400 or an integer of 5,000 digits, is a text.
    :raises UnreadableBody: it is not JSON in UTF-8, is truncated, or is nested more than 100 levels deep, so that
        recursive functions can process the value.
    """
    try:
        value = _PARSER.decode(str(text, "utf-8"))
        if not _is_nested_deeper([value], _MAX_DEPTH):
            return value
    except (ValueError, RecursionError):
        pass
    raise _unreadable(bytes(text))


def replace_lone_surrogates(text: bytes) -> bytes:
    r"""
    Replace escapes of half a UTF-16 pair, which JSON allows (RFC 8259, section 8.2) and UTF-8 cannot represent.

    :param text: a JSON text.
    :return: the text with ``\ufffd`` in place of each of them. Every other character keeps its position.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text)


def trimmed(text: BytesLike) -> bytes:
    """
    Return the JSON text of a whole response without the byte order mark and white space around it.

    :param text: the text.
    """
    return bytes(text).removeprefix(BYTE_ORDER_MARK).strip(b" \t\r\n")


def kind_of(raw: BytesLike) -> str:
    """Name the type of a JSON value without showing its content."""
    return _KINDS.get(bytes(raw)[:1], "a number")


def _is_nested_deeper(container: dict[str, Any] | list[Any], depth: int) -> bool:
    """Return whether there are lists or objects more than this many levels below a list or object."""
    items = container.values() if isinstance(container, dict) else container
    nested = [item for item in items if isinstance(item, (dict, list))]
    return any([depth == 0 or _is_nested_deeper(item, depth - 1) for item in nested])


def _unreadable(text: bytes) -> UnreadableBody:
    return UnreadableBody(
        f"iP.1's response of {len(text)} bytes is not JSON, is truncated, or is nested too deeply. Try again. If the "
        "error persists, check that the connection's host is iP.1's API and that no proxy responds in its place."
    )


def _parse_float(text: str) -> float | str:
    number = float(text)
    return text if number in (float("inf"), float("-inf")) else number


def _parse_int(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _reject_constant(name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


_PARSER = json.JSONDecoder(parse_float=_parse_float, parse_int=_parse_int, parse_constant=_reject_constant)
