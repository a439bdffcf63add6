# SPDX-License-Identifier: Apache-2.0
"""
The ``Link`` response header, read as a hint and never followed.

iP.1's documentation prints the header in four forms (introduction and older one-page docs): the form of RFC 8288, one
without ``;`` before ``rel``, and two whose URLs were lost. The example numbers in them (``start=201`` after a page of
100) would skip a row per page. So nothing here returns a URL: only the ``start`` and ``limit`` that a link names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# A quoted string (one that is never closed reaches to the end), a target, or what stands between them. Each piece is
# found without going back over the text, so that a hostile header costs no more time than a good one.
_PIECE = re.compile(r""""[^"\\]*(?:\\.[^"\\]*)*\\?(?:"|\Z)|<[^<>]*>|[^"<]+|<""", re.DOTALL)
_REL = re.compile(r"""(?:^|[;,\s])rel\s*=\s*("[^"]*"|'[^']*'|[^\s;,"']+)""", re.IGNORECASE)
_PAGING = re.compile(r"[?&](start|limit)=([0-9]{1,15})(?=[&#]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """
    Where one link of a ``Link`` header points to, as far as paging is concerned.

    :param start: the ``start`` of the URL in rows, ``None`` where it has none or no URL was printed.
    :param limit: the ``limit`` of the URL in rows, ``None`` likewise.
    """

    start: int | None = None
    limit: int | None = None


def parse_link(values: str | Iterable[str] | None) -> dict[str, LinkTarget]:
    """
    Read the ``Link`` headers of one answer, in any form that was ever printed for iP.1 or that RFC 8288 allows.

    :param values: the header's value, or the values where there were several; ``None`` for no header.
    :return: relation (lower case) to target; the first link of a relation counts. What cannot be read is left out.
    """
    if values is None:
        return {}
    links: dict[str, LinkTarget] = {}
    for value in [values] if isinstance(values, str) else values:
        for url, parameters, blanked in _links(value):
            match = _REL.search(blanked)
            if match is None:
                continue
            target = _target(url)
            for relation in parameters[match.start(1) : match.end(1)].strip("\"'").lower().split():
                links.setdefault(relation, target)
    return links


def _links(value: str) -> Iterable[tuple[str, str, str]]:
    """
    Each link's URL, the text of its parameters, and that text with all that is quoted made unreadable.

    A comma, a bracket or a "rel=" in quotes then means nothing.
    """
    pieces = _PIECE.findall(value)
    has_targets = any(piece[0] == "<" and piece[-1] == ">" for piece in pieces)
    url, parameters, blanked = "", "", ""
    for piece in pieces:
        if piece[0] == "<" and piece[-1] == ">":
            yield url, parameters, blanked
            url, parameters, blanked = piece[1:-1], "", ""
        elif piece[0] == '"':
            parameters += piece
            blanked += '"' + "x" * (len(piece) - 2) + piece[-1]
        elif has_targets:
            parameters += piece
            blanked += piece
        else:
            # The forms whose URL was lost: one relation after the other, separated by commas.
            first, *others = piece.split(",")
            parameters += first
            blanked += first
            for other in others:
                yield url, parameters, blanked
                parameters = blanked = other
    yield url, parameters, blanked


def _target(url: str) -> LinkTarget:
    found = {match[1].lower(): int(match[2]) for match in reversed(list(_PAGING.finditer(url)))}
    return LinkTarget(start=found.get("start"), limit=found.get("limit"))
