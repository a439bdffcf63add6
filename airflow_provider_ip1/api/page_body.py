# SPDX-License-Identifier: Apache-2.0
"""
What a response with a page says: rows, ids and ``Link``. Does not decode more than ids, times and status codes.

The ``Link`` header is a hint. Its URLs are never followed. iP.1's documentation prints the header in four forms
(introduction and older one-page docs): the form of RFC 8288, one without ``;`` before ``rel``, and two whose URLs were
lost. The example numbers in them (``start=201`` after a page of 100) would skip one row per page. That is why
:func:`read_link` returns no URL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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
from airflow_provider_ip1.exceptions import IP1ResponseError

# A target, a relation, or another quoted string (an unclosed one reaches to the end), in which nothing is found. The
# pattern never backtracks over text it has consumed, so a hostile header takes no longer than a good one.
_LINK_PART = re.compile(
    r"""<(?P<url>[^<>]*)>|(?<![^;,\s>])rel\s*=\s*(?P<relations>"[^"]*"|'[^']*'|[^\s;,"'<]+)"""
    r"""|"[^"\\]*(?:\\.[^"\\]*)*\\?(?:"|\Z)""",
    re.IGNORECASE | re.DOTALL,
)
_PAGING = re.compile(r"[?&](start|limit)=([0-9]{1,15})(?=[&#]|$)", re.IGNORECASE)


class LinkHint(NamedTuple):
    """
    What the ``Link`` header of one page says about the rest of the list.

    :param has_next: whether it has a link with the relation ``next``.
    :param last_start: the ``start`` of the link with the relation ``last``, in rows; ``None`` without a readable one.
    :param last_limit: the ``limit`` of that link, in rows; ``None`` likewise.
    """

    has_next: bool = False
    last_start: int | None = None
    last_limit: int | None = None


NO_HINT = LinkHint()


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


class MessageHead(msgspec.Struct, gc=False):
    """The part of a message that pages are judged by. For the rows of other lists, most of it is missing."""

    id: str
    modified: str | None = None
    statuses: list[_Report] | None = None
    direction: int | str | None = None
    sender: str | None = None
    recipient: str | None = None


_HEADS = msgspec.json.Decoder(list[MessageHead])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def split_page(body: bytes, key: str = "id") -> RawPage:
    """
    Split the body of a response into messages, or the rows of another list.

    A byte order mark before the JSON is skipped. Of a name that an object contains twice, the last one counts, here
    and everywhere else. ``NaN`` and ``Infinity`` are not JSON. An escape of half a UTF-16 pair is (RFC 8259, 8.2), and
    stays in the bytes unchanged.

    :param body: the body, in UTF-8.
    :param key: the field that identifies a row.
    :return: the messages, without links.
    :raises UnreadableBody: the body is not JSON in UTF-8, is truncated, or is nested too deeply for the interpreter's
        recursion limit.
    :raises IP1ResponseError: it is JSON, but not an array of objects that each have a non-empty text as ``key``.
    """
    body = bytes(body).removeprefix(BYTE_ORDER_MARK)
    if key != "id":
        return _split_slowly(body, key)
    try:
        heads = _HEADS.decode(body)
        ids = [head.id for head in heads]
        raws: list[BytesLike] = _RAWS.decode(body)  # type: ignore[assignment]
        # The decoders skip what they do not return, without checking its encoding.
        if all(ids) and (body.isascii() or str(body, "utf-8")):
            codes = [head.statuses[0].code if head.statuses and len(head.statuses) == 1 else None for head in heads]
            return RawPage(ids, raws, [head.modified for head in heads], status_codes=codes)
    except UNDECODABLE:
        pass
    return _split_slowly(body, key)


def _split_slowly(body: bytes, key: str) -> RawPage:
    """Split a body that has lone surrogates, unusual values or errors, or another key than messages have."""
    cleaned = replace_lone_surrogates(body)
    value = check_json(cleaned)
    if bytes(value)[:1] != b"[":
        raise IP1ResponseError(f"iP.1 responded with {kind_of(value)} instead of a list. {ADVICE}")
    ids, raws, modified = [], [], []
    end = 0
    for position, row in enumerate(_RAWS.decode(cleaned)):
        fields = Fields(row, f"The row at position {position} of the page", f"[{position}].")
        ids.append(fields.id(key))
        modified.append(fields.text_or_none("modified"))
        # Cleaning keeps the position of every character.
        start = cleaned.index(bytes(row), end)
        end = start + len(bytes(row))
        raws.append(body[start:end])
    return RawPage(ids, raws, modified)


def read_link(value: str | None) -> LinkHint:
    """
    Read the ``Link`` header in any form that iP.1's documentation prints or RFC 8288 allows.

    :param value: the header; several headers joined with ``", "``. ``None`` where the response has none.
    :return: the hint. The first link of a relation counts. Parts that cannot be read count as missing.
    """
    if not value:
        return NO_HINT
    urls = urls_by_relation(value)
    # The first of two equal parameters counts.
    last = {match[1].lower(): int(match[2]) for match in reversed(list(_PAGING.finditer(urls.get("last", ""))))}
    return LinkHint("next" in urls, last.get("start"), last.get("limit"))


def urls_by_relation(value: str) -> dict[str, str]:
    """
    Split a ``Link`` header.

    :param value: the header.
    :return: relation, in lower case, to URL; empty for a link whose URL was lost.
    """
    urls: dict[str, str] = {}
    url, is_named = "", False
    for part in _LINK_PART.finditer(value):
        if part["url"] is not None:
            url, is_named = part["url"], False
        elif part["relations"] and not is_named:
            for relation in part["relations"].strip("\"'").lower().split():
                urls.setdefault(relation, url)
            # The first rel of a link counts. If the URLs were lost, each belongs to another link.
            is_named = url != ""
    return urls
