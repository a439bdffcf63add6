# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given, strategies as st

from airflow_provider_ip1.client.logs import PROGRESS_INTERVAL, Progress


def test_a_line_says_how_far_how_fast_and_how_long_still() -> None:
    progress = Progress(now=100.0)
    assert progress.add(1000, 6000, now=105.0) is None
    line = progress.add(1000, 6000, now=110.0)
    assert line is not None
    assert "2,000 messages so far of about 6,000" in line
    assert "200 messages/s" in line
    assert "about 20 s left" in line


def test_without_a_total_there_is_no_time_left() -> None:
    line = Progress(now=0.0).add(50, None, now=20.0)
    assert line is not None
    assert "50 messages so far" in line and "left" not in line and " of " not in line


def test_a_total_that_was_reached_or_nothing_yet_says_nothing_about_the_rest() -> None:
    line = Progress(now=0.0).add(40, 40, now=20.0)
    assert line == "40 messages so far, 2 messages/s"
    line = Progress(now=0.0).add(0, 40, now=20.0)
    assert line == "0 messages so far of about 40"
    line = Progress(now=0.0).add(20, 40, now=20.0)
    assert line == "20 messages so far of about 40, 1 message/s, about 20 s left"


def test_a_total_that_was_passed_is_not_shown() -> None:
    line = Progress(now=0.0).add(50, 40, now=20.0)
    assert line is not None
    assert "40" not in line and "left" not in line


def test_a_short_reading_says_nothing() -> None:
    progress = Progress(now=0.0)
    assert [progress.add(200, 1000, now=2.0 * step) for step in range(5)] == [None] * 5


@given(st.lists(st.floats(0, 25, allow_nan=False), max_size=100))
def test_lines_are_at_least_ten_seconds_apart(gaps: list[float]) -> None:
    began = now = 5000.0
    progress = Progress(now)
    said = [began]
    for gap in gaps:
        now += gap
        if progress.add(10, None, now) is not None:
            said.append(now)
    assert progress.messages == 10 * len(gaps)
    assert PROGRESS_INTERVAL == 10
    for earlier, later in zip(said, said[1:], strict=False):
        assert later - earlier >= PROGRESS_INTERVAL
    # And they do come: none is held back for longer than the pages themselves were apart.
    assert now - said[-1] < PROGRESS_INTERVAL
