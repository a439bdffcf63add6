# SPDX-License-Identifier: Apache-2.0
"""What the error says for each kind of field, in a message, a batch and a summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.api.decoding import decode_batch, decode_leniently, decode_message, decode_summary
from airflow_provider_ip1.api.json_fields import ADVICE, Fields
from airflow_provider_ip1.exceptions import IP1ResponseError


@pytest.mark.parametrize(
    ("read", "value", "problem"),
    [
        (Fields.text, 1.5, "is a number, not a text"),
        (Fields.int32, "many", "is a text, not a 32-bit integer"),
        (Fields.scalar, {}, "is an object, not a text or a number within range"),
        (Fields.flag, "yes", "is a text, not true or false"),
        (Fields.decimal, "dear", "is a text, not a decimal number within range"),
        (Fields.timestamp, "soon", "is a text, not a date and time (RFC 3339)"),
        (lambda fields, name: fields.objects(name, id), {}, "is an object, not a list"),
        (Fields.texts, [1], "is a list, not a list of texts"),
        (lambda fields, name: fields.object(name, id), [], "is a list, not an object"),
    ],
)
def test_the_error_says_what_was_expected(read: Callable[[Fields, str], Any], value: Any, problem: str) -> None:
    with pytest.raises(IP1ResponseError) as caught:
        read(Fields(json.dumps({"name": value}).encode(), "The thing"), "name")
    assert str(caught.value) == f"The thing cannot be read: its field name {problem}. {ADVICE}"


def test_the_error_says_where_a_nested_field_is() -> None:
    fields = Fields(b'{"inner": 1, "list": [{}, {"inner": 1}]}', "The thing", "outer.")
    with pytest.raises(IP1ResponseError, match=r"^The thing cannot be read: its field outer\.inner is a number"):
        fields.object("inner", id)
    with pytest.raises(IP1ResponseError, match=r"^The thing cannot be read: its field outer\.list\[1\]\.inner is "):
        fields.objects("list", lambda item: item.flag("inner"))


@pytest.mark.parametrize(
    ("decode", "value", "beginning"),
    [
        (decode_message, [], "A message cannot be read: it is a list, not an object."),
        (decode_batch, [], "A batch cannot be read: it is a list, not an object."),
        (decode_summary, [], "The summary of a conversation cannot be read: it is a list, not an object."),
        (decode_message, {"id": 5}, "A message cannot be read: its field id is a number, not a text."),
        (
            decode_message,
            {"id": "m" * 60, "body": []},
            f"Message '{'m' * 48}' cannot be read: its field body is a list",
        ),
        (decode_batch, {"id": "b" * 60, "tags": 1}, f"Batch '{'b' * 48}' cannot be read: its field tags is a number"),
        (
            decode_message,
            {"id": "m1", "statuses": [{"code": 201}, {}]},
            "Message 'm1' cannot be read: its field statuses[1].code is missing.",
        ),
        (
            decode_batch,
            {"id": "b1", "messageSummary": {"sent": {}}},
            "Batch 'b1' cannot be read: its field messageSummary has a key that is not a status code.",
        ),
        (
            decode_batch,
            {"id": "b1", "messageSummary": {"201": 5}},
            "Batch 'b1' cannot be read: its field messageSummary.* is a number, not an object.",
        ),
    ],
)
def test_the_error_says_what_the_field_belongs_to(decode: Callable[[bytes], Any], value: Any, beginning: str) -> None:
    with pytest.raises(IP1ResponseError) as caught:
        decode(json.dumps(value).encode())
    assert str(caught.value).startswith(beginning)


def test_lenient_decoding_derives_the_direction() -> None:
    raw = b'{"id": "m1", "sender": "46701740605", "recipient": "Salon", "modified": 5}'
    for text in (raw, raw.replace(b"5}", b'"2026-01-01T00:00:00Z"}')):
        assert decode_leniently(text, participant="+46 70 174 06 05")[0].direction == "mo"
        assert decode_leniently(text, direction="mt")[0].direction == "mt"
        assert decode_leniently(text)[0].direction is None
    assert decode_leniently(raw)[1] == {"modified": 5}
    assert decode_leniently(raw.replace(b"5}", b"null}"))[1] == {}
