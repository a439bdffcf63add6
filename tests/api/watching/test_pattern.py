# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ip1.api.watching.pattern import TIME_LIMIT, Pattern
from airflow_provider_ip1.exceptions import IP1Error


@pytest.mark.parametrize(
    ("pattern", "text", "groups"),
    [
        ("ja", "ja tack", ()),
        ("ja", "Ja tack", None),
        ("(?i)^ja", "JA", ()),
        ("^(?P<yes>ja)|(?P<no>nej)", "nej", ("no",)),
        ("^(?P<yes>ja)?.*(?P<soon>snart)", "ja, snart", ("yes", "soon")),
        ("(?P<empty>)ja", "ja", ("empty",)),
    ],
)
def test_the_groups_that_matched(pattern: str, text: str, groups: tuple[str, ...] | None) -> None:
    assert Pattern(pattern).groups_in(text) == groups


def test_a_pattern_that_is_not_a_regular_expression() -> None:
    with pytest.raises(ValueError, match="^pattern is not a regular expression: missing .* at position 3$"):
        Pattern("(ja")


@pytest.mark.parametrize("value", [5, b"ja", ["ja"]])
def test_a_pattern_that_is_not_text(value: Any) -> None:
    with pytest.raises(ValueError, match=f"^pattern must be a string, not a value of type {type(value).__name__}$"):
        Pattern(value)


def test_a_search_without_end_is_ended() -> None:
    text = "a" * 40 + "!"
    with pytest.raises(IP1Error) as caught:
        Pattern("^(a|aa)+$").groups_in(text)
    assert str(caught.value) == (
        f"The search for the pattern was ended after {TIME_LIMIT} s. It backtracks too much on a text of "
        "41 characters. Avoid repetitions inside repetitions, such as (a+)+ or (a|ab)*."
    )
    assert text not in str(caught.value)
