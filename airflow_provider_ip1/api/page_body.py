# SPDX-License-Identifier: Apache-2.0
"""Splitting the body of a response into messages, without decoding more than their ids, times and status codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from airflow_provider_ip1.api.json_fields import ADVICE, Fields
from airflow_provider_ip1.api.json_text import (
    BYTE_ORDER_MARK,
    UNDECODABLE,
    BytesLike,
    check_json,
    kind_of,
    replace_lone_surrogates,
)
from airflow_provider_ip1.api.paging.link_hint import NO_HINT, LinkHint
from airflow_provider_ip1.exceptions import IP1ResponseError


@dataclass(frozen=True, slots=True)
class RawPage:
    """
    The messages of one response, in the order received. A response of 404 has none.

    :param ids: the ids of the messages.
    :param raws: the JSON object of each message, byte for byte as sent.
    :param modified: the time of each message as sent, for
        :func:`~airflow_provider_ip1.api.timestamps.read_timestamps`. ``None`` if it is missing or not a text.
    :param link: what the ``Link`` header says about the rest of the list.
    :param status_codes: the code of each message's status; ``None`` for a message that does not have exactly one. Empty
        if the page contains a status that iP.1 does not document.
    """

    ids: Sequence[str] = ()
    raws: Sequence[BytesLike] = field(default=(), repr=False)
    modified: Sequence[str | None] = field(default=(), repr=False)
    link: LinkHint = NO_HINT
    status_codes: Sequence[int | None] = ()


class _Report(msgspec.Struct, gc=False):
    code: int


class _Key(msgspec.Struct, gc=False):
    id: str
    modified: str | None = None
    statuses: list[_Report] = []


class _KeyWithoutStatuses(msgspec.Struct, gc=False):
    id: str
    modified: str | None = None


_KEYS = msgspec.json.Decoder(list[_Key])
_KEYS_WITHOUT_STATUSES = msgspec.json.Decoder(list[_KeyWithoutStatuses])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def split_page(body: bytes) -> RawPage:
    """
    Split the body of a response into messages.

    A byte order mark before the JSON is skipped. Of a name that an object contains twice, the last one counts, here
    and everywhere else. ``NaN`` and ``Infinity`` are not JSON. An escape of half a UTF-16 pair is (RFC 8259, 8.2), and
    stays in the bytes unchanged.

    :param body: the body, in UTF-8.
    :return: the messages, without links.
    :raises UnreadableBody: the body is not JSON in UTF-8, is truncated, or is nested too deeply for the interpreter's
        recursion limit.
    :raises IP1ResponseError: it is JSON, but not an array of objects that each have a non-empty text as ``id``.
    """
    body = bytes(body).removeprefix(BYTE_ORDER_MARK)
    keys: Sequence[_Key | _KeyWithoutStatuses]
    codes: Sequence[int | None]
    try:
        try:
            keys = decoded = _KEYS.decode(body)
            codes = [key.statuses[0].code if len(key.statuses) == 1 else None for key in decoded]
        except UNDECODABLE:
            keys, codes = _KEYS_WITHOUT_STATUSES.decode(body), ()
        ids = [key.id for key in keys]
        raws: list[BytesLike] = _RAWS.decode(body)  # type: ignore[assignment]
        # The decoders skip what they do not return, without checking its encoding.
        if all(ids) and (body.isascii() or str(body, "utf-8")):
            return RawPage(ids, raws, [key.modified for key in keys], status_codes=codes)
    except UNDECODABLE:
        pass
    return _split_slowly(body)


def _split_slowly(body: bytes) -> RawPage:
    """Split a body that has lone surrogates, unusual times or errors."""
    cleaned = replace_lone_surrogates(body)
    value = check_json(cleaned)
    if bytes(value)[:1] != b"[":
        raise IP1ResponseError(f"iP.1 responded with {kind_of(value)} instead of a list. {ADVICE}")
    ids, raws, modified = [], [], []
    end = 0
    for position, row in enumerate(_RAWS.decode(cleaned)):
        fields = Fields(row, f"The row at position {position} of the page", f"[{position}].")
        ids.append(fields.id())
        modified.append(fields.text_or_none("modified"))
        # Cleaning keeps the position of every character.
        start = cleaned.index(bytes(row), end)
        end = start + len(bytes(row))
        raws.append(body[start:end])
    return RawPage(ids, raws, modified)
