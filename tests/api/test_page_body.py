# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings, strategies as st

from airflow_provider_ip1.api.decoding import decode_messages
from airflow_provider_ip1.api.json_text import UnreadableBody
from airflow_provider_ip1.api.page_body import RawPage, split_page
from airflow_provider_ip1.api.timestamps import read_timestamps
from airflow_provider_ip1.exceptions import IP1ResponseError
from tests.api.json_values import SECRET, anything, assert_names, dumps
from tests.api.test_json_text import NOT_JSON

rows = st.fixed_dictionaries(
    {"id": st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), "x": anything},
    optional={"modified": anything},
)


@given(
    st.lists(rows, max_size=5),
    st.sampled_from([None, 0, 1, "\t"]),
    st.sampled_from([(",", ":"), (" , ", " : ")]),
    st.booleans(),
    st.sampled_from([b"", b"\r\n "]),
)
@settings(max_examples=300)
def test_a_page_is_split_byte_for_byte(page, indent, separators, byte_order_mark, around):
    parts = [dumps(row, indent=indent, separators=separators) for row in page]
    body = around + b"[" + around + (around + b"," + around).join(parts) + around + b"]" + around
    split = split_page(b"\xef\xbb\xbf" + body if byte_order_mark else body)
    assert split.ids == [row["id"] for row in page]
    assert [bytes(raw) for raw in split.raws] == parts


@given(st.lists(rows, max_size=3), st.data())
def test_a_page_that_is_truncated_is_unreadable(page, data):
    body = dumps(page, ensure_ascii=False) if not any("\\ud" in json.dumps(row) for row in page) else dumps(page)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    with pytest.raises(UnreadableBody):
        split_page(cut)


@pytest.mark.parametrize("body", NOT_JSON)
def test_a_body_that_is_not_json_is_unreadable(body):
    for sent in (body, b"[0, " + body + b"]"):
        with pytest.raises(UnreadableBody) as caught:
            split_page(sent)
        assert_names(caught.value, "not JSON")


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b'"x"', b"0", b"true", b'{"title": "x"}', b'[["id"]]', b"[null]", b'["id"]']
)
def test_json_that_is_not_a_list_of_messages(body):
    with pytest.raises(IP1ResponseError) as caught:
        split_page(body)
    assert not isinstance(caught.value, UnreadableBody)


@pytest.mark.parametrize("value", ["", None, 17, [SECRET], {"a": SECRET}, True])
def test_an_unusable_id_is_an_error_that_names_the_position(value):
    with pytest.raises(IP1ResponseError) as caught:
        split_page(b'[{"id": "a"}, ' + dumps({"id": value, "body": SECRET}) + b"]")
    assert_names(caught.value, "position 1", "[1].id")


def test_an_empty_page():
    assert split_page(b" [ ] ") == RawPage([], [], [], status_codes=[])


def test_a_page_that_is_not_utf8_is_unreadable_even_in_a_field_that_is_not_read():
    with pytest.raises(UnreadableBody):
        split_page('[{"id": "a", "x": "å"}]'.encode("latin-1"))


def test_the_last_of_a_repeated_name_counts():
    body = b'[{"id": 1, "segments": "x", "id": "b", "segments": 2}]'
    page = split_page(body)
    message = decode_messages(page.raws)[0]
    assert page.ids == [message.id] == ["b"]
    assert message.segments == message.raw["segments"] == 2
    assert message.raw_json == body[1:-1]


def test_half_a_utf16_pair_stays_in_the_bytes():
    row = rb'{"id": "a", "body": "x\ud83d", "other": "\ude00"}'
    page = split_page(b'[{"id": "first\\ud83d"}, ' + row + b" ]")
    assert page.ids == ["first\ufffd", "a"]
    assert bytes(page.raws[1]) == row


def test_equal_messages_are_split_at_their_own_positions():
    row = rb'{"id":"a","x":"\ud83d"}'
    assert split_page(b"[" + row + b" , " + row + b"]").raws == [row, row]


@pytest.mark.parametrize("value", [17, None, ["2020-01-01T00:00:00Z"], "soon", True])
def test_an_unreadable_time_is_none_and_keeps_the_page(value):
    page = split_page(dumps([{"id": "a", "modified": value}, {"id": "b", "modified": "2020-01-02T00:00:00z"}]))
    assert page.ids == ["a", "b"]
    assert read_timestamps(page.modified) == [None, decode_messages(page.raws[1:])[0].modified]


@given(st.lists(rows, max_size=4))
def test_times_of_a_page_are_those_of_its_messages(page):
    split = split_page(dumps(page))
    for raw, time in zip(split.raws, read_timestamps(split.modified), strict=True):
        try:
            assert decode_messages([raw])[0].modified == time
        except IP1ResponseError:
            assert time is None


@given(st.lists(st.none() | st.integers(0, 999) | st.just([]) | st.just([201, 102]), max_size=4))
def test_the_code_of_a_message_with_one_status_is_read(codes):
    statuses = [codes_of if isinstance(codes_of, list) else [codes_of] for codes_of in codes if codes_of is not None]
    page = [{"id": str(number), "statuses": [{"code": code} for code in each]} for number, each in enumerate(statuses)]
    page.append({"id": "without statuses"})
    expected = [each[0] if len(each) == 1 else None for each in statuses]
    assert split_page(dumps(page)).status_codes == [*expected, None]


@given(anything)
@example(None)
@example([{"code": "201"}])
@example([{"code": 201}, None])
def test_undocumented_statuses_do_not_keep_a_page_from_being_split(statuses):
    split = split_page(dumps([{"id": "a", "statuses": [{"code": 201}]}, {"id": "b", "statuses": statuses}]))
    assert split.ids == ["a", "b"]
    assert not split.status_codes or split.status_codes[0] == 201
