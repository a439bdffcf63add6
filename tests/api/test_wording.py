# SPDX-License-Identifier: Apache-2.0
"""Numbers and times in words."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.api.wording import counted, duration_text, moment_text, rate_text


def test_counts_have_the_right_number() -> None:
    assert [counted(count, "message") for count in (0, 1, 2, 5000)] == [
        "0 messages", "1 message", "2 messages", "5,000 messages",
    ]  # fmt: skip
    assert [counted(count, "batch", "batches") for count in (1, 2)] == ["1 batch", "2 batches"]


@pytest.mark.parametrize(
    ("number", "seconds", "text"),
    [
        (5000, 1.0, "5,000 messages/s"),
        (3, 2.0, "2 messages/s"),
        (1, 1.0, "1 message/s"),
        (15, 900.0, None),
        (0, 9.0, None),
    ]
    + [(2, 0.0, "2,000 messages/s")],
)
def test_a_rate_below_one_is_not_shown(number: int, seconds: float, text: str | None) -> None:
    assert rate_text(number, "message", seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.0, "1 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (600.0, "10 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (9000.0, "2.5 h"),
        (172800.0, "2 days"),
        (604800.0, "7 days"),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_moments_in_words() -> None:
    assert moment_text(1000.0) == "1970-01-01 00:16:40 UTC"
    assert moment_text(1e12) == "9999-12-31 23:59:59 UTC"
