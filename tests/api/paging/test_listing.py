# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ip1.api.paging.listing import Listing, conversation_lists
from airflow_provider_ip1.api.requests import conversation_request

NUMBER = "46701740605"


def test_one_list_per_participant_with_every_argument() -> None:
    assert conversation_lists([" +46 70-174 06 05", "Min skola"], direction="mo", order="DESC", page_size=7) == [
        Listing(conversation_request(name, "mo"), participant=name, direction="mo", order="DESC", page_size=7)
        for name in (NUMBER, "Min skola")
    ]


def test_the_defaults() -> None:
    assert conversation_lists([NUMBER]) == [Listing(conversation_request(NUMBER), participant=NUMBER)]


@pytest.mark.parametrize(("order", "direction"), [("desc", "MO"), ("Desc", "Mo"), ("DESC", "mo")])
def test_case_does_not_matter(order: Any, direction: Any) -> None:
    (listing,) = conversation_lists([NUMBER], order=order, direction=direction)
    assert (listing.order, listing.direction) == ("DESC", "mo")


@pytest.mark.parametrize(("argument", "value"), [("direction", "out"), ("order", "down"), ("page_size", 0)])
def test_the_error_names_the_argument(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=argument):
        conversation_lists([NUMBER], **{argument: value})
