# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.messages import (
    DOCUMENTED_FIELDS,
    DOCUMENTED_STATUS_FIELDS,
    Message,
    MessageStatus,
)
from airflow_provider_ip1.api.status import KNOWN_CODES
from tests.api.json_values import ID, OTHER_NUMBER, OUTGOING, PARTICIPANT, SECRET, anything, dumps, outcome

SCHEMA = json.loads(files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text())

# --- Status ----------------------------------------------------------------------------------------------------------


def status(code, created):
    day = created if isinstance(created, datetime) else created and datetime(2020, 1, created, tzinfo=UTC)
    return MessageStatus(code, None, day)


YEAR_1, YEAR_2099 = datetime(1, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


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
        # The times do not decide, but nothing is pending after a final status.
        ([(201, 2), (111, None)], 201),
        ([(201, None), (111, 1)], 201),
        ([(201, None), (111, None)], 201),
        ([(202, 1), (201, None)], 201),
        # Their times do.
        ([(201, 1), (111, 2)], 111),
        ([(201, 1), (202, 2), (111, None)], 202),
        ([], None),
    ],
)
@pytest.mark.parametrize("unreadable", [None, YEAR_1, datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)], ids=str)
def test_the_latest_status_is_the_one_created_last(reports, latest, unreadable):
    message = Message(ID, statuses=tuple(status(code, created or unreadable) for code, created in reports))
    assert message.status_code == latest
    assert getattr(message.latest_status_until(YEAR_2099), "code", None) == latest


@pytest.mark.parametrize("positions", [(0, 1), (1, 0)])
@pytest.mark.parametrize("impossible", [YEAR_1, YEAR_2099], ids=str)
@pytest.mark.parametrize("wrong_code", [112, 201])
def test_a_status_with_an_impossible_time_neither_hides_a_delivery_nor_is_hidden(positions, impossible, wrong_code):
    good = status(313 - wrong_code, 1)
    reports = [status(wrong_code, impossible), good]
    message = Message(ID, statuses=tuple(reports[position] for position in positions))
    assert message.latest_status_until(datetime(2020, 2, 1, tzinfo=UTC)).code == 201


# --- What is kept ----------------------------------------------------------------------------------------------------


def test_unknown_fields_are_kept():
    raw = json.loads(OUTGOING) | {"direction": "mt", "tags": ["a"], "price2": 0.1}
    message = decode_message(dumps(raw))
    assert message.extra_fields == {"tags": ["a"], "price2": 0.1}
    assert message.raw == raw


def test_a_value_without_an_attribute_is_kept():
    reports = [{"code": 101}, {"code": 201, "operator": "x"}]
    message = decode_message(dumps({"id": ID, "direction": 0, "statuses": reports}))
    assert message.direction is None
    assert message.extra_fields == {"direction": 0, "statuses": [{}, {"operator": "x"}]}


@given(st.dictionaries(st.sampled_from(["a", "b", "tags"]), anything))
def test_extra_fields_hold_every_unknown_field(extra):
    message = decode_message(dumps({"id": ID, "direction": "mo"} | extra))
    assert message.extra_fields == {name: message.raw[name] for name in extra}


def test_changing_raw_changes_no_message():
    message = decode_message(OUTGOING)
    message.raw["id"] = "other"
    assert message.raw["id"] == ID


def test_raw_holds_numbers_that_python_cannot_represent_as_texts():
    integer = "9" * 5000
    message = decode_message(f'{{"id": "a", "x": 1e400, "y": {integer}}}'.encode())
    assert message.raw == {"id": "a", "x": "1e400", "y": integer}
    assert json.loads(json.dumps(message.extra_fields, allow_nan=False)) == {"x": "1e400", "y": integer}


def test_messages_are_values():
    message, same = decode_message(OUTGOING), decode_message(OUTGOING)
    assert message == same
    assert len({message, same}) == 1
    assert copy.deepcopy(message) == message
    with pytest.raises(AttributeError):
        message.body = "x"
    with pytest.raises(AttributeError):
        message.latest_status.code = 101
    with pytest.raises(AttributeError):
        message.note = "x"


def test_a_message_as_a_dictionary():
    message = decode_message(OUTGOING, participant=PARTICIPANT)
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


@given(st.dictionaries(st.sampled_from(sorted(DOCUMENTED_FIELDS - {"id"})), anything))
def test_every_message_as_a_dictionary_is_json(fields):
    message = outcome(decode_message, dumps({"id": ID} | fields))
    if isinstance(message, Message):
        converted = message.to_dict()
        assert json.loads(json.dumps(converted, allow_nan=False)) == converted


# --- Personal data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", sorted(DOCUMENTED_FIELDS - {"id", "statuses"}))
@pytest.mark.parametrize("secret", [SECRET, OTHER_NUMBER, f"+{OTHER_NUMBER}", int(OTHER_NUMBER)])
def test_no_repr_and_no_error_shows_body_or_number(field, secret):
    reports = [{"code": 201, "duration": secret}]
    read = outcome(decode_message, dumps({"id": ID, "statuses": reports, field: secret}))
    if isinstance(read, Message):
        shown = [repr(read), str(read), f"{[read]}", repr(read.__rich_repr__()), repr(read.latest_status)]
    else:
        shown = [read[1]]
    for text in shown:
        assert OTHER_NUMBER not in text
        # The name of a sender or recipient is not a secret. Only a number in it is.
        if field not in ("sender", "recipient"):
            assert "hemligt" not in text


@pytest.mark.parametrize(("duration", "shown"), [(None, "None"), (0, "0"), (1, "1"), (2, "'...'"), ("x", "'...'")])
def test_a_repr_shows_only_documented_durations(duration, shown):
    assert f"duration={shown}," in repr(MessageStatus(201, duration))


def test_a_repr_helps_to_find_the_message():
    message = decode_message(OUTGOING, participant=PARTICIPANT)
    assert repr(message) == (
        f"Message(id='{ID}', direction='mt', sender='iP1', recipient='46***05', status_code=201, "
        "modified='2018-10-23T17:43:19+00:00')"
    )
    assert repr(message.latest_status) == (
        "MessageStatus(code=201, duration=1, created='2018-10-23T17:43:19.123456+00:00')"
    )


@pytest.mark.parametrize(("direction", "shown"), [("mo", "'mo'"), (None, "None"), ("46701740605", "'...'")])
def test_a_repr_shows_only_documented_directions(direction, shown):
    assert f"direction={shown}," in repr(Message(id=ID, direction=direction))


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
    assert {getattr(decode_message(dumps({"id": ID, field: value})), attribute) for value in values} == read


def test_every_documented_status_is_read():
    for code in sorted(KNOWN_CODES):
        assert decode_message(dumps({"id": ID, "statuses": [{"code": code}]})).status_code == code
