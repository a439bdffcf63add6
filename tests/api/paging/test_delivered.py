# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the rows that were delivered."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from airflow_provider_ip1.api.paging.place import RECENT_ROWS, DeliveredRows

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


@pytest.mark.parametrize(("at_least", "recent"), [(0, RECENT_ROWS), (1000, 1000), (5000, 5000)])
def test_it_knows_the_order_of_at_least_so_many(at_least: int, recent: int) -> None:
    for count in (1, recent, recent + 1, 2 * recent + 1, 7 * recent):
        rows = delivered(count, at_least=at_least)
        first = max(count - recent, 0)
        assert [rows.number(key) for key in keys(first, count)] == [*range(first, count)]
        # Half of them is forgotten at once.
        assert min(recent, count) <= rows.recent <= 2 * (recent + 100)
    assert rows.number("row0") == -1
    assert rows.number("other") == -1


def test_disjoint() -> None:
    rows = delivered(2300)
    assert rows.is_disjoint([])
    assert rows.is_disjoint(["other", "another"])
    # One that lost its number, one that has it for long, and one of the last.
    assert not rows.is_disjoint(["other", "row1099"]) or not rows.missing_from(["row1099"])
    assert not rows.is_disjoint(["other", "row1100"])
    assert not rows.is_disjoint(["other", "row2299"])


@pytest.mark.parametrize("count", [10, 2200, 30_000])
@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ([], []),
        (["row0", "row1"], []),
        (["new0", "row0", "new1", "row1", "new2"], [0, 2, 4]),
        (["new0", "new1"], [0, 1]),
        (["a", "row9", "z"], [0, 2]),
    ],
)
def test_what_a_page_adds(count: int, page: Sequence[str], missing: list[int]) -> None:
    assert delivered(count).missing_from(page) == missing


@pytest.mark.parametrize("seed", range(5))
def test_any_row_is_known_in_any_order(seed: int) -> None:
    choose = random.Random(seed)
    every = keys(0, 20_000)
    choose.shuffle(every)
    rows = DeliveredRows(0)
    for start in range(0, len(every), 100):
        page = every[start : start + 100]
        assert rows.is_disjoint(page)
        rows.add(page)
        asked = [f"row{number}" for number in choose.sample(range(25_000), 20)]
        known = {*every[: start + 100]}
        assert rows.missing_from(asked) == [at for at, key in enumerate(asked) if key not in known]
        assert rows.is_disjoint(asked) is known.isdisjoint(asked)


@pytest.mark.no_cover
def test_each_row_takes_eight_bytes() -> None:
    def taken(shuffled: bool) -> int:
        tracemalloc.start()
        try:
            rows = DeliveredRows(0)
            for start in range(0, 300_000, 1000):
                rows.add([f"{number:012}" for number in range(start, start + 1000)])
            if shuffled:
                assert rows.missing_from(["000000000001"]) == []
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    assert 2_400_000 < taken(shuffled=False) < 3_000_000
    assert 2_400_000 < taken(shuffled=True) < 3_000_000
