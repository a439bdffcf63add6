# Licensed under the Apache License, Version 2.0 (see LICENSE).
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

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_REL = re.compile(r"""(?:^|[;,\s])rel\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^\s;,"']+)""", re.IGNORECASE)
_PAGING = re.compile(r"[?&](start|limit)=([0-9]{1,15})(?=[&#]|$)", re.IGNORECASE)
_TARGET = re.compile(r"<([^<>]*)>")


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
        for url, parameters in _links(value):
            match = _REL.search(parameters)
            if match is None:
                continue
            target = _target(url)
            for relation in match[1].strip("\"'").lower().split():
                links.setdefault(relation, target)
    return links


def _links(value: str) -> Iterable[tuple[str, str]]:
    """Each link's URL and the text of its parameters. A comma or bracket inside a quoted string separates nothing."""
    blanked = _QUOTED.sub(lambda quoted: '"' + "x" * (len(quoted[0]) - 2) + '"', value)
    # A URL may hold quotes or commas itself, so brackets are looked for in both readings of the text.
    targets = list(_TARGET.finditer(blanked))
    if not targets:
        # The forms whose URL was lost: one relation after the other, separated by commas.
        position = 0
        for comma in [*(found.start() for found in re.finditer(",", blanked)), len(value)]:
            yield "", value[position:comma]
            position = comma + 1
        return
    for index, target in enumerate(targets):
        end = targets[index + 1].start() if index + 1 < len(targets) else len(value)
        yield value[target.start(1) : target.end(1)], value[target.end() : end]


def _target(url: str) -> LinkTarget:
    found = {match[1].lower(): int(match[2]) for match in reversed(list(_PAGING.finditer(url)))}
    return LinkTarget(start=found.get("start"), limit=found.get("limit"))
