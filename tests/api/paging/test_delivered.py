# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the rows that were delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_ip1.api.paging.delivered import REMEMBERED_ROWS, DeliveredRows

if TYPE_CHECKING:
    from collections.abc import Sequence


def keys(first: int, behind: int) -> list[str]:
    return [f"row{number}" for number in range(first, behind)]


def delivered(count: int, *, at_least: int = 0, per_page: int = 100) -> DeliveredRows:
    rows = DeliveredRows(at_least)
    for start in range(0, count, per_page):
        rows.add(keys(start, min(start + per_page, count)))
    return rows


def test_it_counts_all() -> None:
    assert len(DeliveredRows(0)) == 0
    assert len(delivered(12_345)) == 12_345


@pytest.mark.parametrize(("at_least", "remembered"), [(0, REMEMBERED_ROWS), (1000, 1000), (5000, 5000)])
def test_it_remembers_at_least_so_many(at_least: int, remembered: int) -> None:
    for count in (1, remembered, remembered + 1, 2 * remembered + 1, 7 * remembered):
        rows = delivered(count, at_least=at_least)
        last = keys(max(count - remembered, 0), count)
        assert rows.missing_from(last) == []
        assert rows.remembered >= {*last}
        # Half of what is remembered is forgotten at once.
        assert len(rows.remembered) <= 2 * (remembered + 100)


def test_it_tells_when_ids_were_forgotten() -> None:
    counts = [count for count in range(100, 3000, 100) if not delivered(count).has_forgotten]
    assert counts == [*range(100, 2200, 100)]
    assert all(len(delivered(count).remembered) == count for count in counts)
    assert not delivered(1000, per_page=500).has_forgotten
    rows = delivered(2200)
    assert rows.has_forgotten and rows.remembered == {*keys(1100, 2200)}
    rows.add(keys(2200, 2300))
    assert rows.has_forgotten


def test_disjoint() -> None:
    rows = delivered(2300)
    assert rows.is_disjoint([])
    assert rows.is_disjoint(["other", "row0"])
    # One that is remembered for long, and one of the last.
    assert not rows.is_disjoint(["other", "row1100"])
    assert not rows.is_disjoint(["other", "row2299"])


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ([], []),
        (["row0", "row1"], []),
        (["new0", "row0", "new1", "row1", "new2"], [0, 2, 4]),
        (["new0", "new1"], [0, 1]),
    ],
)
def test_what_a_page_adds(page: Sequence[str], missing: list[int]) -> None:
    assert delivered(10).missing_from(page) == missing


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        # None of these can have been delivered and forgotten: their neighbors were delivered long after.
        (["a", "row1103", "b"], [0, 2]),
        (["a", "row1110", "b", "row1105", "c"], [0, 2, 4]),
        # The first one may have been.
        (["a", "row1102", "b"], [2]),
        (["a", "row1110", "b", "row1104", "row1103", "c", "d"], [5, 6]),
        (["row1100", "a"], [1]),
        (["row1100", "row1101"], []),
        (["a", "b"], [0, 1]),
    ],
)
def test_what_a_page_adds_if_rows_were_forgotten(page: Sequence[str], missing: list[int]) -> None:
    assert delivered(2200).missing_from(page) == missing
