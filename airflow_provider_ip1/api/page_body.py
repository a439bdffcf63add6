# SPDX-License-Identifier: Apache-2.0
"""Splitting the body of a response into messages, without decoding more than ids and times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_ip1.api.decoding import (
    ADVICE,
    BYTE_ORDER_MARK,
    EXACT_DECODER,
    UNDECODABLE,
    decode_id,
    kind_of,
    parse_exactly,
)
from airflow_provider_ip1.api.link import LinkTarget
from airflow_provider_ip1.api.messages import BytesLike
from airflow_provider_ip1.exceptions import IP1ResponseError


@dataclass(frozen=True, slots=True)
class RawPage:
    """
    The messages of one response, in the order received. A response of 404 has none.

    :param ids: the ids of the messages.
    :param raws: the JSON object of each message, byte for byte as sent.
    :param modified: the ``modified`` value of each message as sent, for
        :func:`~airflow_provider_ip1.api.decoding.read_timestamps`.
    :param links: the ``Link`` header, as :func:`~airflow_provider_ip1.api.link.parse_link` returns it.
    """

    ids: Sequence[str] = ()
    raws: Sequence[BytesLike] = field(default=(), repr=False)
    modified: Sequence[Any] = field(default=(), repr=False)
    links: Mapping[str, LinkTarget] = field(default_factory=dict)


class _Key(msgspec.Struct, gc=False):
    id: str
    modified: Any = None


_KEYS = msgspec.json.Decoder(list[_Key])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_SPACE = re.compile(r"[ \t\r\n]*")


def split_page(body: bytes) -> RawPage:
    """
    Take a page of messages apart without reading more than what it is sorted and recognised by.

    A byte order mark before the JSON is skipped. Where an object holds a name twice, the last one counts, here and
    for every other field. ``NaN`` and ``Infinity`` are no JSON. Half a UTF-16 pair as an escape is (RFC 8259, 8.2),
    and stays in the bytes as it is.

    :param body: the answer's body, UTF-8.
    :raises UnreadableBody: the body is no JSON in UTF-8, or was cut.
    :raises IP1ResponseError: it is JSON, but no array of objects that each have a non-empty text as ``id``.
    """
    body = bytes(body).removeprefix(BYTE_ORDER_MARK)
    try:
        keys = _KEYS.decode(body)
        ids = [key.id for key in keys]
        raws: list[BytesLike] = _RAWS.decode(body)  # type: ignore[assignment]
        # The decoders skip what they do not keep, and do not look whether that is UTF-8.
        if all(ids) and (body.isascii() or str(body, "utf-8")):
            return RawPage(ids, raws, [key.modified for key in keys])
    except UNDECODABLE:
        pass
    return _split_exactly(body)


def _split_exactly(body: bytes) -> RawPage:
    """Do what :func:`split_page` does, by a scanner that knows where and why it stops."""
    page = parse_exactly(body)
    if not isinstance(page, list):
        raise IP1ResponseError(f"iP.1 answered with {kind_of(page)} where a list of messages belongs. {ADVICE}")
    ids = [
        decode_id(row, f"The message at position {position} of the page", f"[{position}].")
        for position, row in enumerate(page)
    ]
    raws: list[BytesLike] = []
    text = body.decode()
    position = _after_space(text, 0) + 1
    for _ in page:
        start = _after_space(text, position)
        _, end = EXACT_DECODER.raw_decode(text, start)
        raws.append(text[start:end].encode())
        position = _after_space(text, end) + 1
    return RawPage(ids, raws, [row.get("modified") for row in page])


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
