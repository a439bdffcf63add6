# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given, settings, strategies as st

from airflow_provider_ip1.api import decoding
from airflow_provider_ip1.api.decoding import (
    decode_documented,
    decode_leniently,
    decode_message,
    decode_messages,
    decode_summary,
    undocumented_names,
)
from airflow_provider_ip1.api.json_text import UnreadableBody
from airflow_provider_ip1.api.messages import (
    DOCUMENTED_FIELDS,
    ConversationSummary,
    Message,
    MessageStatus,
    StatusCount,
)
from airflow_provider_ip1.api.routes import normalize_address
from airflow_provider_ip1.exceptions import IP1ResponseError
from tests.api.json_values import (
    ID,
    OTHER_NUMBER,
    OUTGOING,
    PARTICIPANT,
    SECRET,
    WrittenNumber,
    addresses,
    anything,
    assert_names,
    decimals,
    dumps,
    int32s,
    outcome,
    texts,
    timestamps,
)
from tests.api.test_json_text import NOT_JSON

# --- Values ----------------------------------------------------------------------------------------------------------


def test_the_documented_message():
    message = decode_message(OUTGOING, participant=PARTICIPANT)
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
    absent = decode_message(dumps({"id": ID}))
    null = decode_message(dumps({"id": ID} | dict.fromkeys(DOCUMENTED_FIELDS - {"id"})))
    for message in (absent, null):
        for name in set(Message.__struct_fields__) - {"id", "statuses", "raw_json"}:
            assert getattr(message, name) is None, name
        assert message.statuses == ()
        assert message.latest_status is message.status_code is message.status_category is None
        assert message.extra_fields == {}


def spelled(names: dict):
    """A strategy of pairs: a value as iP.1 may send it, and as it is decoded."""
    return st.sampled_from(sorted(names.items(), key=repr)).flatmap(
        lambda item: (
            st.tuples(st.sampled_from([item[0].lower(), item[0].upper(), item[0].capitalize()]), st.just(item[1]))
            if isinstance(item[0], str)
            else st.just(item)
        )
    )


def unknown(strategy):
    return strategy.map(lambda value: (value, value))


DIRECTIONS = {"mt": "mt", "mo": "mo"}
TYPES = {0: "flash", 1: "sms", "flash": "flash", "sms": "sms"}
DATACODINGS = {0: "gsm", 2: "ucs", "gsm": "gsm", "ucs": "ucs"}
PRIORITIES = {1: 1, 2: 2, "1": 1, "2": 2, "normal": 1, "high": 2}

statuses = st.lists(
    st.tuples(int32s, st.sampled_from([None, 0, 1, 2, "permanent"]), st.none() | timestamps()).map(
        lambda report: (
            {"code": report[0], "duration": report[1], "created": report[2] and report[2][0]},
            MessageStatus(report[0], report[1], report[2] and report[2][1]),
        )
    ),
    max_size=4,
).map(lambda reports: ([sent for sent, _ in reports], tuple(read for _, read in reports)))

SENT_AND_DECODED = {
    "batchId": ("batch_id", unknown(texts)),
    "owner": ("owner", unknown(texts)),
    "sender": ("sender", unknown(addresses) | st.just((int(OTHER_NUMBER), OTHER_NUMBER))),
    "recipient": ("recipient", unknown(addresses)),
    "body": ("body", unknown(texts)),
    "direction": ("direction", spelled(DIRECTIONS) | unknown(st.just("sideways"))),
    "segments": ("segments", unknown(int32s)),
    "type": ("type", spelled(TYPES) | unknown(st.sampled_from([7, "rcs", 1.5, True]))),
    "datacoding": ("datacoding", spelled(DATACODINGS) | unknown(st.sampled_from([1, "latin", False]))),
    "priority": ("priority", spelled(PRIORITIES) | unknown(st.sampled_from([3, "urgent"]))),
    "price": (
        "price",
        decimals.map(lambda text: (WrittenNumber(text), Decimal(text))) | decimals.map(lambda t: (t, Decimal(t))),
    ),
    "currency": ("currency", spelled({"eur": "EUR", "sek": "SEK"})),
    "statuses": ("statuses", statuses),
    "modified": ("modified", timestamps()),
    "reference": ("reference", unknown(texts)),
    "mcc": ("mcc", unknown(st.just("240")) | st.just((240, "240"))),
    "mnc": ("mnc", unknown(st.just("01")) | st.just((1, "1"))),
}

readable_messages = st.fixed_dictionaries(
    {}, optional={name: st.none() | pair for name, (_, pair) in SENT_AND_DECODED.items()}
)


@given(readable_messages, st.booleans(), st.sampled_from([None, 2]))
@settings(max_examples=300)
def test_every_combination_of_fields_is_decoded(fields, ascii_only, indent):
    sent = {"id": ID} | {name: pair and pair[0] for name, pair in fields.items()}
    read = {SENT_AND_DECODED[name][0]: pair[1] for name, pair in fields.items() if pair is not None}
    raw = dumps(sent, ensure_ascii=ascii_only, indent=indent)
    message = decode_message(raw)
    assert message == Message(id=ID, raw_json=raw, **read)
    if "price" in read:
        assert str(message.price) == str(read["price"])
    assert pickle.loads(pickle.dumps(message)) == message  # noqa: S301


# Anything that may stand in a field, right or wrong.


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
def test_both_paths_agree(fields, participant, direction):
    raw = dumps({"id": ID} | fields)
    other_side = None if participant is None else normalize_address(participant)
    fast = decoding._decode_fast(raw, other_side, direction)
    by_field = outcome(decoding._decode_by_field, raw, other_side, direction)
    if fast is not None:
        assert fast == by_field
    assert outcome(decode_message, raw, participant=participant, direction=direction) == by_field


@given(st.dictionaries(st.sampled_from([*sorted(DOCUMENTED_FIELDS), "unknown"]), anything, max_size=8))
@settings(max_examples=300)
def test_decoding_leniently_sets_aside_exactly_what_is_an_error_otherwise(fields):
    message, odd = decode_leniently(dumps({**fields, "id": ID}))
    assert message.id == ID
    assert list(odd) == sorted(odd)
    for name, value in fields.items():
        if name == "id":
            continue
        alone = outcome(decode_message, dumps({"id": ID, name: value}))
        assert isinstance(alone, Message) == (name not in odd)
        if name in odd:
            assert odd[name] == decode_message(dumps({"id": ID, "unknown": value})).raw["unknown"]
    rest = {name: value for name, value in fields.items() if name not in odd}
    assert message.to_dict() == decode_message(dumps({**rest, "id": ID})).to_dict()


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'{"id": ""}', b'{"id": 7}', b"not JSON"])
def test_decoding_leniently_needs_an_object_with_an_id(raw):
    with pytest.raises(IP1ResponseError):
        decode_leniently(raw)


@pytest.mark.parametrize(
    ("field", "sent", "decoded"),
    [
        *[("type", sent, "flash") for sent in (0, "0", "flash", "FLASH")],
        *[("type", sent, "sms") for sent in (1, "1", "sms", "Sms")],
        *[("datacoding", sent, "gsm") for sent in (0, "0", "gsm", "GSM")],
        *[("datacoding", sent, "ucs") for sent in (2, "2", "ucs", "UCS")],
        *[("priority", sent, 1) for sent in (1, "1", "normal", "Normal")],
        *[("priority", sent, 2) for sent in (2, "2", "high", "HIGH")],
    ],
)
def test_every_spelling_of_an_enum_value(field, sent, decoded):
    message = decode_message(dumps({"id": ID, field: sent}))
    assert message.to_dict()[field] == decoded


def test_unusual_messages_keep_their_place():
    usual = {"id": "a", "segments": 1, "modified": "2020-01-01T00:00:00Z"}
    unusual = {"id": "b", "segments": "2", "modified": "2020-01-02T00:00:00z", "type": True}
    messages = decode_messages([dumps(fields) for fields in (usual, unusual, usual | {"id": "c"})])
    assert [message.id for message in messages] == ["a", "b", "c"]
    assert [message.segments for message in messages] == [1, 2, 1]


@pytest.mark.parametrize("direction", [0, 1, 7, "0", "", None, True])
def test_a_direction_without_a_name_comes_from_the_endpoint_or_the_addresses(direction):
    sent = dumps({"id": ID, "sender": "iP1", "recipient": PARTICIPANT, "direction": direction})
    received = dumps({"id": ID, "sender": PARTICIPANT, "recipient": OTHER_NUMBER, "direction": direction})
    assert decode_message(sent, participant="+46 70-174 06 05").direction == "mt"
    assert decode_message(received, participant=f"00{PARTICIPANT}").direction == "mo"
    assert decode_message(sent, participant="IP1").direction == "mo"
    assert decode_message(sent, participant=PARTICIPANT, direction="mo").direction == "mo"
    assert decode_message(sent, participant=OTHER_NUMBER).direction is None
    assert decode_message(sent).direction is None
    to_self = dumps({"id": ID, "sender": PARTICIPANT, "recipient": PARTICIPANT, "direction": direction})
    assert decode_message(to_self, participant=PARTICIPANT).direction is None


def test_a_direction_by_name_wins():
    sent = dumps({"id": ID, "sender": "iP1", "recipient": PARTICIPANT, "direction": "MO"})
    assert decode_message(sent, participant=PARTICIPANT, direction="mt").direction == "mo"


def test_half_a_utf16_pair_is_replaced_in_the_text_and_kept_in_raw():
    row = rb'{"id": "a", "body": "x\ud83d", "other": "\ude00"}'
    message = decode_message(row)
    assert message.body == "x\ufffd"
    assert message.raw["body"] == "x\ud83d"
    assert message.raw_json == row
    # A whole pair is one character.
    assert decode_message(rb'{"id": "a", "body": "\ud83d\ude00"}').body == "😀"


def test_any_bytes_are_read():
    assert decode_message(memoryview(OUTGOING)) == decode_message(OUTGOING)
    assert decode_message(b"\xef\xbb\xbf" + OUTGOING + b"\r\n").raw_json == OUTGOING


# --- Documented or not -----------------------------------------------------------------------------------------------


def test_a_documented_message_has_no_undocumented_names():
    assert decode_documented(OUTGOING) is not None
    assert undocumented_names(OUTGOING) == set()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"tags": ["a"], "campaign": None}, {"tags", "campaign"}),
        (
            {"statuses": [{"code": 201, "gateway": 1}, {"code": 1, "operator": 2}]},
            {"statuses[].gateway", "statuses[].operator"},
        ),
        ({"segments": "two"}, set()),
        ({"statuses": "none"}, set()),
        ({"statuses": [SECRET, 7, None]}, set()),
        ({"body": "x\ud83d", "Body": "x"}, {"Body"}),
    ],
)
def test_undocumented_names(changes, names):
    raw = dumps(json.loads(OUTGOING) | changes)
    assert decode_documented(raw) is None
    assert undocumented_names(raw) == names


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, value) for field in ("batchId", "owner", "sender", "recipient", "body") for value in ([SECRET], 1.5)],
        *[(field, [SECRET]) for field in ("direction", "type", "datacoding", "priority", "reference", "mcc", "mnc")],
        *[("segments", value) for value in (SECRET, [SECRET], 1.5, True, 2**31, "00012", "null")],
        *[("price", value) for value in (SECRET, "", "NaN", "1_0", " 1", "١", [SECRET], {"a": SECRET}, True)],
        ("price", WrittenNumber("1e99999999999999999999")),
        *[(field, WrittenNumber("9" * 5000)) for field in ("sender", "segments", "type", "mcc")],
        ("type", WrittenNumber("1e400")),
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
        decode_message(dumps({"id": ID, "body": SECRET, "statuses": [{"code": 101}, report]}))
    assert_names(caught.value, ID, field)


@pytest.mark.parametrize("value", ["", None, 17, [SECRET], {"a": SECRET}, True])
def test_an_unusable_id_is_an_error(value):
    with pytest.raises(IP1ResponseError) as caught:
        decode_message(dumps({"id": value, "body": SECRET}))
    assert_names(caught.value, "field id")
    with pytest.raises(IP1ResponseError):
        decode_message(dumps({"body": SECRET}))


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"17", b"true"])
def test_json_that_is_not_an_object_is_an_error(raw):
    with pytest.raises(IP1ResponseError) as caught:
        decode_message(raw)
    assert not isinstance(caught.value, UnreadableBody)
    with pytest.raises(IP1ResponseError):
        decode_summary(raw)


@pytest.mark.parametrize("raw", NOT_JSON)
def test_what_is_not_json_is_unreadable(raw):
    for read in (decode_message, decode_summary):
        with pytest.raises(UnreadableBody) as caught:
            read(raw)
        assert_names(caught.value, "not JSON")


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
    summary = decode_summary(raw)
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
    assert PARTICIPANT not in str(summary)
    assert repr(summary) == (
        "ConversationSummary(participant='46***05', total_messages=6, total_sms=9, "
        "mobile_terminated={101: StatusCount(messages=1, sms=2), 201: StatusCount(messages=3, sms=4)}, "
        "mobile_originated={201: StatusCount(messages=2, sms=3)})"
    )


def test_a_summary_with_nothing_in_it():
    empty = decode_summary(b"{}")
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
        ({"mobileTerminatedMessages": {"201.0": {}}}, "mobileTerminatedMessages"),
        ({"mobileTerminatedMessages": {"9" * 5000: {}}}, "mobileTerminatedMessages"),
        ({"mobileOriginatedMessages": {"201": {"messages": SECRET}}}, "mobileOriginatedMessages.*.messages"),
    ],
)
def test_a_summary_that_cannot_be_read(fields, name):
    with pytest.raises(IP1ResponseError) as caught:
        decode_summary(dumps(SUMMARY | fields))
    assert_names(caught.value, name)
