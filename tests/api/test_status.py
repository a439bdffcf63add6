# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.status import (
    CATEGORIES,
    KNOWN_CODES,
    TERMINAL_CATEGORIES,
    is_terminal,
    status_category,
    status_name,
)


def documented_enum() -> set[int]:
    """The codes in the schema of iP.1's operation GetConversationMessages."""
    schema = json.loads(files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text())
    return set(schema["items"]["properties"]["statuses"]["items"]["properties"]["code"]["enum"])


def test_known_codes_are_the_schema_and_the_one_code_it_lacks():
    assert KNOWN_CODES - documented_enum() == {114}
    assert documented_enum() <= KNOWN_CODES


@pytest.mark.parametrize(
    ("code", "name", "category"),
    [
        (101, "Accepted", "pending"),
        (104, "Refunded", "pending"),
        (114, "QueuedAtGateway", "pending"),
        (199, None, "pending"),
        (201, "DeliveredToHandset", "delivered"),
        (202, "Expired", "undelivered"),
        (203, "Canceled", "undelivered"),
        (200, None, "undelivered"),
        (299, None, "undelivered"),
        (402, "InsufficientFunds", "rejected"),
        (404, "ContentRejected", "rejected"),
        # Named for e-mail only.
        (405, None, "rejected"),
        (409, None, "rejected"),
        (500, None, "failed"),
        (599, None, "failed"),
    ],
)
def test_name_and_category(code, name, category):
    assert status_name(code) == name
    assert status_category(code) == category


def test_every_documented_code_is_known():
    groups = [range(101, 105), range(110, 115), range(201, 204), range(402, 410), range(500, 504), range(511, 517)]
    assert KNOWN_CODES == {599}.union(*groups)


@pytest.mark.parametrize("code", [0, -1, -201, 1, 20, 99, 300, 399, 600, 2010, 10**12])
def test_a_code_outside_the_documented_groups_is_pending(code):
    assert status_category(code) == "pending"
    assert not is_terminal(status_category(code))


@given(st.integers())
def test_only_201_is_a_delivery(code):
    assert (status_category(code) == "delivered") is (code == 201)


@given(st.integers())
def test_every_code_has_a_category(code):
    assert status_category(code) in CATEGORIES


@given(st.sampled_from(sorted(KNOWN_CODES)))
def test_a_documented_code_is_pending_exactly_if_its_group_is_info(code):
    assert is_terminal(status_category(code)) is (code >= 200)


def test_terminal_categories():
    assert {category for category in CATEGORIES if is_terminal(category)} == set(TERMINAL_CATEGORIES)
    assert set(CATEGORIES) - set(TERMINAL_CATEGORIES) == {"pending"}


def test_an_error_names_the_unknown_category():
    with pytest.raises(ValueError, match="'deliverd'.*delivered"):
        is_terminal("deliverd")
