# SPDX-License-Identifier: Apache-2.0
"""The shortcuts of the counts equal reading every message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.timestamps import is_plausible
from airflow_provider_ip1.exceptions import IP1ResponseError
from airflow_provider_ip1.transfers.report import Report, TotalCheck, pending_indexes
from tests.formats.odd_messages import ODD, PARTICIPANT, message, raw
from tests.formats.pages import page_of

LATEST = datetime.now(UTC) + timedelta(days=1)
statuses = st.lists(
    st.fixed_dictionaries(
        {"code": st.sampled_from([101, 112, 114, 201, 202, 402, 599, 777, 7, 1201])},
        optional={"created": st.sampled_from(["2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", None])},
    ),
    max_size=2,
)
odd_statuses = st.sampled_from([..., None, "odd", [{"code": "101"}], [{"code": 101, "created": 5}], [{}], [None]])
times = st.sampled_from(["2026-10-01T00:00:00Z", "2026-10-31T10:00:01Z", "2026-10-02T00:00:00Z"])
odd_times = st.sampled_from(
    [
        *(..., None, "soon", "1970-01-01T00:00:00Z", "2050-01-01T00:00:00Z"),
        *("2026-10-02T00:00:00.5Z", "2026-02-31T00:00:00Z"),
    ]
)
incoming = st.just({"sender": PARTICIPANT, "recipient": "iP1", "direction": 1})


def pages() -> st.SearchStrategy[Page]:
    """Pages of usual messages, half of them with odd ones."""

    def fields(status: st.SearchStrategy[Any], time: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
        changes = st.fixed_dictionaries({"statuses": status, "modified": time})
        each = st.tuples(st.just({}) | incoming, changes).map(lambda pair: pair[0] | pair[1])
        return st.lists(each, min_size=1, max_size=6)

    usual_or_odd = fields(statuses, times) | fields(statuses | odd_statuses, times | odd_times)
    return usual_or_odd.map(
        lambda page: page_of(
            [raw(message(number, **changes)) for number, changes in enumerate(page)], participant=PARTICIPANT
        )
    )


def is_pending(page: Page, position: int) -> bool:
    try:
        found = decode_message(page.raws[position], participant=page.participant, direction=page.direction)
    except IP1ResponseError:
        return False
    return found.status_category == "pending" and found.direction != "mo"


@given(pages())
@example(page_of(map(raw, ODD), participant=PARTICIPANT))
def test_finds_the_pending_messages_that_decoding_every_message_finds(page: Page) -> None:
    expected = [position for position in range(len(page)) if is_pending(page, position)]
    assert pending_indexes(page) == expected
    assert pending_indexes(replace(page, status_codes=())) == expected


@given(pages())
@example(page_of(map(raw, ODD), participant=PARTICIPANT))
def test_finds_the_times_that_parsing_every_time_finds(page: Page) -> None:
    report = Report()
    report.add(page, page)
    plausible = [time.isoformat() for time in page.modified if is_plausible(time, LATEST)]
    assert (report.result["first_modified"], report.result["last_modified"]) == (
        min(plausible, default=None),
        max(plausible, default=None),
    )


@given(pages())
def test_counts_the_implausible_times_that_parsing_every_time_finds(page: Page) -> None:
    report = Report()
    report.add(page, page)
    implausible = sum(time is not None and not is_plausible(time, LATEST) for time in page.modified)
    warnings = [text for text in report.warnings() if "a time of modification" in text]
    assert len(warnings) == bool(implausible)
    assert all(f"for {implausible:,} message" in text for text in warnings)


def test_the_total_of_an_account_whose_batches_contain_no_message_cannot_be_verified() -> None:
    """The hook is not asked for anything, because no conversation is known."""
    with pytest.raises(IP1ResponseError, match=r"^verify_total: .*cannot be verified"):
        TotalCheck(cast("Any", None), (), None).verify()


def test_a_small_export_does_not_claim_that_it_wrote_nothing_a_second() -> None:
    report = Report()
    report.add(page_of([]), page_of(map(raw, ODD[:3])))
    line = report.final_line("17,576 batches", 900, 905.4, "s3://lake/out.jsonl")
    assert line == "Wrote 3 messages of 17,576 batches, 900 bytes, in 905.4 s to s3://lake/out.jsonl"
    assert "(2 messages/s)" in report.final_line("1 conversation", 900, 1.5, "s3://lake/out.jsonl")
