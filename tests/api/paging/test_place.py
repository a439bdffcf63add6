# SPDX-License-Identifier: Apache-2.0
"""How a list is read again, and which rows may share a creation time."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import PageRequest
from airflow_provider_ip1.api.paging.place import MAX_PASSES, Place, repair_pass
from airflow_provider_ip1.api.requests import Order
from tests.api.paging.model_server import a_list


@pytest.mark.parametrize(("order", "other"), [("ASC", "DESC"), ("DESC", "ASC")])
def test_the_first_and_the_last_reading_take_pages_as_large_as_possible(order: Order, other: Order) -> None:
    passes = [repair_pass(number, order, 1000) for number in range(MAX_PASSES)]
    assert passes[0] == passes[-1] == (order, 1000, 0.0)
    assert [each[0] for each in passes[:-1]] == [order, other] * 4 + [order]
    sizes, shifts = [each[1] for each in passes[1:-1]], [each[2] for each in passes[:-1]]
    assert sizes == sorted({*sizes}, reverse=True) and 500 < min(sizes) and max(sizes) < 1000
    # The borders of the pages differ in each reading.
    assert len({*shifts}) == len(shifts) and max(shifts) < 1


@pytest.mark.parametrize(
    ("anchor", "ids", "may_be_tied"),
    [
        ("65b0000a" + "0" * 16, ["65b0000a" + "1" * 16], True),
        ("65b0000a" + "0" * 16, ["65b0000b" + "0" * 16, "65b0000a" + "1" * 16], True),
        ("65b0000a" + "0" * 16, ["65b0000b" + "0" * 16], False),
        # The anchor itself.
        ("65b0000a" + "0" * 16, ["65b0000a" + "0" * 16], False),
        # Ids of another form do not show a second.
        ("65b0000a", ["65b0000a1"], False),
    ],
)
def test_ids_that_begin_with_the_same_second_may_be_of_one_creation_time(
    anchor: str, ids: list[str], may_be_tied: bool
) -> None:
    place = Place(10)
    place.join(PageRequest(a_list(), 0, 10, "DESC"), RawPage([anchor], [b""], ()))
    assert place.may_be_tied(RawPage(ids, [b""] * len(ids), ())) is may_be_tied


@pytest.mark.parametrize(
    ("second", "base", "is_known"),
    [("bcde", 0, True), ("abcd", 1, True), ("cdef", 0, False)],
)
def test_the_pages_at_0_and_1_show_where_the_server_begins_to_count(second: str, base: int, is_known: bool) -> None:
    place = Place(4)
    for start, ids in ((0, "abcd"), (1, second)):
        place.note_base(PageRequest(a_list(), start, 100, "DESC"), RawPage([*ids], [b""] * len(ids), ()))
    assert (place.base, place.is_base_known) == (base, is_known)
