# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.transfers.selection import Selection, Window

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "now",
        "12:00",
        "2026-13-01",
        "1793534400",
        "P3D",
        "2026-11-01/2026-11-02",
        1793534400,
        date(2026, 11, 1),
        True,
        ["2026-11-01"],
    ],
)
@pytest.mark.parametrize("argument", ["since", "until"])
def test_the_error_for_an_unreadable_time_names_the_argument(value: Any, argument: str) -> None:
    with pytest.raises(ValueError, match=f"^{argument}: .*2026-11-01T00:00:00Z"):
        Window.from_arguments(
            **{"since": None, "until": None, argument: value},
            status_lookback=None,
        )


@pytest.mark.parametrize("until", ["2026-11-01", "2026-10-31"])
def test_an_empty_window_is_rejected(until: str) -> None:
    with pytest.raises(ValueError, match=r"^until: .*CronDataIntervalTimetable"):
        Window.from_arguments("2026-11-01", until, None)


def test_lookback_needs_a_start() -> None:
    assert Window.from_arguments(NOON, None, timedelta(days=3)).lookback == timedelta(days=3)
    assert Window.from_arguments(NOON, None, None).lookback is None
    assert Window.from_arguments(None, NOON, timedelta(days=3)).lookback is None


def test_the_window_includes_its_start_and_excludes_its_end() -> None:
    second = timedelta(seconds=1)
    window = Window(since=NOON, until=NOON + second)
    times = [NOON - timedelta(microseconds=1), NOON, NOON + second - timedelta(microseconds=1), NOON + second, None]
    assert [window.contains(time) for time in times] == [False, True, True, False, False]
    assert Window().contains(None)


def test_pages_from_newest_to_oldest_that_are_each_sorted_the_other_way_lose_no_message() -> None:
    """The page on which reading ends starts with an old message and ends with a wanted one."""
    selection = Selection(Window(NOON - timedelta(hours=210), None, timedelta(hours=1)), NOON)
    written = 0
    for number in range(30):
        hours = [*range(number * 20, number * 20 + 20)][::-1]
        times = tuple((NOON - timedelta(hours=hour)).isoformat() for hour in hours)
        ids = tuple(map(str, hours))
        selected, is_last = selection.select(Page("46701740606", None, number, 0, ids, (b"{}",) * 20, None, times))
        written += len(selected)
        if is_last:
            break
    assert (number, written) == (10, 211)
