# SPDX-License-Identifier: Apache-2.0
"""Which responses show the same list, and what they show of it together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dev.live.exchange import Exchange


def same_list(exchanges: Iterable[Exchange], one: Exchange) -> list[Exchange]:
    return [each for each in exchanges if each.path == one.path and each.rows is not None]


def total_of(of_list: Iterable[Exchange]) -> int:
    """Return the number of rows in a list, as far as its responses show."""
    return max((each.start + len(each.rows) for each in of_list if each.rows), default=0)


def ends_there(exchanges: Iterable[Exchange], one: Exchange) -> bool:
    """Return whether a response shows that a list has no more rows than :func:`total_of` says."""
    exchanges = list(exchanges)
    total = total_of(same_list(exchanges, one))
    return any(
        each.path == one.path and each.key == "right" and each.start >= total and not each.rows for each in exchanges
    )


def lists_of(exchanges: Iterable[Exchange]) -> dict[str, dict[str, list[Exchange]]]:
    """Return the list responses by path and order."""
    lists: dict[str, dict[str, list[Exchange]]] = defaultdict(lambda: defaultdict(list))
    for each in exchanges:
        if each.rows is not None:
            lists[each.path][each.order].append(each)
    return lists


def offsets_of(responses: Iterable[Exchange]) -> dict[int, set[Any]]:
    offsets: dict[int, set[Any]] = defaultdict(set)
    for each in responses:
        for place, an_id in enumerate(each.ids):
            offsets[each.start + place].add(an_id)
    return offsets
