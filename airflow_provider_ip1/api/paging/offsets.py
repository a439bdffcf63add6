# SPDX-License-Identifier: Apache-2.0
"""Offsets at which to look for a row that is not in its place any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from airflow_provider_ip1.api.requests import Order


def search_offsets(
    position: int, *, stride: int, widest: int, forward_first: bool, is_behind_the_end: Callable[[], bool]
) -> Iterator[int]:
    """
    Yield offsets around a position, alternately before and behind it, in growing strides.

    :param position: the row's last offset.
    :param stride: rows between the first offsets, from 1.
    :param widest: most rows between two offsets: no more than are remembered, or a page could land on either side of
        them.
    :param forward_first: begin behind the position. In a list that is newest first, rows come in at the head and push
        the others back; in the other order, rows leave at the head.
    :param is_behind_the_end: whether an offset behind the position turned out to be behind the end of the list.
    """
    back = ahead = position
    strides = {"back": stride, "ahead": stride}
    directions = ("ahead", "back") if forward_first else ("back", "ahead")
    while back > 0 or not is_behind_the_end():
        for direction in directions:
            step = strides[direction]
            strides[direction] = min(2 * step, max(stride, widest))
            if direction == "back" and back > 0:
                back = max(back - step, 0)
                yield back
            elif direction == "ahead" and not is_behind_the_end():
                ahead += step
                yield ahead


#: How often a list is read again before rows that are missing are an error.
MAX_PASSES: Final = 10


def repair_pass(number: int, order: Order, largest: int) -> tuple[Order, int, float]:
    """
    Choose how to read a list again whose pages did not fit together.

    Rows that change places do so within rows of the same creation time. The fewer pages there are, and the more their
    borders differ, the fewer rows can stay hidden. If the whole list fits on one page, none can. So the first and the
    last reading request pages as large as the server grants, and the others somewhat smaller ones.

    :param number: how often the list was read again already, from 0 to ``MAX_PASSES - 1``.
    :param order: how it was read first.
    :param largest: the most rows per page that the server grants, as far as known.
    :return: the order, the rows to request per page, and by what part of a page the second page begins before its
        place, so that the borders differ.
    """
    if number == MAX_PASSES - 1:
        return order, largest, 0.0
    other: Order = "DESC" if order == "ASC" else "ASC"
    return other if number % 2 else order, max(largest - number * largest // 20, 2), number / 11
