# SPDX-License-Identifier: Apache-2.0
"""Where a row is searched that is not in its place any more."""

from __future__ import annotations

from itertools import islice

import pytest

from airflow_provider_ip1.api.paging.place import search_offsets


def offsets(position: int, count: int, *, forward_first: bool = False, rows: int = 10_000) -> list[int]:
    """The first offsets in a list of so many rows, which turn out to be behind its end once they are requested."""
    requested: list[int] = []
    found = search_offsets(
        position,
        stride=10,
        widest=40,
        forward_first=forward_first,
        is_behind_the_end=lambda: any(offset >= rows for offset in requested),
    )
    for offset in islice(found, count):
        requested.append(offset)
    return requested


def test_strides_double_up_to_the_widest() -> None:
    assert offsets(100, 8) == [90, 110, 70, 130, 30, 170, 0, 210]


def test_the_first_direction_can_be_chosen() -> None:
    assert offsets(100, 8, forward_first=True) == [110, 90, 130, 70, 170, 30, 210, 0]


@pytest.mark.parametrize("position", [1, 5, 10])
def test_it_ends_at_both_ends_of_the_list(position: int) -> None:
    assert offsets(position, 100, rows=position) == [0, position + 10]


def test_the_first_row_is_not_forgotten() -> None:
    found = search_offsets(1, stride=10, widest=40, forward_first=False, is_behind_the_end=lambda: True)
    assert [*found] == [0]


def test_one_direction_goes_on_alone() -> None:
    assert offsets(10, 5) == [0, 20, 40, 80, 120]
    assert offsets(100, 100, rows=105) == [90, 110, 70, 30, 0]


def test_a_stride_wider_than_what_is_remembered_stays() -> None:
    found = search_offsets(500, stride=100, widest=40, forward_first=False, is_behind_the_end=lambda: False)
    assert [*islice(found, 4)] == [400, 600, 300, 700]
