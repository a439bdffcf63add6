# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.batches import Batch, DeliveryWindow
from airflow_provider_ip1.api.paging.newest_first import NewestBatchesFirst, NewestFirst
from airflow_provider_ip1.api.paging.page import Page

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def hours_ago(*hours: float | None) -> list[datetime | None]:
    return [None if hour is None else NOON - timedelta(hours=hour) for hour in hours]


SINCE = NOON - timedelta(hours=4)
LOOKBACK = timedelta(hours=6)
#: Before this, messages need not be read.
LIMIT = SINCE - LOOKBACK
#: So many messages, each older than the one before, show an order.
OLD = tuple(range(20, 40))


@pytest.mark.parametrize(
    ("pages", "ends"),
    [
        # Newest first: reading ends at the first message before the limit.
        ([(1, 2, 9, 11, 12, *OLD)], [3]),
        ([(1, 2, 9), (10, 10.5, 30, *OLD)], [None, 1]),
        # A late delivery report does not obscure the order.
        ([(1, 5, 3, 9, 11, 9.5, 12, *OLD)], [4]),
        # The order shows on a later page only.
        ([(1, 11, 12), (13, 14), OLD], [None, None, 0]),
        # Nothing new: even the first message is before the limit. It takes a lookback to exclude the other order.
        ([(20, *OLD)], [8]),
        ([(20, 20.5, 21, *(21 + hour / 10 for hour in range(20)))], [None]),
        # A few messages or equal times prove no order: continue reading.
        ([(20,), (21, 22)], [None, None]),
        ([(1, 12)], [None]),
        ([tuple(range(1, 15))], [None]),
        ([tuple(range(1, 16))], [10]),
        ([(20,) * 100, (30,) * 100], [None, 0]),
        ([(20,) * 200], [None]),
        ([(None, None, *OLD), (40, None, 41)], [9, 0]),
        # Oldest first, although the request said newest first: never end, however late some messages changed.
        ([(30, 29, 28), (12, 11, 1)], [None, None]),
        ([tuple(range(60, 0, -1))], [None]),
        ([(35, 40, *OLD[::-1], 1)], [None]),
        # No order.
        ([(5, 30, 1, 40, 2) * 10], [None]),
        ([(9, 30, 20, 8, 12) * 10], [None]),
        # No message is before the limit.
        ([(1, 2), (3, 10)], [None, None]),
    ],
)
def test_where_reading_ends(pages: list[tuple[float | None, ...]], ends: list[int | None]) -> None:
    newest_first = NewestFirst(SINCE, LOOKBACK)
    assert [newest_first.end_in(hours_ago(*page)) for page in pages] == ends


def test_a_lookback_beyond_the_calendar_reads_everything() -> None:
    newest_first = NewestFirst(SINCE, timedelta.max)
    assert newest_first.end_in(hours_ago(*range(100))) is None


def test_a_list_in_the_wrong_order_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    newest_first = NewestFirst(SINCE, LOOKBACK)
    with caplog.at_level(logging.WARNING):
        newest_first.end_in(hours_ago(*range(50, 30, -1)))
        newest_first.end_in(hours_ago(*range(30, 10, -1)))
    assert [record.message.count("newest first") for record in caplog.records] == [1]


@pytest.mark.parametrize("hours", [(12, 14, 13, 12), (13, 14, 12), (20, 19, 18), (20, 30, 25, 35, 15) * 5])
def test_a_list_without_a_clear_order_is_not_logged(hours: tuple[float, ...], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert NewestFirst(SINCE, LOOKBACK).end_in(hours_ago(*hours)) is None
    assert not caplog.records


class List:
    """
    A list of a server: when each message was created, and when it was modified, at most a lookback later.

    :param random: the source of everything random.
    """

    def __init__(self, random: Random) -> None:
        count, span = random.randint(1, 300), random.choice([1, 12, 24, 300])
        created = sorted(random.uniform(0, span) for _ in range(count))
        longest = random.choice([0, 0.1, 1, 6])
        late = random.random()
        #: Newest first, in hours before noon.
        self.modified = [max(0, age - (random.uniform(0, longest) if random.random() < late else 0)) for age in created]

    def lost(self, hours: Sequence[float], page_size: int) -> list[float]:
        """Return the wanted messages that are not read if the server lists them in this order."""
        newest_first = NewestFirst(SINCE, LOOKBACK)
        times = hours_ago(*hours)
        for start in range(0, len(times), page_size):
            end = newest_first.end_in(times[start : start + page_size])
            if end is not None:
                return [time for time in hours[start + end :] if time <= 4]
        return []


@given(st.randoms(use_true_random=True), st.integers(1, 300))
def test_no_message_is_lost_in_any_order(random: Random, page_size: int) -> None:
    listed = List(random)
    shuffled = random.sample(listed.modified, len(listed.modified))
    cut = random.randrange(len(listed.modified))
    for hours in (
        listed.modified,
        listed.modified[::-1],
        shuffled,
        sorted(listed.modified),
        sorted(listed.modified, reverse=True),
        # Two lists, one after the other, and oldest first from some place on.
        listed.modified[:cut][::-1] + listed.modified[cut:][::-1],
        listed.modified[cut:][::-1] + listed.modified[:cut][::-1],
    ):
        assert listed.lost(hours, page_size) == []


@given(st.randoms(use_true_random=True), st.integers(1, 100))
def test_a_list_in_order_is_read_a_little_further_than_the_limit(random: Random, page_size: int) -> None:
    """At most 15 messages and one page, if messages come evenly and change within an hour."""
    hours = [max(0, age / 4 - random.random()) for age in range(400)]
    newest_first = NewestFirst(SINCE, LOOKBACK)
    times = hours_ago(*hours)
    for start in range(0, len(times), page_size):
        if newest_first.end_in(times[start : start + page_size]) is not None:
            assert start <= 4 * 11 + 15
            return
    raise AssertionError("the whole list was read")


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
    rule = NewestBatchesFirst(SINCE, LOOKBACK, NOON + timedelta(days=1))
    count = 0
    for each in pages:
        if rule.ends_before(each):
            break
        count += 1
    return count


#: Batches within the lookback, each older than the one before, so that the next one may end the read.
NEW = [page(PLAIN, hours / 2) for hours in range(1, 16)]


def test_the_read_ends_after_the_first_batch_from_before_the_limit() -> None:
    assert reads([*NEW, page(PLAIN, 11), page(PLAIN, 12), page(PLAIN, 13)]) == len(NEW) + 1


def test_the_batch_that_shows_it_is_read_completely() -> None:
    old = [page(PLAIN, 11, 1, number=number) for number in range(4)]
    assert reads([*NEW, *old, page(PLAIN, 12)]) == len(NEW) + 4


def test_one_old_message_is_enough() -> None:
    """The others of the batch were delivered later."""
    assert reads([*NEW, page(PLAIN, 2, 11, 3), page(PLAIN, 12)]) == len(NEW) + 1
    assert reads([*NEW, page(PLAIN, 2, 11), page(PLAIN, 2, 3, number=1), page(PLAIN, 12)]) == len(NEW) + 2


@pytest.mark.parametrize("hours", [(None,), (None, None), (24 * 365 * 30,), (-25 * 24,)])
def test_a_batch_without_plausible_times_does_not_end_the_read(hours: tuple[float | None, ...]) -> None:
    assert reads([*NEW, page(PLAIN, *hours), page(PLAIN, 9), page(PLAIN, 11), page(PLAIN, 12)]) == len(NEW) + 3


@pytest.mark.parametrize("opens", [(-48,), (5,), (20, -48), (10,), (None,)])
def test_a_batch_for_later_delivery_is_not_mistaken_for_an_old_one(opens: tuple[float | None, ...]) -> None:
    """Its messages were modified when it was created, long ago."""
    assert reads([*NEW, page(batch(*opens), 100), page(PLAIN, 9), page(PLAIN, 11), page(PLAIN, 12)]) == len(NEW) + 3


def test_a_batch_whose_windows_opened_before_the_limit_ends_the_read() -> None:
    """Otherwise a server that shows a window for every batch would be read to its end."""
    pages = [page(batch(hours), hours) for hours in range(1, 40)]
    assert reads(pages) == 10 + 15


def test_batches_oldest_first_are_read_to_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert reads(page(PLAIN, hours) for hours in range(30, 0, -1)) == 30
    assert ["newest first" in record.message for record in caplog.records] == [True]
    assert "all batches" in caplog.text


def test_one_fall_does_not_show_an_order() -> None:
    """Batches oldest first, of which the first one was delivered a little later than the others."""
    first = page(PLAIN, 100)
    others = [page(PLAIN, 100.1 - number) for number in range(100)]
    assert reads([first, *others]) == 101


def test_a_page_of_an_unknown_batch_counts() -> None:
    unknown = [page(None, hours) for hours in range(1, 40)]
    assert reads(unknown) == 15
