# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.timestamps import earliest_and_latest, parse_timestamp, read_timestamps
from tests.api.json_values import texts, timestamps


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2018-10-23T17:43:19Z", datetime(2018, 10, 23, 17, 43, 19)),
        # Without a zone, as in iP.1's example of a blacklist entry.
        ("2019-11-01T16:32:18.253", datetime(2019, 11, 1, 16, 32, 18, 253000)),
        ("2018-10-23t17:43:19z", datetime(2018, 10, 23, 17, 43, 19)),
        ("2018-10-23 17:43:19Z", datetime(2018, 10, 23, 17, 43, 19)),
        ("2018-10-23T19:43:19.5+02:00", datetime(2018, 10, 23, 17, 43, 19, 500000)),
        ("2018-10-23T17:43:19.9999999Z", datetime(2018, 10, 23, 17, 43, 19, 999999)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1)),
    ],
)
def test_parses_every_spelling(text: str, timestamp: datetime) -> None:
    parsed = parse_timestamp(text)
    assert parsed == timestamp.replace(tzinfo=UTC)
    assert parsed is not None and parsed.utcoffset() == timedelta(0)
    assert read_timestamps([text]) == [parsed]


@pytest.mark.parametrize("text", ["", "soon", "2020-01-01", "2020-13-01T00:00:00Z", "2020-W01-1", "20200101T000000Z"])
def test_rejects_what_is_not_a_date_and_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several texts, by Python
        parse_timestamp(text)
    assert read_timestamps([text]) == [None]


def test_rejects_a_time_outside_of_the_calendar() -> None:
    with pytest.raises(OverflowError):
        parse_timestamp("0001-01-01T00:00:00+05:00")
    assert read_timestamps(["0001-01-01T00:00:00+05:00"]) == [None]


@given(st.lists(timestamps().map(lambda pair: pair[0]) | texts | st.none(), max_size=4))
@example(["2020-01-01T00:00:00Z", None])
@example(["2020-01-01T00:00:00Z", "2020-W01-1", "soon"])
@example(["2020-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00"])
def test_reading_many_times_equals_reading_one_by_one(values: list[str | None]) -> None:
    assert read_timestamps(values) == [read_timestamps([value])[0] for value in values]


@given(timestamps())
def test_reads_the_time_that_was_written(pair: tuple[str, datetime]) -> None:
    text, timestamp = pair
    assert parse_timestamp(text) == timestamp


# Mostly times as iP.1 documents them, among them some that are not in the calendar.
documented = st.datetimes(min_value=datetime(1, 1, 1)).map(lambda time: f"{time:%4Y-%m-%dT%H:%M:%SZ}".zfill(20))
impossible = st.from_regex(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", fullmatch=True)


@given(
    st.lists(documented | impossible, max_size=6)
    | st.lists(st.from_regex(r"20[0-9]{2}-0[1-9]-[0-3][0-9]T10:00:0[0-9]\.[0-9]{3}Z", fullmatch=True), max_size=4)
    | st.lists(documented | timestamps().map(lambda pair: pair[0]) | texts | st.none(), max_size=4)
)
@example(["2026-01-31T23:59:59Z", "2026-02-31T00:00:00Z", "2026-03-01T00:00:00Z"])
@example(["2026-01-31T23:59:59Z", "20260101T000000.000Z"])
@example(["2026-01-31T23:59:5", "9Z\n2026-01-31T23:59:59Z"])
@example(["2026-01-31T23:59:59Z\n2026-02-01T00:00:00Z"])
@example(["2026-01-31T23:59:59.1234561Z", "2026-01-31T23:59:59.1234560Z"])
@example(["2026-01-31T23:59:59.120Z", "2026-01-31T23:59:59.12Z"])
@example([None])
@example([])
def test_the_earliest_and_the_latest_time_are_those_of_all_parsed_times(values: list[str | None]) -> None:
    times = [time for time in read_timestamps(values) if time is not None]
    found = earliest_and_latest(values)
    assert found is None or found == (min(times), max(times))


@given(st.lists(documented, min_size=1, max_size=5), st.sampled_from(["", ".1", ".123", ".1234567"]))
def test_times_of_one_utc_format_are_compared_as_texts(values: list[str], fraction: str) -> None:
    assert earliest_and_latest([value.replace("Z", f"{fraction}Z") for value in values]) is not None
