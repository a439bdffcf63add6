# SPDX-License-Identifier: Apache-2.0
"""When the clients of a process send, on a clock that the test moves."""

from __future__ import annotations

import gc
import heapq
import multiprocessing
import threading
from collections.abc import Generator

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client.shared_rate import SharedRate


class Timeline:
    """
    Requests of any number of clients that share a rate.

    :param blocked: from when to when nothing runs, as in an event loop that something blocks.
    """

    def __init__(self, blocked: tuple[float, float] = (0, 0)) -> None:
        self.now = 0.0
        self.rate = SharedRate(clock=lambda: self.now)
        self.blocked = blocked

    def run(self, arrivals: list[tuple[float, float]], holds: list[tuple[float, float]] = []) -> list[float]:  # noqa: B006
        """
        Return when each request was sent, in the order of sending.

        :param arrivals: the time at which each request arrives, and its client's requests per second.
        :param holds: when a request is refused as one too many, and for how long.
        """
        events: list[tuple[float, int, Generator[float, None, None] | float]] = []
        for number, (moment, per_second) in enumerate(arrivals):
            heapq.heappush(events, (moment, number, self.rate.turn(per_second)))
        for number, (moment, seconds) in enumerate(holds, len(arrivals)):
            heapq.heappush(events, (moment, number, seconds))
        sent = []
        while events:
            moment, number, event = heapq.heappop(events)
            begin, end = self.blocked
            self.now = max(self.now, end if begin <= moment < end else moment)
            if isinstance(event, float):
                self.rate.hold(event)
            elif (wait := next(event, None)) is not None:
                heapq.heappush(events, (self.now + wait, number, event))
            else:
                sent.append(self.now)
        return sent


def assert_no_second_has_more_than(per_second: int, sent: list[float]) -> None:
    for index in range(per_second, len(sent)):
        assert sent[index] - sent[index - per_second] > 1 - 1e-6


times = st.floats(0, 3, allow_nan=False)


@given(st.integers(1, 100), st.lists(times, min_size=1, max_size=200))
def test_no_second_holds_more_than_the_limit(per_second: int, arrivals: list[float]) -> None:
    sent = Timeline().run([(moment, per_second) for moment in arrivals])
    assert len(sent) == len(arrivals)
    assert_no_second_has_more_than(per_second, sent)


@given(st.lists(st.tuples(times, st.integers(1, 50)), min_size=1, max_size=100))
def test_clients_with_different_limits_keep_to_the_highest(arrivals: list[tuple[float, float]]) -> None:
    sent = Timeline().run(arrivals)
    assert_no_second_has_more_than(int(max(per_second for _, per_second in arrivals)), sent)


@given(st.integers(1, 50), st.lists(times, min_size=1, max_size=100), times, st.floats(0, 5))
def test_a_blocked_event_loop_is_not_followed_by_a_burst(
    per_second: int, arrivals: list[float], begin: float, length: float
) -> None:
    sent = Timeline((begin, begin + length)).run([(moment, per_second) for moment in arrivals])
    assert len(sent) == len(arrivals)
    # One request may have had its turn within the time in which nothing ran, and goes right behind it.
    assert_no_second_has_more_than(per_second + 1, sent)


@given(
    st.sampled_from([0, 1, 7, 50]),
    st.lists(times, min_size=1, max_size=60),
    st.lists(st.tuples(times, st.floats(0, 4)), max_size=3),
)
def test_nothing_is_sent_while_the_key_is_held(
    per_second: int, arrivals: list[float], holds: list[tuple[float, float]]
) -> None:
    timeline = Timeline()
    sent = timeline.run([(moment, per_second) for moment in arrivals], holds)
    assert len(sent) == len(arrivals)
    for begin, seconds in holds:
        # At the very moment of the refusal, a request may go out before or after it.
        assert not [moment for moment in sent if begin < moment < begin + seconds - 1e-6]
    if per_second:
        assert_no_second_has_more_than(per_second, sent)


def test_who_comes_seldom_never_waits() -> None:
    assert Timeline().run([(10.0, 2), (10.5, 2), (11.0, 2), (99.0, 2)]) == [10.0, 10.5, 11.0, 99.0]


def test_who_comes_at_once_waits_in_turn() -> None:
    assert Timeline().run([(10.0, 4)] * 4) == [10, 10.25, 10.5, 10.75]


def test_time_without_requests_is_not_saved_up() -> None:
    assert Timeline().run([(0.0, 4), (100.0, 4), (100.0, 4)]) == [0, 100, 100.25]


def test_fractions_of_a_request_per_second() -> None:
    assert Timeline().run([(0.0, 0.5)] * 3) == [0, 2, 4]


def test_zero_is_no_limit() -> None:
    assert Timeline().run([(5.0, 0)] * 1000) == [5.0] * 1000


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    assert Timeline().run([(1.0, 0)], [(0.0, 9.0), (0.5, 2.0)]) == [9.0]


# -- which clients share one


def rate_of(host: str, key: str = "key", requests_per_second: float = 20.0) -> SharedRate:
    return SharedRate.of(Settings("c", host, key, requests_per_second=requests_per_second))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://api.ip1sms.com", "https://API.iP1sms.com"),
        ("https://api.ip1sms.com", "https://api.ip1sms.com:443"),
        ("https://api.ip1sms.com", "https://api.ip1sms.com."),
        ("https://api.ip1sms.com", "https://api.ip1sms.com/gateway"),
        ("http://127.0.0.1:8099", "http://localhost:8099"),
        ("http://127.0.0.1:8099", "http://[::1]:8099"),
    ],
)
def test_spellings_of_one_host_share_a_rate(one: str, other: str) -> None:
    assert rate_of(one) is rate_of(other)


def test_settings_of_one_key_share_a_rate() -> None:
    assert rate_of("https://a.example", requests_per_second=20.0) is rate_of("https://a.example", "key", 19.99)


def test_other_keys_and_hosts_do_not_share_a_rate() -> None:
    rates = [rate_of(f"https://{host}", key) for host in ("a.example", "b.example", "a.example:8443") for key in "kl"]
    assert len({id(rate) for rate in rates}) == 6


def test_a_rate_outlives_its_clients() -> None:
    rate_of("https://outlives.example").hold(5000)
    gc.collect()
    # Without the pause, one turn takes no time.
    assert next(rate_of("https://outlives.example").turn(20)) > 1


def test_threads_get_the_same_rate() -> None:
    found: list[SharedRate] = []
    barrier = threading.Barrier(8)

    def find() -> None:
        barrier.wait()
        found.append(rate_of("https://threads.example"))

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(rate) for rate in found}) == 1


def test_a_forked_process_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    rate = rate_of("https://forked.example")
    forks = multiprocessing.get_context("fork")
    with SharedRate._lock:
        child = forks.Process(target=lambda: list(rate.turn(20)))
        child.start()
        child.join(60)
    assert child.exitcode == 0
