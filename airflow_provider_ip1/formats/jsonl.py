# SPDX-License-Identifier: Apache-2.0
"""JSON Lines: one API object per line, as iP.1 sent it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats.redacted_page import RedactedPage


def write_jsonl(pages: Iterable[Page | RedactedPage]) -> Iterator[bytes]:
    r"""
    Write messages as JSON Lines in UTF-8. Each line ends with ``\n``.

    The bytes of a message are written unchanged, except that line breaks between its JSON tokens are removed, because
    each line is a message. Line breaks inside JSON texts are always escaped (RFC 8259, section 7).

    :param pages: the messages.
    :return: the file's bytes; none if there are no messages.
    """
    for page in pages:
        if page.raws:
            yield _lines(page.raws)


def _lines(raws: Sequence[Any]) -> bytes:
    messages = b"".join(raws)
    if b"\n" in messages or b"\r" in messages:
        raws = [*map(one_line, raws)]
    return b"\n".join((*raws, b""))


_TOKEN_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*+")|[ \t\r\n]+')


def one_line(raw: BytesLike) -> bytes:
    """
    Put a JSON text on one line. A text without line breaks is returned unchanged.

    :param raw: one JSON text.
    :return: the same JSON without line breaks, and without other white space if there were any.
    """
    text = bytes(raw)
    # JSON strings contain line breaks only as escapes, so an unescaped one is white space between tokens.
    if b"\n" not in text and b"\r" not in text:
        return text
    try:
        return msgspec.json.format(text, indent=-1)
    except UNDECODABLE:
        # It contains half a UTF-16 pair, which msgspec rejects.
        return _TOKEN_OR_SPACE.sub(rb"\1", text)
