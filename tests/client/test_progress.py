# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.paging.listing import (
    AccountMessages,
    Lists,
    account_messages,
    batch_message_list,
    conversation_lists,
)
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.timestamps import read_time
from airflow_provider_ip1.client.logs import LONGEST_INTERVAL, PROGRESS_INTERVAL, Progress

ONE = conversation_lists(["46701740605"])
THREE = conversation_lists(["46701740605", "46701740606", "46701740607"])
ACCOUNT = account_messages(order="DESC")


def page(messages: int, total: int | None = None, *, modified: str | None = None) -> Page:
    """A page of a conversation; or, with a time of modification, of a batch."""
    return Page(
        participant=None,
        direction=None,
        number=0,
        start=0,
        ids=("id",) * messages,
        raws=(b"{}",) * messages,
        total_hint=total,
        modified_values=() if modified is None else (modified,) * messages,
        batch=None if modified is None else Batch(id="a"),
    )


def first_line(
    lists: Lists,
    *pages: Page,
    seconds: float = 20.0,
    limit: float = 0.0,
    requests: int = 0,
    lists_read: int = 0,
    batches: int | None = None,
) -> str:
    """The line that is written when the last of the pages arrives."""
    progress = Progress(lists, limit, now=100.0)
    lines = []
    for number, one in enumerate(pages, start=1):
        now = 100.0 + (seconds if number == len(pages) else 0.0)
        lines.append(progress.add(one, now, lists_read=lists_read, batches=batches, requests=requests))
    *none, line = lines
    assert none == [None] * len(none)
    assert line is not None
    return line


@pytest.mark.parametrize(
    ("messages", "total", "line"),
    [
        (2000, 6000, "2,000 messages so far of about 6,000, 100 messages/s, about 40 s left"),
        (50, None, "50 messages so far, 2 messages/s"),
        # a total that was reached or passed
        (40, 40, "40 messages so far, 2 messages/s"),
        (50, 40, "50 messages so far, 2 messages/s"),
        # A rate of 0 would look as if there had been none.
        (0, 40, "0 messages so far of about 40"),
        (4, 40, "4 messages so far of about 40, about 3 min left"),
        (7, 60, "7 messages so far of about 60, about 3 min left"),
        (30, 99, "30 messages so far of about 99, 2 messages/s, about 46 s left"),
    ],
)
def test_one_conversation(messages: int, total: int | None, line: str) -> None:
    assert first_line(ONE, page(messages, total)) == line


def test_conversations_are_counted() -> None:
    line = first_line(THREE, page(200, 400), lists_read=1)
    assert line == "1 of 3 conversations, 200 messages, 10 messages/s, about 40 s left"


def test_the_account_tells_batches_of_how_many_back_to_which_date_and_the_time_left() -> None:
    pages = page(1, modified="2026-10-31T12:00:00Z"), page(3, modified="2026-05-01T12:00:00Z")
    line = first_line(ACCOUNT, *pages, seconds=600, lists_read=1000, batches=4000)
    assert line == "1,000 of about 4,000 batches, back to 2026-05-01, 4 messages, about 30 min left"
    line = first_line(ACCOUNT, *pages[::-1], seconds=600, lists_read=1000, batches=4000)
    assert line == "1,000 of about 4,000 batches, up to 2026-10-31, 4 messages, about 30 min left"


def test_an_account_that_is_read_back_to_a_time_says_nothing_about_older_batches() -> None:
    lists = replace(ACCOUNT, since=read_time("2026-10-01T00:00:00Z", "since"))
    pages = page(1, modified="2026-10-31T00:00:00Z"), page(3, modified="2026-10-21T00:00:00Z")
    line = first_line(lists, *pages, lists_read=1000, batches=4000)
    assert line == "1,000 batches, back to 2026-10-21, 4 messages, about 40 s left"
    older = page(3, modified="2026-09-30T00:00:00Z")
    assert first_line(lists, pages[0], older, lists_read=1).endswith("1 batch, back to 2026-09-30, 4 messages")


def test_batches_of_one_direction_are_not_compared_with_all() -> None:
    line = first_line(
        account_messages(direction="mo"), page(3, modified="2026-10-21T00:00:00Z"), lists_read=9, batches=4000
    )
    assert line == "9 batches, up to 2026-10-21, 3 messages"


def test_known_batches_are_counted() -> None:
    lists = [batch_message_list(f"b{number}") for number in range(8)]
    line = first_line(lists, page(2, modified="2026-10-21T00:00:00Z"), lists_read=2)
    assert line == "2 of 8 batches, up to 2026-10-21, 2 messages, about 60 s left"


@pytest.mark.parametrize(("requests", "is_limit"), [(400, True), (330, True), (300, False)])
def test_the_line_names_the_limit_that_decides(requests: int, is_limit: bool) -> None:
    line = first_line(ONE, page(5), limit=20.0, requests=requests)
    assert line.endswith("; requests_per_second=20 is the limit") == is_limit
    assert "limit" not in first_line(ONE, page(5), requests=requests)


def test_a_short_reading_says_nothing() -> None:
    progress = Progress(ONE, 0.0, now=0.0)
    said = [progress.add(page(2, 10), 2.0 * step, lists_read=0, batches=None, requests=0) for step in range(5)]
    assert said == [None] * 5


@given(st.sampled_from([ONE, THREE, ACCOUNT]), st.lists(st.floats(0, 250, allow_nan=False), max_size=100))
def test_lines_come_at_intervals_that_double(lists: Lists, gaps: list[float]) -> None:
    assert (PROGRESS_INTERVAL, LONGEST_INTERVAL) == (10, 300)
    modified = "2026-10-21T00:00:00Z" if isinstance(lists, AccountMessages) else None
    due, interval = 5010.0, 10
    progress, now = Progress(lists, 20.0, 5000.0), 5000.0
    for gap in gaps:
        now += gap
        line = progress.add(page(2, modified=modified), now, lists_read=0, batches=None, requests=0)
        # None is held back for longer than the pages themselves were apart.
        assert (line is not None) == (now >= due)
        if line is not None:
            interval = min(2 * interval, 300)
            due = now + interval
    assert progress.messages == 2 * len(gaps)
