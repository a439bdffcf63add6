# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.json_text import (
    UnreadableBody,
    check_json,
    kind_of,
    parse_json,
    replace_lone_surrogates,
    trimmed,
)
from tests.api.json_values import anything, assert_names, dumps

NOT_JSON = [
    b"",
    b"<html>hemligt</html>",
    b'{"id": "a", "body": "hemligt',
    b'{"id": "a", "body": "hemligt\xe5"}',
    b'{"id": "a", "price": NaN, "body": "hemligt"}',
    b'{"id": "a", "body": "hemligt\n"}',
    b'{"id": "a"} hemligt',
    b'{"id": "a", "x": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    b'{"id": "a", "x": ' + b'{"x":' * 1_000_000 + b"1" + b"}" * 1_000_000 + b"}",
]


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_not_json_is_unreadable(text: bytes) -> None:
    for read in (check_json, parse_json):
        with pytest.raises(UnreadableBody) as caught:
            read(text)
        assert_names(caught.value, "not JSON", f"{len(text)} bytes")


@pytest.mark.parametrize("text", ['"å"'.encode(), b'"x"', b" [1] "])
def test_json_in_utf8_passes(text: bytes) -> None:
    assert bytes(check_json(text)) == text.strip()


@given(anything)
def test_parses_what_python_can_represent(value: Any) -> None:
    text = dumps(value)
    parsed = parse_json(text)
    assert parse_json(dumps(parsed, allow_nan=False)) == parsed
    if b"1e400" not in text and b"9" * 5000 not in text:
        assert parsed == json.loads(text)


def test_a_number_that_python_cannot_represent_becomes_a_text() -> None:
    integer = "9" * 5000
    assert parse_json(f"[1e400, -1e400, {integer}, 1.5, 12]".encode()) == ["1e400", "-1e400", integer, 1.5, 12]


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return opening * depth + b"1" + closing * depth


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"x":', b"}"), (b"[2,", b",3]")])
def test_a_value_is_nested_at_most_100_levels_deep(opening: bytes, closing: bytes) -> None:
    parse_json(nested(100, opening, closing))
    for depth in (101, 500, 900, 990, 2000):
        with pytest.raises(UnreadableBody):
            parse_json(nested(depth, opening, closing))


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_only_lone_surrogates_are_replaced(text: str) -> None:
    sent = json.dumps({"x": text}).encode()
    cleaned = replace_lone_surrogates(sent)
    assert len(cleaned) == len(sent)
    assert json.loads(cleaned)["x"] == re.sub("[\ud800-\udfff]", "\ufffd", json.loads(sent)["x"])


@pytest.mark.parametrize(
    ("sent", "cleaned"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\uDE00x"', rb'"\ufffdx"'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\u00e5\n"', rb'"\u00e5\n"'),
    ],
)
def test_a_pair_and_an_escaped_backslash_stay(sent: bytes, cleaned: bytes) -> None:
    assert replace_lone_surrogates(sent) == cleaned


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"null", "null"),
        (b"true", "true or false"),
        (b"false", "true or false"),
        (b'"x"', "a text"),
        (b"[1]", "a list"),
        (b"{}", "an object"),
        (b"-1.5", "a number"),
        (b"7", "a number"),
    ],
)
def test_names_the_kind_of_a_value(raw: bytes, kind: str) -> None:
    assert kind_of(raw) == kind


def test_the_text_of_an_object_has_nothing_around_it() -> None:
    assert trimmed(b"\xef\xbb\xbf {} \r\n") == b"{}"
