# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

from airflow_provider_ip1.api.paging.page import Page

PAGE = Page(
    participant="46701740605",
    direction="mt",
    number=3,
    start=600,
    ids=("a", "b", "c"),
    raws=(b"1", b"2", b"3"),
    total_hint=800,
    modified_values=("2026-01-01T00:00:00Z", None, "2026-01-03T00:00:00Z"),
    status_codes=(201, None, 202),
)


def test_only_keeps_all_that_is_known_of_the_kept_messages() -> None:
    assert PAGE.only([0, 2]) == replace(
        PAGE,
        ids=("a", "c"),
        raws=(b"1", b"3"),
        modified_values=("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"),
        status_codes=(201, 202),
    )
    assert PAGE.only([0, 1, 2]) is PAGE
    assert len(PAGE.only([])) == 0


def test_only_keeps_unread_values_unread() -> None:
    unread = replace(PAGE, modified_values=(), status_codes=())
    assert unread.only([1]) == replace(unread, ids=("b",), raws=(b"2",))
