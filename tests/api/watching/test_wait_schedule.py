# SPDX-License-Identifier: Apache-2.0
"""When a wait polls, and when it gives up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.watching.status_watch import StatusWatch
from airflow_provider_ip1.api.watching.wait import (
    JITTER,
    MAX_PAUSE_AFTER_FAILURE,
    MIN_PAUSE,
    OVERDUE_SPREAD,
    Wait,
)
from airflow_provider_ip1.api.watching.watch import PollResult
from airflow_provider_ip1.exceptions import IP1AuthError, IP1NotFoundError, IP1RateLimitError, IP1ServerError
from tests.api.watching.watched_messages import Lines, make_watch

FAILURE = IP1ServerError("x")


def schedule(uniform: Callable[[float, float], float] = lambda low, high: low, **options: Any) -> Wait[StatusWatch]:
    """Poll every 30 s for 1000 s, without jitter."""
    wait = Wait(watch=make_watch(), **{"poke_interval": 30, "deadline": 1000.0, "started_at": 0.0, **options})
    wait.uniform = uniform
    return wait


@given(
    st.floats(min_value=0, max_value=100),
    st.floats(min_value=0, max_value=2000),
    st.floats(min_value=0, max_value=1),
    st.booleans(),
    st.booleans(),
)
def test_pauses_are_never_too_short_and_never_pass_the_deadline(
    poke_interval: float, now: float, share: float, exponential_backoff: bool, has_failed: bool
) -> None:
    plan = schedule(
        poke_interval=poke_interval,
        exponential_backoff=exponential_backoff,
        uniform=lambda low, high: low + share * (high - low),
    )
    poll_at = plan.after_failure(FAILURE, now) if has_failed else plan.after_response(now)
    if now >= 1000:
        assert poll_at is None
    else:
        assert poll_at is not None
        assert min(now + max(MIN_PAUSE, min(poke_interval, MAX_PAUSE_AFTER_FAILURE)), 1000) <= poll_at <= 1000


def test_jitter_only_makes_pauses_longer() -> None:
    drawn: list[tuple[float, float]] = []

    def highest(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    assert schedule(uniform=highest).after_response(0.0) == 30.0 * (1 + JITTER)
    assert drawn == [(1.0, 1.0 + JITTER)]


def test_the_last_poll_is_at_the_deadline() -> None:
    assert schedule().after_response(980.0) == 1000.0
    assert schedule().after_response(999.9) == 1000.0
    assert schedule().after_response(1000.0) is None


def test_pauses_stay_the_same_without_backoff() -> None:
    assert schedule().after_response(500.0) == 530.0
    assert schedule(max_wait=10.0).after_response(500.0) == 530.0


def test_exponential_backoff_doubles_the_elapsed_time() -> None:
    plan = schedule(exponential_backoff=True, max_wait=200)
    now, pauses = 0.0, []
    while (poll_at := plan.after_response(now)) is not None:
        pauses.append(poll_at - now)
        now = poll_at
    assert pauses == [30, 30, 60, 120, 200, 200, 200, 160]


def test_backoff_counts_from_the_start_of_the_wait() -> None:
    assert schedule(exponential_backoff=True, started_at=400.0).after_response(500.0) == 600.0


def test_backoff_without_max_wait_has_no_limit() -> None:
    assert schedule(exponential_backoff=True).after_response(400.0) == 800.0


def test_max_wait_cannot_cause_a_hot_loop() -> None:
    assert schedule(exponential_backoff=True, max_wait=0.0).after_response(400.0) == 400.0 + MIN_PAUSE


class TestFirstPoll:
    def test_a_planned_poll_stays_planned(self) -> None:
        wait = schedule(poll_at=500.0)
        wait.resume(499.0, Lines())
        assert wait.poll_at == 500.0

    @pytest.mark.parametrize(
        ("poke_interval", "spread"), [(30.0, OVERDUE_SPREAD), (OVERDUE_SPREAD, OVERDUE_SPREAD), (5.0, 5.0)]
    )
    @pytest.mark.parametrize("planned_at", [0.0, 500.0])
    def test_overdue_polls_are_spread(self, planned_at: float, poke_interval: float, spread: float) -> None:
        for draw, poll_at in ((min, 500.0), (max, 500.0 + spread)):
            wait = schedule(draw, poke_interval=poke_interval, poll_at=planned_at)
            wait.resume(500.0, Lines())
            assert wait.poll_at == poll_at


class TestFailures:
    def test_pauses_are_at_most_a_minute(self) -> None:
        assert schedule().after_failure(FAILURE, 100.0) == 130.0
        assert schedule(poke_interval=600).after_failure(FAILURE, 100.0) == 100.0 + MAX_PAUSE_AFTER_FAILURE

    def test_retry_after_is_respected(self) -> None:
        assert schedule().after_failure(IP1RateLimitError("x", 300.0), 100.0) == 400.0
        assert schedule().after_failure(IP1RateLimitError("x", 5.0), 100.0) == 130.0
        assert schedule().after_failure(IP1ServerError("x", 900.0), 100.0) == 1000.0

    def test_without_retry_after_the_deadline_counts_alone(self) -> None:
        assert schedule(poke_interval=MIN_PAUSE).after_failure(FAILURE, 999.5) == 1000.0

    def test_a_retry_after_beyond_the_deadline_ends_the_wait(self) -> None:
        assert schedule().after_failure(IP1ServerError("x", 900.5), 100.0) is None

    def test_a_failure_at_the_deadline_ends_the_wait(self) -> None:
        assert schedule(failing_since=0.0, max_outage=1.0).after_failure(FAILURE, 1000.0) is None

    def test_permanent_errors_are_raised_at_once(self) -> None:
        with pytest.raises(IP1AuthError):
            schedule().after_failure(IP1AuthError("x"), 0.0)
        with pytest.raises(IP1NotFoundError):
            schedule().after_failure(IP1NotFoundError("x"), 0.0)

    def test_silent_fail_waits_out_every_error(self) -> None:
        plan = schedule(silent_fail=True, failing_since=-1e6)
        assert plan.after_failure(IP1AuthError("x"), 0.0) == 60.0

    def test_a_long_outage_is_polled_less_often(self) -> None:
        plan, now, pauses = schedule(poke_interval=1, deadline=1e6), 0.0, []
        while now < 600:
            next_poll = plan.after_failure(FAILURE, now)
            assert next_poll is not None
            pauses.append(next_poll - now)
            now = next_poll
        assert pauses[:9] == [1, 1, 2, 4, 8, 16, 32, MAX_PAUSE_AFTER_FAILURE, MAX_PAUSE_AFTER_FAILURE]

    @pytest.mark.parametrize("max_outage", [0.0, 90.0, 3600.0])
    @pytest.mark.parametrize("poke_interval", [0.0, 30.0, 7200.0])
    def test_an_outage_is_bounded_by_time(self, max_outage: float, poke_interval: float) -> None:
        plan, now, failed_at = schedule(poke_interval=poke_interval, deadline=1e6, max_outage=max_outage), 50.0, []
        with pytest.raises(IP1RateLimitError, match="^slow down All .* failed, and max_outage is ") as caught:
            while True:
                failed_at.append(now)
                now = plan.after_failure(IP1RateLimitError("slow down"), now) or now
        assert 50.0 + max_outage <= failed_at[-1] <= 50.0 + max_outage + MAX_PAUSE_AFTER_FAILURE
        assert f"All {len(failed_at)} polls of the last " in str(caught.value)

    def test_none_waits_out_an_outage_until_the_deadline(self) -> None:
        plan = schedule(deadline=1e9, max_outage=None, failing_since=0.0)
        assert plan.after_failure(FAILURE, 1e8) == 1e8 + MAX_PAUSE_AFTER_FAILURE

    def test_another_process_continues_to_count(self) -> None:
        with pytest.raises(IP1ServerError):
            schedule(failing_since=-3600.0).after_failure(FAILURE, 0.0)
        # 0.2.0 did not say when the first poll failed.
        assert schedule(failures=9).after_failure(FAILURE, 0.0) == 30.0

    def test_a_response_ends_an_outage(self) -> None:
        plan, response = schedule(max_outage=50.0), PollResult("waiting", [], "")
        for now in range(0, 400, 40):
            plan.take(FAILURE if now % 80 else response, now, Lines())
        assert plan.failures == 1
