# SPDX-License-Identifier: Apache-2.0
"""
Reads the ``Link`` response header as a hint. Its URLs are never followed.

iP.1's documentation prints the header in four forms (introduction and older one-page docs): the form of RFC 8288, one
without ``;`` before ``rel``, and two whose URLs were lost. The example numbers in them (``start=201`` after a page of
100) would skip one row per page. That is why nothing in this module returns a URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# A quoted string (an unclosed one reaches to the end), a target, or the text between them. The pattern never backtracks
# over text it has consumed, so a hostile header takes no longer than a good one.
_PIECE = re.compile(r""""[^"\\]*(?:\\.[^"\\]*)*\\?(?:"|\Z)|<[^<>]*>|[^"<]+|<""", re.DOTALL)
_REL = re.compile(r"""(?:^|[;,\s])rel\s*=\s*("[^"]*"|'[^']*'|[^\s;,"']+)""", re.IGNORECASE)
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


def read_link(value: str | None) -> LinkHint:
    """
    Read the ``Link`` header in any form that iP.1's documentation prints or RFC 8288 allows.

    :param value: the header; several headers joined with ``", "``. ``None`` where the response has none.
    :return: the hint. The first link of a relation counts. Whatever cannot be read counts as missing.
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
    for url, parameters, blanked in _links(value):
        match = _REL.search(blanked)
        if match is None:
            continue
        for relation in parameters[match.start(1) : match.end(1)].strip("\"'").lower().split():
            urls.setdefault(relation, url)
    return urls


def _links(value: str) -> Iterator[tuple[str, str, str]]:
    """
    Yield each link's URL, the text of its parameters, and that text with everything quoted made unreadable.

    A comma, a bracket or a "rel=" inside quotes then means nothing.
    """
    pieces = _PIECE.findall(value)
    has_targets = any(_is_target(piece) for piece in pieces)
    url, parameters, blanked = "", "", ""
    for piece in pieces:
        if _is_target(piece):
            yield url, parameters, blanked
            url, parameters, blanked = piece[1:-1], "", ""
        elif piece[0] == '"':
            parameters += piece
            blanked += '"' + "x" * (len(piece) - 2) + piece[-1]
        elif has_targets:
            parameters += piece
            blanked += piece
        else:
            # A form whose URLs were lost: one relation after the other, separated by commas.
            first, *others = piece.split(",")
            parameters += first
            blanked += first
            for other in others:
                yield url, parameters, blanked
                parameters = blanked = other
    yield url, parameters, blanked


def _is_target(piece: str) -> bool:
    return piece[0] == "<" and piece[-1] == ">"
