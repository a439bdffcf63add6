# SPDX-License-Identifier: Apache-2.0
"""What a status means for a wait."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.status import CATEGORIES, status_category
from airflow_provider_ip1.api.watching.status_rule import StatusRule


@given(st.integers(min_value=100, max_value=999))
def test_by_default_every_other_terminal_category_is_a_failure(code: int) -> None:
    verdict = StatusRule("delivered").verdict_for(code)
    assert verdict == {"delivered": "success", "pending": "waiting"}.get(status_category(code), "failure")


@given(st.sets(st.sampled_from(CATEGORIES), min_size=1), st.integers(min_value=100, max_value=599))
def test_survives_json(expected: set[str], code: int) -> None:
    rule = StatusRule(expected)
    copy = StatusRule(*json.loads(json.dumps(rule.as_lists())))
    assert copy.as_lists() == rule.as_lists()
    assert copy.verdict_for(code) == rule.verdict_for(code)


def test_arguments_come_in_a_stable_order() -> None:
    rule = StatusRule(["delivered", 202, "pending"], ["undelivered", 301])
    assert rule.as_lists() == ([202, "delivered", "pending"], [301, "undelivered"])


def test_a_code_takes_precedence_over_its_category() -> None:
    rule = StatusRule(["delivered", 202], ["undelivered"])
    assert [rule.verdict_for(code) for code in (201, 202, 203, 112, 511, None)] == [
        "success", "success", "failure", "waiting", "waiting", "waiting",
    ]  # fmt: skip
    rule = StatusRule("undelivered", [202])
    assert [rule.verdict_for(code) for code in (202, 203)] == ["failure", "success"]


def test_without_failures_only_the_expected_status_ends_the_wait() -> None:
    rule = StatusRule("delivered", [])
    assert {rule.verdict_for(code) for code in (112, 202, 402, 511)} == {"waiting"}


@pytest.mark.parametrize("argument", [201, "201", " 201 ", [201], ("201",), {201}, frozenset({"201"})], ids=str)
def test_the_forms_of_a_code(argument: Any) -> None:
    assert StatusRule(argument).expected == {201}


@pytest.mark.parametrize("argument", ["Delivered", " DELIVERED ", ["delivered"]], ids=str)
def test_the_forms_of_a_category(argument: Any) -> None:
    assert StatusRule(argument).expected == {"delivered"}


@pytest.mark.parametrize("code", [100, 999])
def test_the_first_and_the_last_code(code: int) -> None:
    assert StatusRule(code).expected == {code}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("arrived", "'arrived'"),
        (22, "22"),
        (99, "99"),
        (1000, "1000"),
        (True, "True"),
        (2.5, "2.5"),
        ("²01", "'²01'"),
        ("-201", "'-201'"),
        (46701740609, "46***09"),
        ("46701740609", "'46***09'"),
    ],
    ids=str,
)
def test_the_error_names_the_argument_and_masks_numbers(value: Any, shown: str) -> None:
    for arguments, name in (((value,), "expected"), (("delivered", [value]), "failed")):
        if isinstance(value, float) and name == "expected":
            continue  # not a list: see test_other_types
        with pytest.raises(ValueError) as caught:
            StatusRule(*arguments)
        assert str(caught.value).startswith(f"{name} has {shown}, which is neither a status code of three digits")
        assert "pending, delivered, undelivered, rejected, failed" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((None,), "expected must be a status code, a category or a list of them, not NoneType"),
        (({"delivered": 1},), "expected must be .* not dict"),
        ((2.5,), "expected must be .* not float"),
        (("delivered", {"rejected": 1}), "failed must be .* not dict"),
        (([],), "expected is empty: give at least one"),
        (("delivered", "delivered"), "delivered is in expected and in failed"),
        ((["201", 112], [112, 201, 202]), "112, 201 is in expected and in failed"),
    ],
    ids=str,
)
def test_other_types_and_combinations(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        StatusRule(*arguments)
