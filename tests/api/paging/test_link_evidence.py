# SPDX-License-Identifier: Apache-2.0
"""What is concluded from the ``Link`` headers of a list."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.api.page_body import LinkHint, RawPage
from airflow_provider_ip1.api.paging import link_evidence
from airflow_provider_ip1.api.paging.link_evidence import UNREACHABLE_START, LinkEvidence
from airflow_provider_ip1.api.paging.listing import PageRequest
from airflow_provider_ip1.exceptions import IP1PagingError
from tests.api.paging.model_server import a_list


def page(rows: int = 0, *, has_next: bool = False, start: int | None = None, limit: int | None = None) -> RawPage:
    return RawPage([f"id{number}" for number in range(rows)], link=LinkHint(has_next, start, limit))


def noted(limit: int, *pages: RawPage) -> LinkEvidence:
    found = LinkEvidence()
    for each in pages:
        found.note(requested(0, limit), each)
    return found


def requested(start: int, limit: int) -> PageRequest:
    return PageRequest(a_list(), start, limit, "ASC")


@pytest.mark.parametrize(
    ("last", "hint"),
    [
        (page(), None),
        (page(limit=50), None),
        (page(start=0, limit=50), 50),
        (page(start=400, limit=50), 450),
        # The server cannot return more rows than were requested.
        (page(start=400, limit=500), 600),
        (page(start=400), 600),
        (page(start=UNREACHABLE_START - 1, limit=50), UNREACHABLE_START + 49),
        (page(start=UNREACHABLE_START, limit=50), None),
    ],
)
def test_total_hint(last: RawPage, hint: int | None) -> None:
    assert noted(200, last).total_hint == hint


def test_the_latest_header_counts() -> None:
    found = noted(200, page(start=400, limit=200), page(start=800, limit=200), page())
    assert found.total_hint == 1000
    assert found.promise_more_than(799)
    assert not found.promise_more_than(800)


def test_no_header_promises_nothing() -> None:
    assert not noted(200, page()).promise_more_than(0)
    assert not noted(200, page(start=0, limit=200)).promise_more_than(0)


@pytest.mark.parametrize(
    ("limit", "last", "is_end"),
    [
        (200, page(7, start=0, limit=50), True),
        (200, page(7, start=10, limit=50), True),
        (200, page(7, start=16, limit=50), True),
        (200, page(7, start=17, limit=50), False),
        (200, page(7, start=0), True),
        (200, page(7, start=0, limit=49), False),
        (200, page(7, limit=50), False),
        (200, page(7, has_next=True, start=0, limit=50), False),
        (200, page(49, start=0, limit=50), True),
        (200, page(50, start=0, limit=50), False),
        # Fewer rows than the default were requested.
        (20, page(19, start=0, limit=20), True),
        (20, page(20, start=0, limit=20), False),
        (20, page(19, start=0, limit=19), False),
    ],
)
def test_the_end_that_a_page_and_its_header_agree_on(limit: int, last: RawPage, is_end: bool) -> None:
    assert LinkEvidence().ends_with(requested(10, limit), last) is is_end


def test_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_evidence, "MAX_GROWTH", 5000)
    # The first header counts: later ones grow with the list.
    found = noted(200, page(start=400, limit=200), page(start=9000, limit=200))
    found.check_growth(5600)
    with pytest.raises(IP1PagingError, match=r"^More than 5,600 rows were read and the list does not end: "):
        found.check_growth(5601)


def test_growth_without_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_evidence, "MAX_ROWS", 800)
    found = noted(200, page())
    found.check_growth(800)
    with pytest.raises(IP1PagingError, match=r"^More than 800 rows"):
        found.check_growth(801)


def test_the_error_for_a_list_that_ended_early() -> None:
    assert str(noted(200, page(start=4000, limit=200)).incomplete(1234)) == (
        "iP.1 announced a page that starts at row 4,000, but only 1,234 rows could be read. Run the task again."
    )
