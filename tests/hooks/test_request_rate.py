# SPDX-License-Identifier: Apache-2.0
"""The request rate that hooks share, on a clock that the test moves."""

from __future__ import annotations

import heapq

from hypothesis import given, strategies as st

from airflow_provider_ip1.client.shared_rate import SharedRate


def sending_times(per_second: int, arrivals: list[float], blocked: tuple[float, float]) -> list[float]:
    """When requests go out that arrive at certain times at an event loop in which nothing runs for a while."""
    now = 0.0
    rate = SharedRate(per_second, clock=lambda: now)
    sent = []
    events = [(arrival, number, 0) for number, arrival in enumerate(arrivals)]
    heapq.heapify(events)
    while events:
        moment, number, step = heapq.heappop(events)
        woken = blocked[1] if blocked[0] <= moment < blocked[1] else moment
        now = max(now, woken)
        if step == 2:
            sent.append(now)
        else:
            pause = (rate.reserve, rate.confirm)[step]()
            heapq.heappush(events, (now + pause, number, step + 1))
    return sent


@given(
    per_second=st.integers(1, 50),
    arrivals=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=100),
    begin=st.floats(0, 3),
    length=st.floats(0, 5),
)
def test_a_blocked_event_loop_is_not_followed_by_a_burst(
    per_second: int, arrivals: list[float], begin: float, length: float
) -> None:
    sent = sending_times(per_second, arrivals, (begin, begin + length))
    assert len(sent) == len(arrivals)
    # One request may have had its turn within the time in which nothing ran, and goes right behind it.
    for index in range(per_second + 1, len(sent)):
        assert sent[index] - sent[index - per_second - 1] > 1 - 1e-6


def test_nobody_waits_twice_where_nothing_blocks() -> None:
    assert sending_times(4, [0.0] * 4, (9, 9)) == [0, 0.25, 0.5, 0.75]
