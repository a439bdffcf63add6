# SPDX-License-Identifier: Apache-2.0
"""Paging and templating against a simple model of each."""

from __future__ import annotations

from hypothesis import given, strategies as st

from airflow_provider_ip1.sandbox.faults import Hits
from airflow_provider_ip1.sandbox.paging import MAX_LIMIT, PageQuery
from airflow_provider_ip1.sandbox.participants import EMPTY, SEVEN
from airflow_provider_ip1.sandbox.send_request import render_texts

KEYS = st.text("abcä .", min_size=1, max_size=3)
VALUES = st.dictionaries(KEYS, st.text("xyz{}", max_size=3), max_size=3)


@given(total=st.integers(1, 300), start=st.integers(0, 400), limit=st.integers(1, 400), descending=st.booleans())
def test_page_is_a_slice_of_the_ordered_list(total: int, start: int, limit: int, descending: bool) -> None:
    query = {"start": str(start), "limit": str(limit), "order": "DESC" if descending else "ASC"}
    page = PageQuery.from_query(query, Hits())
    rows = list(range(total))
    if start < total:
        read = rows[page.slice(total)]
        ordered = rows[::-1] if descending else rows
        assert (read[::-1] if page.descending else read) == ordered[start : start + limit]


@given(limit=st.integers(1, 10**9 - 1))
def test_limit_is_lowered_to_the_largest(limit: int) -> None:
    assert PageQuery.from_query({"limit": str(limit)}, Hits()).limit == min(limit, MAX_LIMIT)


@given(
    parts=st.lists(st.text("Åb ", min_size=1, max_size=3) | KEYS.map(lambda key: (key,)), min_size=1),
    own=VALUES,
    default=VALUES,
)
def test_placeholders_get_own_value_then_default(
    parts: list[str | tuple[str]], own: dict[str, str], default: dict[str, str]
) -> None:
    body = "!" + "".join(part if isinstance(part, str) else f"{{{part[0]}}}" for part in parts)
    expected = "!" + "".join(
        part if isinstance(part, str) else own.get(part[0], default.get(part[0], f"{{{part[0]}}}")) for part in parts
    )
    assert render_texts(body, {SEVEN: own, EMPTY: {}, "default": default})[SEVEN] == expected
    assert render_texts(body, [SEVEN, EMPTY]) == {SEVEN: body, EMPTY: body}
