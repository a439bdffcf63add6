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
    Write messages as JSON Lines, UTF-8, each line ended by ``\n``.

    A message's bytes are passed on untouched. Only line breaks between its JSON tokens are left out, since a line is
    a message; inside JSON texts they are always escaped (RFC 8259, section 7).

    :param pages: the messages.
    :return: the file's bytes; none at all for no messages.
    """
    for page in pages:
        if page.raws:
            yield _lines(page.raws)


def _lines(raws: Sequence[Any]) -> bytes:
    lines = b"\n".join((*raws, b""))
    if lines.count(b"\n") == len(raws) and b"\r" not in lines:
        return lines
    return b"\n".join((*map(one_line, raws), b""))


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
    except UNDECODABLE:
        # It holds half a UTF-16 pair, which msgspec refuses.
        return _TOKEN_OR_SPACE.sub(rb"\1", text)
