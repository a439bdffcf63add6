# SPDX-License-Identifier: Apache-2.0
"""Offsets at which to look for a row that is not in its place any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator


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
