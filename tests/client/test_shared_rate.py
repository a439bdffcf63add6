# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given, strategies as st

from airflow_provider_ip1.client.shared_rate import RequestRate


@given(
    per_second=st.integers(1, 100),
    gaps=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=300),
)
def test_no_second_holds_more_than_the_limit(per_second: int, gaps: list[float]) -> None:
    rate = RequestRate(per_second)
    now, sent = 1000.0, []
    for gap in gaps:
        now += gap
        pause = rate.reserve(now)
        assert pause >= 0
        sent.append(now + pause)
    assert sent == sorted(sent)
    for index in range(per_second, len(sent)):
        assert sent[index] - sent[index - per_second] > 1 - 1e-6


def test_who_comes_seldom_never_waits() -> None:
    rate = RequestRate(2)
    assert [rate.reserve(now) for now in (10.0, 10.5, 11.0, 99.0)] == [0, 0, 0, 0]


def test_who_comes_at_once_waits_in_turn() -> None:
    rate = RequestRate(4)
    assert [rate.reserve(10.0) for _ in range(4)] == [0, 0.25, 0.5, 0.75]
    assert rate.reserve(10.5) == 0.5


def test_time_without_requests_is_not_saved_up() -> None:
    rate = RequestRate(4)
    rate.reserve(0.0)
    assert [rate.reserve(100.0) for _ in range(2)] == [0, 0.25]


def test_fractions_of_a_request_per_second() -> None:
    rate = RequestRate(0.5)
    assert [rate.reserve(0.0) for _ in range(3)] == [0, 2, 4]


def test_zero_is_no_limit() -> None:
    rate = RequestRate(0)
    assert {rate.reserve(5.0) for _ in range(1000)} == {0}
