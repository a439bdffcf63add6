# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ip1.transfers.selection import NewestFirst, Window, timestamp

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        datetime(2026, 11, 1, 12),  # noqa: DTZ001 - a time without zone is the point
        datetime(2026, 11, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        pendulum.datetime(2026, 11, 1, 13, tz="Europe/Stockholm"),
        "2026-11-01T12:00:00Z",
        "2026-11-01T12:00:00+00:00",
        "2026-11-01 12:00:00+00:00",  # as templates render a datetime
        "2026-11-01T13:00:00+01:00",
        "2026-11-01T12:00:00",
        "20261101T120000",  # ts_nodash
        " 2026-11-01T12:00Z ",
    ],
)
def test_readable_times(value: Any) -> None:
    assert timestamp(value, "since") == NOON


def test_a_date_means_midnight_utc() -> None:
    assert timestamp("2026-11-01", "since") == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", "None", "  "])
def test_blank_values_mean_not_set(value: Any) -> None:
    assert timestamp(value, "since") is None


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


def test_lookback_counts_back_from_since() -> None:
    assert Window.from_arguments(NOON, None, timedelta(days=3)).read_back_to == NOON - timedelta(days=3)
    assert Window.from_arguments(NOON, None, None).read_back_to is None
    assert Window.from_arguments(None, NOON, timedelta(days=3)).read_back_to is None
    assert Window.from_arguments(NOON, None, timedelta.max).read_back_to == datetime.min.replace(tzinfo=UTC)


def test_the_window_includes_its_start_and_excludes_its_end() -> None:
    second = timedelta(seconds=1)
    window = Window(since=NOON, until=NOON + second)
    times = [NOON - timedelta(microseconds=1), NOON, NOON + second - timedelta(microseconds=1), NOON + second, None]
    assert [window.contains(time) for time in times] == [False, True, True, False, False]
    assert Window().contains(None)


def hours_ago(*hours: float | None) -> list[datetime | None]:
    return [None if hour is None else NOON - timedelta(hours=hour) for hour in hours]


LIMIT = NOON - timedelta(hours=10)


@pytest.mark.parametrize(
    ("pages", "ends"),
    [
        # Newest first: reading ends at the first message before the limit.
        ([(1, 2, 9, 11, 12)], [3]),
        ([(1, 2, 9), (10, 10.5, 30)], [None, 1]),
        # Nothing new: even the first message is before the limit.
        ([(20, 21, 22)], [0]),
        # A late delivery report does not obscure the order.
        ([(1, 5, 3, 9, 11, 9.5, 12)], [4]),
        # Neither a single message nor equal times prove the order: continue reading.
        ([(20,), (21, 22)], [None, 0]),
        ([(20, 20, 20), (20, 20)], [None, None]),
        ([(None, None), (20, None, 21)], [None, 0]),
        # Oldest first, although the request said newest first: never end.
        ([(30, 29, 28), (12, 11, 1)], [None, None]),
        ([(30,), (29,), (1,)], [None, None, None]),
        # No order.
        ([(5, 30, 1, 40, 2)], [None]),
        # No message is before the limit.
        ([(1, 2), (3, 10)], [None, None]),
    ],
)
def test_where_reading_ends(pages: list[tuple[float | None, ...]], ends: list[int | None]) -> None:
    newest_first = NewestFirst(LIMIT)
    assert [newest_first.end_in(hours_ago(*page)) for page in pages] == ends


def test_a_list_in_the_wrong_order_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    newest_first = NewestFirst(LIMIT)
    with caplog.at_level(logging.WARNING):
        newest_first.end_in(hours_ago(30, 29, 28))
        newest_first.end_in(hours_ago(27, 26))
    assert [record.message.count("newest first") for record in caplog.records] == [1]


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=50), st.integers(1, 10))
def test_an_ascending_list_is_read_to_its_end(hours: list[float], page_size: int) -> None:
    newest_first = NewestFirst(LIMIT)
    times = hours_ago(*sorted(hours, reverse=True))
    for start in range(0, len(times), page_size):
        assert newest_first.end_in(times[start : start + page_size]) is None


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=50, unique=True), st.integers(1, 10))
def test_a_descending_list_is_read_to_the_limit(hours: list[float], page_size: int) -> None:
    newest_first = NewestFirst(LIMIT)
    times = hours_ago(*sorted(hours))
    for start in range(0, len(times), page_size):
        end = newest_first.end_in(page := times[start : start + page_size])
        if end is not None:
            assert all(time is not None and time < LIMIT for time in page[end:] + times[start + page_size :])
            assert all(time is not None and time >= LIMIT for time in page[:end]) or start > 0 or end == 0
            return
