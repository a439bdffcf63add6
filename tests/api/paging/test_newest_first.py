# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ip1.api.batches import Batch, DeliveryWindow
from airflow_provider_ip1.api.paging.newest_first import NewestBatchesFirst, NewestFirst
from airflow_provider_ip1.api.paging.page import Page

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


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
        ([(9, 30, 20, 8, 12)], [None]),
        ([(12, 13, 14, 1)], [None]),
        ([(12, 13, 14, 12)], [None]),
        # Equal times are neither for nor against an order.
        ([(1, 20, 20, 20, 21)], [1]),
        ([(9, 30, 20, 20, 20, 12)], [None]),
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


@pytest.mark.parametrize("hours", [(12, 14, 13, 12), (13, 14, 12)])
def test_a_list_without_a_clear_order_is_not_logged(hours: tuple[float, ...], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert NewestFirst(LIMIT).end_in(hours_ago(*hours)) is None
    assert not caplog.records


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


def page(batch: Batch | None, *hours: float | None, number: int = 0) -> Page:
    """A page of messages that were modified so many hours before noon."""
    times = tuple(time and time.isoformat() for time in hours_ago(*hours))
    ids = tuple(map(str, range(len(times))))
    return Page(None, None, number, 0, ids, tuple(key.encode() for key in ids), None, times, batch)


def batch(*opens: float | None) -> Batch:
    """A batch with delivery windows that opened so many hours before noon."""
    return Batch("b", delivery_windows=tuple(DeliveryWindow(time, None) for time in hours_ago(*opens)))


PLAIN = batch()


def reads(pages: Iterable[Page]) -> int:
    """How many pages are read before reading ends."""
    rule = NewestBatchesFirst(LIMIT, NOON + timedelta(days=1))
    count = 0
    for each in pages:
        if rule.ends_before(each):
            break
        count += 1
    return count


def test_the_read_ends_after_the_first_batch_from_before_the_limit() -> None:
    assert reads([page(PLAIN, 1), page(PLAIN, 5), page(PLAIN, 11), page(PLAIN, 12), page(PLAIN, 13)]) == 3


def test_the_batch_that_shows_it_is_read_completely() -> None:
    old = [page(PLAIN, 11, 1, number=number) for number in range(4)]
    assert reads([page(PLAIN, 1), *old, page(PLAIN, 12)]) == 5


def test_one_old_message_is_enough() -> None:
    """The others of the batch were delivered later."""
    assert reads([page(PLAIN, 1), page(PLAIN, 2, 11, 3), page(PLAIN, 12)]) == 2
    assert reads([page(PLAIN, 1), page(PLAIN, 2, 11), page(PLAIN, 2, 3, number=1), page(PLAIN, 12)]) == 3


@pytest.mark.parametrize("hours", [(None,), (None, None), (24 * 365 * 30,), (-25 * 24,)])
def test_a_batch_without_plausible_times_does_not_end_the_read(hours: tuple[float | None, ...]) -> None:
    assert reads([page(PLAIN, 1), page(PLAIN, *hours), page(PLAIN, 2), page(PLAIN, 11), page(PLAIN, 12)]) == 4


@pytest.mark.parametrize("opens", [(-48,), (5,), (20, -48), (10,), (None,)])
def test_a_batch_for_later_delivery_is_not_mistaken_for_an_old_one(opens: tuple[float | None, ...]) -> None:
    """Its messages were modified when it was created, long ago."""
    assert reads([page(PLAIN, 1), page(batch(*opens), 100), page(PLAIN, 2), page(PLAIN, 11), page(PLAIN, 12)]) == 4


def test_a_batch_whose_windows_opened_before_the_limit_ends_the_read() -> None:
    """Otherwise a server that shows a window for every batch would be read to its end. Two of them show the order."""
    assert reads([page(batch(1), 1), *(page(batch(hours), hours) for hours in (11, 12, 13, 14))]) == 3


def test_batches_oldest_first_are_read_to_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert reads(page(PLAIN, hours) for hours in range(30, 0, -1)) == 30
    assert ["newest first" in record.message for record in caplog.records] == [True]
    assert "all batches" in caplog.text


def test_the_order_is_trusted_only_once_it_shows() -> None:
    """The first batch is old already, and alone it shows no order."""
    assert reads([page(PLAIN, 20), page(PLAIN, 21), page(PLAIN, 22)]) == 2


def test_a_page_of_an_unknown_batch_counts() -> None:
    assert reads([page(None, 1), page(None, 11), page(None, 12)]) == 2
