# SPDX-License-Identifier: Apache-2.0
"""Which patterns are accepted, and what they match."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

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
    with pytest.raises(ValueError, match="^pattern is not a regular expression in .* re: missing .* at position 0$"):
        Pattern("(ja")


@pytest.mark.parametrize(
    "pattern",
    [
        # approximate matches
        "(?P<yes>yes){e}", "(?:ja){i<=1}", "ja{e<=1:[a-z]}", "a{2i+2d+1s<=4}", "(?e)ja", "(?b)(?:ja){e}", "{e}", "a{e",
        "(?x) ja {e}",
        # what Python's re takes for something else
        "[[:alpha:]]", "[^[:^digit:]x]",
        # and the rest of what only the package regex knows
        r"\p{L}", r"\X", r"\R", r"\K", r"\L<words>", r"\G", r"\m", "(?|a|b)", "(?R)", "(?&name)", "(?V1)[a--b]",
        "(?r)ja", "(?P<a>x)(?P<a>y)", "(?<=a+)b", "(*FAIL)", "a{1}{2}", "(?w)a", "(?f)a", "(?p)a", "a(?i)b",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_what_pythons_re_does_not_know_is_rejected(pattern: str) -> None:
    with pytest.raises(ValueError, match="^pattern is not a regular expression in the syntax of Python's re: "):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^x{2}y{1,}z{,2}$", "xxyz"),
        (r"^\{e\}$", "{e}"),
        (r"^[{e}]+$", "{e}"),
        (r"^[]{e}]+$", "]{e}"),
        (r"^[^]{e}]+$", "abc"),
        (r"^[\]{e}]+$", "]{e}"),
        (r"^[:;]-?\)$", ":-)"),
        ("\\N{EM DASH}", "\N{EM DASH}"),
        (r"^(?>a)b++$", "abb"),
    ],
    ids=str,
)
def test_similar_patterns_are_accepted(pattern: str, text: str) -> None:
    assert Pattern(pattern).groups_in(text) == ()


@settings(max_examples=500)
@given(st.text("ab{}[]()e,12:^$|?*+.-P<=>i\\wd ", max_size=12), st.text("abe{}[]12:- ", max_size=8))
@example("(?:ab){e}", "b")
@example("[[:a]", "[")
def test_an_accepted_pattern_matches_what_pythons_re_matches(pattern: str, text: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        try:
            accepted = Pattern(pattern)
        except ValueError:
            return
        assert (accepted.groups_in(text) is None) == (re.search(pattern, text) is None)


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
