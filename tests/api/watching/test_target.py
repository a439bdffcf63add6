# SPDX-License-Identifier: Apache-2.0
"""Which combinations of arguments select messages."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from airflow_provider_ip1.api.watching.target import Target, check_target
from airflow_provider_ip1.exceptions import IP1ParticipantError

NUMBER = "46701740609"
NAMES = ("participant", "batch_id", "message_id", "reference")
VALID = [
    {"batch_id", "message_id"},
    {"participant", "message_id"},
    {"participant", "reference"},
    {"batch_id"},
]


def test_exactly_four_combinations_select_messages() -> None:
    for size in range(len(NAMES) + 1):
        for names in combinations(NAMES, size):
            if set(names) in VALID:
                check_target(set(names))
                continue
            with pytest.raises(ValueError, match="Say which messages to watch") as caught:
                check_target(set(names))
            assert str(caught.value).endswith(f"Given: {', '.join(sorted(names)) or 'none of them'}.")


def test_values_are_normalized() -> None:
    assert Target(participant="+46 70-174 06 09", message_id=" m ") == Target(participant=NUMBER, message_id="m")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"batch_id": ""}, ValueError, "batch_id is empty"),
        ({"batch_id": "b", "message_id": 7}, ValueError, "message_id must be a string"),
        ({"participant": NUMBER, "reference": ""}, ValueError, "reference must be a string that is not empty"),
        ({"participant": NUMBER, "reference": 7}, ValueError, "reference must be a string that is not empty"),
        ({"participant": 7, "reference": "r"}, IP1ParticipantError, "must be a string"),
    ],
    ids=str,
)
def test_the_error_names_the_invalid_argument(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Target(**arguments)


@pytest.mark.parametrize(
    ("arguments", "text", "is_single_message"),
    [
        ({"batch_id": "b"}, "batch b", False),
        ({"batch_id": "b", "message_id": "m"}, "message m", True),
        ({"participant": NUMBER, "message_id": "m"}, "message m", True),
        ({"participant": NUMBER, "reference": "r"}, "messages with reference 'r'", False),
        ({"participant": NUMBER, "reference": NUMBER}, "messages with reference '46***09'", False),
    ],
    ids=str,
)
def test_its_text_contains_no_complete_number(arguments: dict[str, Any], text: str, is_single_message: bool) -> None:
    target = Target(**arguments)
    assert str(target) == text
    assert repr(target) == f"<Target: {text}>"
    assert target.is_single_message is is_single_message


def test_its_text_is_short() -> None:
    assert len(str(Target(participant=NUMBER, reference="x" * 5000))) < 100


def test_digests_differ_and_hide_the_number() -> None:
    targets = [
        Target(batch_id="b"),
        Target(batch_id="c"),
        Target(batch_id="b", message_id="b"),
        Target(participant=NUMBER, message_id="b"),
        Target(participant=NUMBER, reference="b"),
    ]
    digests = {target.digest for target in targets}
    assert len(digests) == len(targets)
    assert not any(NUMBER in digest for digest in digests)
