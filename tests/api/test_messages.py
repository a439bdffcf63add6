# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
import pickle
import traceback
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from importlib.resources import files
from types import MappingProxyType

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_ip1.api import decoding as module
from airflow_provider_ip1.api.decoding import UnreadableBody, decode_messages, read_timestamps
from airflow_provider_ip1.api.messages import (
    DOCUMENTED_FIELDS,
    DOCUMENTED_STATUS_FIELDS,
    ConversationSummary,
    Message,
    MessageStatus,
    StatusCount,
)
from airflow_provider_ip1.api.page_body import RawPage, split_page
from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.status import KNOWN_CODES
from airflow_provider_ip1.exceptions import IP1ResponseError
from airflow_provider_ip1.formats.jsonl import one_line

SCHEMA = json.loads(files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text())

PARTICIPANT = "46701740605"
OTHER_NUMBER = "46701740606"
ID = "5bcf4324f1a1d30d0c9a4a6b"

# Shape and spellings as in iP.1's documentation (schema of GetConversationMessages, and the page "Reading messages").
# The values are made up.
OUTGOING = f"""{{
    "id": "{ID}", "batchId": "5bcf4324f1a1d30d0c9a4a00", "owner": "ip1-12345", "sender": "iP1",
    "recipient": "{PARTICIPANT}", "body": "Välkommen 😀", "direction": 0, "segments": 2, "type": 1,
    "datacoding": 2, "priority": 1, "price": 0.10, "currency": "eur",
    "statuses": [{{"code": 201, "duration": 1, "created": "2018-10-23T17:43:19.1234567Z"}}],
    "modified": "2018-10-23T17:43:19Z", "reference": "order 17", "mcc": "240", "mnc": "01"
}}""".encode()


def parts_of(page):
    return page.ids, page.raws, page.modified


def outcome(read, *args, **kwargs):
    """What a call gives, or the error it ends in."""
    try:
        return read(*args, **kwargs)
    except IP1ResponseError as error:
        return type(error), str(error)


# --- Reading ---------------------------------------------------------------------------------------------------------


def test_the_documented_message():
    message = Message.from_json(OUTGOING, participant=PARTICIPANT)
    assert message == Message(
        id=ID,
        batch_id="5bcf4324f1a1d30d0c9a4a00",
        owner="ip1-12345",
        sender="iP1",
        recipient=PARTICIPANT,
        body="Välkommen 😀",
        direction="mt",
        segments=2,
        type="sms",
        datacoding="ucs",
        priority=1,
        price=Decimal("0.10"),
        currency="EUR",
        statuses=(MessageStatus(201, 1, datetime(2018, 10, 23, 17, 43, 19, 123456, UTC)),),
        modified=datetime(2018, 10, 23, 17, 43, 19, 0, UTC),
        reference="order 17",
        mcc="240",
        mnc="01",
        raw_json=OUTGOING,
    )
    assert str(message.price) == "0.10"
    assert message.status_code == 201
    assert message.status_category == "delivered"
    assert message.raw == json.loads(OUTGOING)
    assert message.extra_fields == {}


def test_absent_and_null_fields_are_none():
    absent = Message.from_json({"id": ID})
    null = Message.from_json({"id": ID} | dict.fromkeys(DOCUMENTED_FIELDS - {"id"}))
    for message in (absent, null):
        for name in set(Message.__struct_fields__) - {"id", "statuses", "raw_json"}:
            assert getattr(message, name) is None, name
        assert message.statuses == ()
        assert message.latest_status is message.status_code is message.status_category is None
        assert message.extra_fields == {}


def spelled(names: dict):
    """A strategy of (value as iP.1 may send it, value as it is read)."""
    return st.sampled_from(sorted(names.items(), key=repr)).flatmap(
        lambda item: (
            st.tuples(st.sampled_from([item[0].lower(), item[0].upper(), item[0].capitalize()]), st.just(item[1]))
            if isinstance(item[0], str)
            else st.just(item)
        )
    )


def unknown(strategy):
    return strategy.map(lambda value: (value, value))


@st.composite
def moments(draw):
    """An RFC 3339 time as .NET and others write it, and what it is in UTC."""
    moment = draw(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)))
    digits = draw(st.integers(0, 7))
    seven = f"{moment.microsecond:06d}{draw(st.integers(0, 9))}"
    fraction = f".{seven[:digits]}" if digits else ""
    moment = moment.replace(microsecond=int(seven[: min(digits, 6)].ljust(6, "0") or 0))
    minutes = draw(st.none() | st.sampled_from(["Z", "z"]) | st.integers(-14 * 60, 14 * 60))
    text = moment.strftime("%m-%dT%H:%M:%S")
    if draw(st.booleans()):
        text = text.replace("T", "t")
    text = f"{moment.year:04d}-{text}{fraction}"
    if minutes is None or isinstance(minutes, str):
        return text + (minutes or ""), moment.replace(tzinfo=UTC)
    hours, rest = divmod(abs(minutes), 60)
    zone = timezone(timedelta(minutes=minutes))
    return f"{text}{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}", moment.replace(tzinfo=zone).astimezone(UTC)


class WrittenNumber(float):
    """A number that json.dumps writes as it is spelled."""

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self):
        return self.text


def dumps(value, **options) -> bytes:
    # json.dumps writes a float by float.__repr__, so the spelled numbers go in as marked texts.
    def mark(item):
        if isinstance(item, WrittenNumber):
            return f"<number>{item.text}</number>"
        if isinstance(item, dict):
            return {name: mark(each) for name, each in item.items()}
        return [mark(each) for each in item] if isinstance(item, list) else item

    text = json.dumps(mark(value), **options)
    return text.replace('"<number>', "").replace('</number>"', "").encode()


texts = st.text(st.characters(codec="utf-8"), max_size=30)
names = st.sampled_from([PARTICIPANT, OTHER_NUMBER, f"+{PARTICIPANT}", "iP1", "Company name"])
decimals = st.from_regex(r"\A-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?\Z")
DIRECTIONS = {"mt": "mt", "mo": "mo"}
TYPES = {0: "flash", 1: "sms", "flash": "flash", "sms": "sms"}
DATACODINGS = {0: "gsm", 2: "ucs", "gsm": "gsm", "ucs": "ucs"}
PRIORITIES = {1: 1, 2: 2, "1": 1, "2": 2, "normal": 1, "high": 2}
int32 = st.integers(-(2**31), 2**31 - 1)

statuses = st.lists(
    st.tuples(int32, st.sampled_from([None, 0, 1, 2, "permanent"]), st.none() | moments()).map(
        lambda report: (
            {"code": report[0], "duration": report[1], "created": report[2] and report[2][0]},
            MessageStatus(report[0], report[1], report[2] and report[2][1]),
        )
    ),
    max_size=4,
).map(lambda reports: ([sent for sent, _ in reports], tuple(read for _, read in reports)))

READABLE = {
    "batchId": ("batch_id", unknown(texts)),
    "owner": ("owner", unknown(texts)),
    "sender": ("sender", unknown(names) | st.just((int(OTHER_NUMBER), OTHER_NUMBER))),
    "recipient": ("recipient", unknown(names)),
    "body": ("body", unknown(texts)),
    "direction": ("direction", spelled(DIRECTIONS) | unknown(st.just("sideways"))),
    "segments": ("segments", unknown(int32)),
    "type": ("type", spelled(TYPES) | unknown(st.sampled_from([7, "rcs", 1.5, True]))),
    "datacoding": ("datacoding", spelled(DATACODINGS) | unknown(st.sampled_from([1, "latin", False]))),
    "priority": ("priority", spelled(PRIORITIES) | unknown(st.sampled_from([3, "urgent"]))),
    "price": (
        "price",
        decimals.map(lambda text: (WrittenNumber(text), Decimal(text))) | decimals.map(lambda t: (t, Decimal(t))),
    ),
    "currency": ("currency", spelled({"eur": "EUR", "sek": "SEK"})),
    "statuses": ("statuses", statuses),
    "modified": ("modified", moments()),
    "reference": ("reference", unknown(texts)),
    "mcc": ("mcc", unknown(st.just("240")) | st.just((240, "240"))),
    "mnc": ("mnc", unknown(st.just("01")) | st.just((1, "1"))),
}

readable_messages = st.fixed_dictionaries({}, optional={name: st.none() | pair for name, (_, pair) in READABLE.items()})


@given(readable_messages, st.booleans(), st.sampled_from([None, 2]))
@settings(max_examples=300)
def test_every_combination_of_fields_is_read(fields, ascii_only, indent):
    sent = {"id": ID} | {name: pair and pair[0] for name, pair in fields.items()}
    read = {READABLE[name][0]: pair[1] for name, pair in fields.items() if pair is not None}
    raw = dumps(sent, ensure_ascii=ascii_only, indent=indent)
    message = Message.from_json(raw)
    assert message == Message(id=ID, raw_json=raw, **read)
    if "price" in read:
        assert str(message.price) == str(read["price"])
    assert pickle.loads(pickle.dumps(message)) == message  # noqa: S301


# Anything that may stand in a field, right or wrong.
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["", "1", "0.10", "MT", "2020-01-01", "2020-01-01T00:00:00", 10**30, 1.0, -0.0, "1_0", " 1", "١"])
    | decimals.map(WrittenNumber)
    | moments().map(lambda pair: pair[0]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "duration", "created", "x"]), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*sorted(DOCUMENTED_FIELDS), "unknown"]), anything, max_size=8),
    st.none() | st.just(PARTICIPANT),
    st.sampled_from([None, "mt", "mo"]),
)
@settings(max_examples=400)
@example({"price": WrittenNumber("1e99999999999999999999")}, None, None)
@example({"price": "NaN"}, None, None)
@example({"segments": 2**31}, None, None)
@example({"modified": "0001-01-01T00:00:00+05:00"}, None, None)
@example({"modified": "9999-12-31T23:59:59.9999999Z"}, None, None)
@example({"type": WrittenNumber("9" * 5000)}, None, None)
def test_the_fast_path_agrees_with_the_exact_one(fields, participant, direction):
    raw = dumps({"id": ID} | fields)
    address = None if participant is None else module._address(participant)
    exactly = outcome(module._read_exactly, raw, address, direction)
    assert outcome(Message.from_json, raw, participant=participant, direction=direction) == exactly
    if isinstance(exactly, Message):
        assert read_timestamps(split_page(b"[" + raw + b"]").modified) == [exactly.modified]


def test_a_page_is_read_in_order_with_unusual_messages_in_it():
    usual = {"id": "a", "segments": 1, "modified": "2020-01-01T00:00:00Z"}
    unusual = {"id": "b", "segments": "2", "modified": "2020-01-02T00:00:00z", "type": True}
    body = json.dumps([usual, unusual, usual | {"id": "c"}]).encode()
    ids, raws, modified = parts_of(split_page(body))
    messages = decode_messages(raws)
    assert [message.id for message in messages] == ids == ["a", "b", "c"]
    assert [message.segments for message in messages] == [1, 2, 1]
    assert read_timestamps(modified) == [message.modified for message in messages]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-10-23T17:43:19Z", datetime(2018, 10, 23, 17, 43, 19)),
        # As the blacklist's example has it: no zone.
        ("2019-11-01T16:32:18.253", datetime(2019, 11, 1, 16, 32, 18, 253000)),
        ("2018-10-23t17:43:19z", datetime(2018, 10, 23, 17, 43, 19)),
        ("2018-10-23T19:43:19.5+02:00", datetime(2018, 10, 23, 17, 43, 19, 500000)),
        ("2018-10-23T17:43:19.9999999Z", datetime(2018, 10, 23, 17, 43, 19, 999999)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1)),
    ],
)
def test_times(text, moment):
    message = Message.from_json({"id": ID, "modified": text})
    assert message.modified == moment.replace(tzinfo=UTC)
    assert message.modified.utcoffset() == timedelta(0)


@pytest.mark.parametrize("direction", [0, 1, 7, "0", "", None, True])
def test_a_direction_without_a_name_comes_from_the_endpoint_or_the_addresses(direction):
    sent = {"id": ID, "sender": "iP1", "recipient": PARTICIPANT, "direction": direction}
    received = {"id": ID, "sender": PARTICIPANT, "recipient": OTHER_NUMBER, "direction": direction}
    assert Message.from_json(sent, participant="+46 70-174 06 05").direction == "mt"
    assert Message.from_json(received, participant=f"00{PARTICIPANT}").direction == "mo"
    assert Message.from_json(sent, participant="IP1").direction == "mo"
    assert Message.from_json(sent, participant=PARTICIPANT, direction="mo").direction == "mo"
    assert Message.from_json(sent, participant=OTHER_NUMBER).direction is None
    assert Message.from_json(sent).direction is None
    to_self = sent | {"sender": PARTICIPANT}
    assert Message.from_json(to_self, participant=PARTICIPANT).direction is None


def test_a_direction_by_name_wins():
    sent = {"id": ID, "sender": "iP1", "recipient": PARTICIPANT, "direction": "MO"}
    assert Message.from_json(sent, participant=PARTICIPANT, direction="mt").direction == "mo"


def test_a_direction_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="direction must be"):
        decode_messages([], direction="out")


def status(code, created):
    return MessageStatus(code, None, created and datetime(2020, 1, created, tzinfo=UTC))


@pytest.mark.parametrize(
    ("reports", "latest"),
    [
        ([(201, 3), (111, 2), (101, 1)], 201),
        ([(101, 1), (111, 2), (201, 3)], 201),
        ([(111, 1), (201, 1)], 201),
        ([(111, None), (201, None)], 201),
        ([(111, 2), (201, None)], 201),
        ([(111, 2), (201, None), (101, 1)], 201),
        ([(111, None), (201, 1)], 201),
    ],
)
def test_the_latest_status_is_the_one_created_last(reports, latest):
    message = Message(ID, statuses=tuple(status(*report) for report in reports))
    assert message.status_code == latest


# --- Errors ----------------------------------------------------------------------------------------------------------

SECRET = f"hemligt {OTHER_NUMBER}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, value) for field in ("batchId", "owner", "sender", "recipient", "body") for value in ([SECRET], 1.5)],
        *[(field, [SECRET]) for field in ("direction", "type", "datacoding", "priority", "reference", "mcc", "mnc")],
        *[("segments", value) for value in (SECRET, [SECRET], 1.5, True, 2**31, WrittenNumber("1e0"))],
        *[("price", value) for value in (SECRET, "", "NaN", "1_0", " 1", "١", [SECRET], {"a": SECRET}, True)],
        *[("price", WrittenNumber("1e99999999999999999999"))],
        ("currency", {"a": SECRET}),
        *[("modified", value) for value in (SECRET, "", "2020-13-01T00:00:00Z", "2020-01-01", 1577836800, [SECRET])],
        ("modified", "0001-01-01T00:00:00+05:00"),
        *[("statuses", value) for value in (SECRET, {"code": 201}, 201, True)],
    ],
)
def test_an_error_names_field_and_id_and_not_the_content(field, value):
    raw = dumps({"id": ID, "body": SECRET, field: value})
    with pytest.raises(IP1ResponseError) as caught:
        decode_messages([raw])
    assert_names(caught.value, ID, field)
    assert not isinstance(caught.value, UnreadableBody)


@pytest.mark.parametrize(
    ("report", "field"),
    [
        (SECRET, "statuses[1]"),
        ({}, "statuses[1].code"),
        ({"code": SECRET}, "statuses[1].code"),
        ({"code": None}, "statuses[1].code"),
        ({"code": 201, "created": SECRET}, "statuses[1].created"),
        ({"code": 201, "duration": [SECRET]}, "statuses[1].duration"),
    ],
)
def test_an_error_in_a_status_names_its_position(report, field):
    with pytest.raises(IP1ResponseError) as caught:
        Message.from_json({"id": ID, "body": SECRET, "statuses": [{"code": 101}, report]})
    assert_names(caught.value, ID, field)


def test_an_unreadable_modified_names_field_and_id():
    with pytest.raises(IP1ResponseError) as caught:
        Message.from_json(dumps({"id": ID, "body": SECRET, "modified": SECRET}))
    assert_names(caught.value, ID, "modified")


@given(st.lists(moments().map(lambda pair: pair[0]) | anything, max_size=4))
@example([WrittenNumber("20200101")])
@example(["2020-01-01T00:00:00Z", None])
@example(["2020-01-01T00:00:00Z", "2020-W01-1", "soon"])
def test_times_of_a_page_agree_with_those_of_its_messages(values):
    body = dumps([{"id": ID, "modified": value} for value in values])
    expected = []
    for raw in split_page(body).raws:
        read = outcome(module._read_exactly, bytes(raw), None, None)
        expected.append(read.modified if isinstance(read, Message) else None)
    assert read_timestamps(split_page(body).modified) == expected


@pytest.mark.parametrize("value", ["", None, 17, [SECRET], {"a": SECRET}, True])
def test_an_id_that_is_none(value):
    for read in (Message.from_json, lambda raw: split_page(b'[{"id": "a"}, ' + raw + b"]")):
        with pytest.raises(IP1ResponseError) as caught:
            read(dumps({"id": value, "body": SECRET}))
        assert_names(caught.value, "id")
    assert "position 1" in str(caught.value)
    with pytest.raises(IP1ResponseError):
        Message.from_json({"body": SECRET})


def assert_names(error, *parts):
    for part in parts:
        assert part in str(error)
    shown = "".join(traceback.format_exception(error)) + repr(error)
    # The chain too: some decoders' errors hold the whole text.
    link = error
    while link is not None:
        shown += repr(link) + repr(vars(link))
        link = link.__cause__ or link.__context__
    assert "hemligt" not in shown
    assert OTHER_NUMBER not in shown


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"17", b"true"])
def test_json_that_is_no_object_is_no_message(raw):
    with pytest.raises(IP1ResponseError) as caught:
        Message.from_json(raw)
    assert not isinstance(caught.value, UnreadableBody)
    with pytest.raises(IP1ResponseError):
        ConversationSummary.from_json(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>hemligt</html>",
        b'{"id": "a", "body": "hemligt',
        b'{"id": "a", "body": "hemligt\xe5"}',
        b'{"id": "a", "price": NaN, "body": "hemligt"}',
        b'{"id": "a", "body": "hemligt\n"}',
        b'{"id": "a"} hemligt',
        b'{"id": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json_is_unreadable(raw):
    for read in (
        Message.from_json,
        ConversationSummary.from_json,
        split_page,
        lambda raw: split_page(b"[0, " + raw + b"]"),
    ):
        with pytest.raises(UnreadableBody) as caught:
            read(raw)
        assert_names(caught.value, "no JSON")


# --- Pages -----------------------------------------------------------------------------------------------------------

rows = st.fixed_dictionaries({"id": st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), "x": anything})


@given(
    st.lists(rows, max_size=5),
    st.sampled_from([None, 0, 1, "\t"]),
    st.sampled_from([(",", ":"), (" , ", " : ")]),
    st.booleans(),
    st.sampled_from([b"", b"\r\n "]),
)
@settings(max_examples=300)
def test_a_page_is_taken_apart_byte_for_byte(page, indent, separators, byte_order_mark, around):
    parts = [dumps(row, indent=indent, separators=separators) for row in page]
    body = around + b"[" + around + (around + b"," + around).join(parts) + around + b"]" + around
    ids, raws, _ = parts_of(split_page(b"\xef\xbb\xbf" + body if byte_order_mark else body))
    assert ids == [row["id"] for row in page]
    assert [bytes(raw) for raw in raws] == parts


@given(st.lists(rows, max_size=3), st.data())
def test_a_page_that_was_cut_is_unreadable(page, data):
    body = dumps(page, ensure_ascii=False) if not any("\\ud" in json.dumps(row) for row in page) else dumps(page)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    with pytest.raises(UnreadableBody):
        split_page(cut)


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b'"x"', b"0", b"true", b'{"title": "x"}', b'[["id"]]', b"[null]", b'["id"]']
)
def test_json_that_is_no_list_of_messages(body):
    with pytest.raises(IP1ResponseError) as caught:
        split_page(body)
    assert not isinstance(caught.value, UnreadableBody)


def test_an_empty_page():
    assert split_page(b" [ ] ") == RawPage([], [], [])


def test_a_page_that_is_not_utf8_is_unreadable_even_where_no_field_is_read():
    with pytest.raises(UnreadableBody):
        split_page('[{"id": "a", "x": "å"}]'.encode("latin-1"))


def test_of_a_name_given_twice_the_last_counts():
    body = b'[{"id": "a", "segments": 1, "id": "b", "segments": 2}]'
    ids, raws, _ = parts_of(split_page(body))
    message = decode_messages(raws)[0]
    assert ids == [message.id] == ["b"]
    assert message.segments == message.raw["segments"] == 2
    assert message.raw_json == body[1:-1]


def test_half_a_utf16_pair_is_read_and_kept():
    row = rb'{"id": "a", "body": "x\ud83d", "other": "\ude00"}'
    ids, raws, _ = parts_of(split_page(b'[{"id": "first"}, ' + row + b" ]"))
    assert ids == ["first", "a"]
    assert bytes(raws[1]) == row
    message = decode_messages(raws)[1]
    assert message.body == "x\ufffd"
    assert message.raw["body"] == "x\ud83d"
    assert message.raw_json == row
    assert Message.from_json({"id": "a", "body": "x\ud83d"}).raw["body"] == "x\ud83d"
    # A whole pair is one character.
    assert Message.from_json(rb'{"id": "a", "body": "\ud83d\ude00"}').body == "😀"


@given(rows, st.sampled_from([None, 0, 3]))
def test_one_line_changes_white_space_only(row, indent):
    raw = dumps(row, indent=indent)
    line = one_line(raw)
    assert b"\n" not in line
    assert line == (raw if indent is None else dumps(row, separators=(",", ":")))


def test_one_line_keeps_what_is_written_twice_or_unusually():
    raw = b'{ "a" : 1.50,\r\n "a" : 1E+2, "b c" : "\\u0041 \\" \\\\" }'
    assert one_line(raw) == b'{"a":1.50,"a":1E+2,"b c":"\\u0041 \\" \\\\"}'
    half_a_pair = b'{ "a" : 1.50,\n "b c" : "\\ud83d \\" \\\\" }'
    assert one_line(half_a_pair) == b'{"a":1.50,"b c":"\\ud83d \\" \\\\"}'


# --- What is kept ----------------------------------------------------------------------------------------------------


def test_unknown_fields_are_kept():
    raw = json.loads(OUTGOING) | {"direction": "mt", "tags": ["a"], "price2": 0.1}
    message = Message.from_json(raw)
    assert message.extra_fields == {"tags": ["a"], "price2": 0.1}
    assert message.raw == raw


def test_what_could_not_be_typed_is_kept():
    reports = [{"code": 101}, {"code": 201, "operator": "x"}]
    message = Message.from_json({"id": ID, "direction": 0, "statuses": reports})
    assert message.direction is None
    assert message.extra_fields == {"direction": 0, "statuses": [{}, {"operator": "x"}]}


@given(st.dictionaries(st.sampled_from(["a", "b", "tags"]), anything))
def test_extra_fields_hold_every_unknown_field(extra):
    raw = dumps({"id": ID, "direction": "mo"} | extra)
    assert Message.from_json(raw).extra_fields == {name: json.loads(raw)[name] for name in extra}


def test_a_message_as_a_dictionary():
    message = Message.from_json(OUTGOING, participant=PARTICIPANT)
    fields = message.to_dict()
    assert json.loads(json.dumps(fields)) == fields
    status = {"code": 201, "duration": 1, "created": "2018-10-23T17:43:19.123456Z"}
    assert fields == {
        "id": ID,
        "batch_id": "5bcf4324f1a1d30d0c9a4a00",
        "owner": "ip1-12345",
        "sender": "iP1",
        "recipient": PARTICIPANT,
        "body": "Välkommen 😀",
        "direction": "mt",
        "segments": 2,
        "type": "sms",
        "datacoding": "ucs",
        "priority": 1,
        "price": "0.10",
        "currency": "EUR",
        "statuses": [status],
        "modified": "2018-10-23T17:43:19Z",
        "reference": "order 17",
        "mcc": "240",
        "mnc": "01",
        "latest_status": status,
        "status_code": 201,
        "status_category": "delivered",
    }
    assert Message("a").to_dict().keys() == fields.keys()


@given(readable_messages)
def test_every_message_as_a_dictionary_is_json(fields):
    message = Message.from_json(dumps({"id": ID} | {name: pair and pair[0] for name, pair in fields.items()}))
    converted = message.to_dict()
    assert json.loads(json.dumps(converted, allow_nan=False)) == converted


def test_raw_is_the_callers_to_change():
    message = Message.from_json(OUTGOING)
    message.raw["id"] = "other"
    assert message.raw["id"] == ID


def test_any_mapping_and_text_are_read():
    fields = {"id": ID, "price": Decimal("0.10"), "modified": datetime(2020, 1, 1, tzinfo=UTC)}
    message = Message.from_json(MappingProxyType(fields))
    assert str(message.price) == "0.10"
    assert message.modified == fields["modified"]
    assert (
        Message.from_json(OUTGOING.decode()) == Message.from_json(memoryview(OUTGOING)) == Message.from_json(OUTGOING)
    )
    assert Message.from_json(b"\xef\xbb\xbf" + OUTGOING + b"\r\n").raw_json == OUTGOING


def test_messages_are_values():
    message, same = Message.from_json(OUTGOING), Message.from_json(OUTGOING)
    assert message == same
    assert len({message, same}) == 1
    assert copy.deepcopy(message) == message
    with pytest.raises(AttributeError):
        message.body = "x"
    with pytest.raises(AttributeError):
        message.latest_status.code = 101
    with pytest.raises(AttributeError):
        message.note = "x"


# --- Personal data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", sorted(DOCUMENTED_FIELDS - {"id", "statuses"}))
@pytest.mark.parametrize("secret", [SECRET, OTHER_NUMBER, f"+{OTHER_NUMBER}", int(OTHER_NUMBER)])
def test_no_repr_and_no_error_shows_body_or_number(field, secret):
    reports = [{"code": 201, "duration": secret}]
    read = outcome(Message.from_json, {"id": ID, "statuses": reports, field: secret})
    if isinstance(read, Message):
        shown = [repr(read), str(read), f"{[read]}", repr(read.__rich_repr__()), repr(read.latest_status)]
    else:
        shown = [read[1]]
    for text in shown:
        assert OTHER_NUMBER not in text
        # The name of a sender or recipient is no secret; only a number in it is.
        if field not in ("sender", "recipient"):
            assert "hemligt" not in text


def test_a_repr_helps_to_find_the_message():
    shown = repr(Message.from_json(OUTGOING, participant=PARTICIPANT))
    for part in (ID, "mt", "iP1", "46***05", "201", "2018-10-23T17:43:19"):
        assert part in shown


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (PARTICIPANT, "46***05"),
        ("+46 70-174 06 05", "46***05"),
        ("070-174 06 05", "07***05"),
        ("(070) 174 06 05", "07***05"),
        ("71210", "71***10"),
        ("1177", "***"),
        ("iP1", "iP1"),
        ("Company name", "Company name"),
        ("Bank24", "Bank24"),
        (f"no route to {PARTICIPANT}, {OTHER_NUMBER}", "no route to 46***05, 46***06"),
        ("", ""),
    ],
)
def test_mask_number(text, masked):
    assert mask_number(text) == masked


# --- Summary ---------------------------------------------------------------------------------------------------------

# The fields are those of iP.1's page "Conversations"; the values are made up.
SUMMARY = {
    "participant": PARTICIPANT,
    "totalMessageCount": 6,
    "totalSmsCount": 9,
    "mobileTerminatedMessages": {"101": {"messages": 1, "sms": 2}, "201": {"messages": 3, "sms": 4}},
    "mobileOriginatedMessages": {"201": {"messages": 2, "sms": 3}},
}


def test_summary():
    raw = json.dumps(SUMMARY).encode()
    summary = ConversationSummary.from_json(raw)
    assert summary == ConversationSummary(
        participant=PARTICIPANT,
        total_messages=6,
        total_sms=9,
        mobile_terminated={101: StatusCount(1, 2), 201: StatusCount(3, 4)},
        mobile_originated={201: StatusCount(2, 3)},
        raw_json=raw,
    )
    assert summary.raw == SUMMARY
    assert pickle.loads(pickle.dumps(summary)) == summary  # noqa: S301
    assert ConversationSummary.from_json(SUMMARY).raw == SUMMARY
    assert PARTICIPANT not in repr(summary)
    assert PARTICIPANT not in str(summary)
    assert "46***05" in repr(summary)


def test_a_summary_with_nothing_in_it():
    empty = ConversationSummary.from_json(b"{}")
    assert empty.participant is empty.total_messages is empty.total_sms is None
    assert empty.mobile_terminated == empty.mobile_originated == {}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"totalMessageCount": SECRET}, "totalMessageCount"),
        ({"totalSmsCount": [SECRET]}, "totalSmsCount"),
        ({"participant": [SECRET]}, "participant"),
        ({"mobileTerminatedMessages": [SECRET]}, "mobileTerminatedMessages"),
        ({"mobileTerminatedMessages": {SECRET: {}}}, "mobileTerminatedMessages"),
        ({"mobileTerminatedMessages": {OTHER_NUMBER: SECRET}}, "mobileTerminatedMessages"),
        ({"mobileOriginatedMessages": {"201": {"messages": SECRET}}}, "mobileOriginatedMessages.*.messages"),
    ],
)
def test_a_summary_that_cannot_be_read(fields, name):
    with pytest.raises(IP1ResponseError) as caught:
        ConversationSummary.from_json(SUMMARY | fields)
    assert_names(caught.value, name)


# --- The documented schema -------------------------------------------------------------------------------------------


def test_the_fields_are_those_of_the_schema():
    documented = SCHEMA["items"]["properties"]
    assert documented.keys() == DOCUMENTED_FIELDS
    assert documented["statuses"]["items"]["properties"].keys() == DOCUMENTED_STATUS_FIELDS
    assert SCHEMA["x-source"].startswith("https://docs.ip1sms.com/")


def test_the_message_of_these_tests_is_a_documented_one():
    jsonschema.validate([json.loads(OUTGOING)], SCHEMA)


@pytest.mark.parametrize(
    ("field", "attribute", "read"),
    [
        ("type", "type", {"flash", "sms"}),
        ("datacoding", "datacoding", {"gsm", "ucs"}),
        ("priority", "priority", {1, 2}),
    ],
)
def test_every_documented_enum_value_has_a_meaning(field, attribute, read):
    values = SCHEMA["items"]["properties"][field]["enum"]
    assert {getattr(Message.from_json({"id": ID, field: value}), attribute) for value in values} == read


def test_every_documented_status_is_read():
    for code in sorted(KNOWN_CODES):
        assert Message.from_json({"id": ID, "statuses": [{"code": code}]}).status_code == code
