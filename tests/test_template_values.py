# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest

from airflow_provider_ip1.template_values import timestamp

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
