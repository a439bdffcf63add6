# SPDX-License-Identifier: Apache-2.0
"""What is checked before an SMS is sent, and what the request then contains."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.sending import OutgoingBatch, check_limit, default_reference
from airflow_provider_ip1.exceptions import IP1Error, IP1ParticipantError
from tests.api.test_phone import NOT_A_NUMBER

NUMBER, OTHER = "46701740605", "46701740606"
TEXT = "A text that nobody may see"
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def outgoing(**arguments: Any) -> OutgoingBatch:
    return OutgoingBatch(**{"recipients": NUMBER, "body": TEXT, "sender": "iP1", "reference": "af-1"} | arguments)


def sent(**arguments: Any) -> dict[str, Any]:
    return json.loads(outgoing(**arguments).to_json())


def test_leaves_out_what_was_not_set() -> None:
    assert sent() == {
        "sender": "iP1",
        "recipients": [NUMBER],
        "body": TEXT,
        "type": "sms",
        "datacoding": "ucs",
        "priority": 1,
        "reference": "af-1",
    }


def test_sends_every_documented_field() -> None:
    whole = sent(
        recipients={NUMBER: {"name": "Ann"}, "default": {"name": "you"}},
        body="Hello {name} 😀",
        type="flash",
        datacoding="gsm",
        priority=2,
        delivery_windows=[{"opens": NOON, "closes": NOON + timedelta(hours=1)}],
        delivery_report_url="https://example.com/reports?token=1",
        tags=["invoice"],
    )
    assert whole == {
        "sender": "iP1",
        "recipients": {NUMBER: {"name": "Ann"}, "default": {"name": "you"}},
        "body": "Hello {name} 😀",
        "type": "flash",
        "datacoding": "gsm",
        "priority": 2,
        "deliveryWindows": [{"opens": "2026-11-01T12:00:00Z", "closes": "2026-11-01T13:00:00Z"}],
        "deliveryReportUrl": "https://example.com/reports?token=1",
        "reference": "af-1",
        "tags": ["invoice"],
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (NUMBER, [NUMBER]),
        (f" +46 70-174 06 05 ,{OTHER},", [NUMBER, OTHER]),
        ([OTHER, NUMBER, f"+{OTHER}"], [OTHER, NUMBER]),
        ((NUMBER,), [NUMBER]),
        ("1" * 15, ["1" * 15]),
        ("1" * 7, ["1" * 7]),
        ({NUMBER: {}}, {NUMBER: {}}),
        ({NUMBER: {"a": "1"}, f"+{NUMBER}": {"a": "1"}}, {NUMBER: {"a": "1"}}),
    ],
)
def test_normalizes_recipients_and_drops_duplicates(given: Any, expected: Any) -> None:
    assert sent(recipients=given)["recipients"] == expected


@pytest.mark.parametrize(
    "recipients",
    [
        "",
        " , ",
        [],
        {},
        {"default": {"name": "you"}},
        None,
        46701740605,
        [46701740605],
        b"46701740605",
        [NUMBER, ""],
        "iP1",
        [NUMBER, "Ann"],
        "1" * 16,
        {NUMBER: "Ann"},
        {NUMBER: {"name": 1}},
        {NUMBER: {"name": "Ann"}, f"+{NUMBER}": {"name": "Bo"}},
        {NUMBER: {}, "default": None},
        {NUMBER: {"name": "caf\udce9"}},
        {NUMBER: {"caf\udce9": "name"}},
        {NUMBER: {}, "default": {"name": "caf\udce9"}},
    ],
)
def test_rejects_recipients_that_iP1_would_not_accept(recipients: Any) -> None:
    with pytest.raises(ValueError, match="^recipients") as raised:
        outgoing(recipients=recipients)
    assert NUMBER not in str(raised.value)


@pytest.mark.parametrize(
    ("recipients", "problem"),
    [
        (7, r"recipients must be a string, a list of strings or a mapping, not int\."),
        ([NUMBER, 7], r"recipients: number 2 must be a string, not int\."),
        ([NUMBER, "0701740606"], r"recipients: number 2 has no country code"),
        ("46,701,740,606", "recipients: number 1 has only 2 digits"),
        (f"{NUMBER},50", "recipients: number 2 has only 2 digits"),
        ([NUMBER, "46 7017"], "recipients: number 2 has only 6 digits"),
        ({NUMBER: {}, "0046": {}}, "recipients: number 2 has only 2 digits"),
        ({NUMBER: {"name": 1}}, "recipients: the values of number 1 must be a mapping of strings to strings"),
        ({NUMBER: {}, "default": {"a": 1}}, "recipients: the values of default must be a mapping"),
        ({"default": {"a": "1"}, NUMBER: "Ann"}, "recipients: the values of number 2 must be a mapping"),
    ],
)
def test_the_error_says_which_recipient(recipients: Any, problem: str) -> None:
    with pytest.raises((ValueError, IP1ParticipantError), match=f"^{problem}") as raised:
        outgoing(recipients=recipients)
    assert "1740606" not in str(raised.value)


@pytest.mark.parametrize("written", NOT_A_NUMBER)
def test_only_what_is_clearly_one_number_is_a_recipient_or_a_sender(written: str) -> None:
    for recipients in ([OTHER, written], {OTHER: {}, written: {}}):
        with pytest.raises(ValueError, match="^recipients: number 2 (is not|has)"):
            outgoing(recipients=recipients)
    with pytest.raises(ValueError, match="^sender (is not|has|must)"):
        outgoing(sender=written)


@pytest.mark.parametrize(
    ("argument", "value", "problem"),
    [
        ("body", 7, "body must be a string, not int"),
        ("sender", None, "sender is missing"),
        ("sender", " ", "sender is missing"),
        ("sender", 7, "sender must be a string, not int"),
        ("sender", "0701740605", "sender has no country code"),
        ("reference", 7, "reference must be a string, not int"),
        ("tags", 7, "tags must be a list of strings, not int"),
        ("type", "mms", "type must be 'sms' or 'flash'"),
        ("delivery_windows", 7, "delivery_windows must be a list of mappings, not int"),
        ("delivery_windows", "soon", "delivery_windows must be a list of mappings, not str"),
        ("delivery_windows", [7], "delivery_windows: window 1 must be a mapping with 'opens'"),
    ],
)
def test_the_error_says_what_is_wrong(argument: str, value: Any, problem: str) -> None:
    with pytest.raises((ValueError, IP1ParticipantError), match=f"^{problem}"):
        outgoing(**{argument: value})


@pytest.mark.parametrize("sender", ["abc", "iP1", "A1b2C3d4E5F", "12", "1" * 15, "46701740606"])
def test_accepts_names_and_numbers_as_sender(sender: str) -> None:
    assert sent(sender=sender)["sender"] == sender


def test_normalizes_a_number_as_sender() -> None:
    assert sent(sender="+46 70 174 06 06")["sender"] == OTHER


@pytest.mark.parametrize("sender", [None, "", "  ", "ab", "A1b2C3d4E5F6", "Räksmör", "My shop", "1" * 16, 46701740605])
def test_rejects_other_senders(sender: Any) -> None:
    with pytest.raises(ValueError, match="sender"):
        outgoing(sender=sender)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "blank"),
        (" \n", "blank"),
        ("x" * 2001, "2001"),
        (None, "string"),
        ("caf\udce9", "half of a character"),
        ("\ud83d\ude00", "half of a character"),
    ],
)
def test_rejects_texts_that_iP1_would_not_accept(body: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"body .*{problem}"):
        outgoing(body=body)


def test_accepts_2000_characters() -> None:
    assert len(sent(body="x" * 2000)["body"]) == 2000


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("type", "mms"),
        ("type", "SMS"),
        ("datacoding", "utf8"),
        ("priority", 0),
        ("priority", "1"),
        ("priority", True),
        ("reference", ""),
        ("reference", "a\nb"),
        ("reference", 17),
        ("tags", "invoice"),
        ("tags", [""]),
        ("tags", [17]),
        ("delivery_report_url", "example.com"),
        ("delivery_report_url", "ftp://example.com"),
        ("delivery_report_url", "https://"),
        ("delivery_report_url", "https://[token"),
        ("delivery_report_url", "https://example.com/a b"),
        ("delivery_windows", "2026-11-01"),
        ("delivery_windows", {"opens": NOON}),
        ("delivery_windows", [NOON]),
        ("delivery_windows", [{"closes": NOON}]),
        ("delivery_windows", [{"opens": NOON, "until": NOON}]),
        ("delivery_windows", [{"opens": "soon"}]),
        ("delivery_windows", [{"opens": NOON, "closes": NOON}]),
        ("delivery_windows", [{"opens": "0001-01-01T00:00:00+05:00"}]),
    ],
)
def test_rejects_other_values(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=argument):
        outgoing(**{argument: value})


@pytest.mark.parametrize(
    ("opens", "expected"),
    [
        (NOON, "2026-11-01T12:00:00Z"),
        (datetime(2026, 11, 1, 12), "2026-11-01T12:00:00Z"),
        (datetime(2026, 11, 1, 13, tzinfo=timezone(timedelta(hours=1))), "2026-11-01T12:00:00Z"),
        ("2026-11-01T13:00:00+01:00", "2026-11-01T12:00:00Z"),
        ("2026-11-01 12:00", "2026-11-01T12:00:00Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        (NOON.replace(microsecond=500_000), "2026-11-01T12:00:00.500000Z"),
    ],
)
def test_sends_delivery_windows_in_utc(opens: Any, expected: str) -> None:
    assert sent(delivery_windows=[{"opens": opens, "closes": None}])["deliveryWindows"] == [{"opens": expected}]


def test_a_window_may_stay_open_and_times_without_zone_are_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        windows = sent(delivery_windows=[{"opens": "2026-11-01T12:00:00"}, {"opens": NOON}])["deliveryWindows"]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert windows == [{"opens": "2026-11-01T12:00:00Z"}] * 2


@pytest.mark.parametrize("closes", [None, ""])
def test_a_window_may_be_open_ended(closes: Any) -> None:
    windows = [{"opens": NOON, "closes": closes}]
    assert sent(delivery_windows=windows)["deliveryWindows"] == [{"opens": "2026-11-01T12:00:00Z"}]


def test_the_error_says_which_time_of_which_window() -> None:
    with pytest.raises(ValueError, match="^delivery_windows: window 2: closes: 'later' is not a time"):
        outgoing(delivery_windows=[{"opens": NOON}, {"opens": NOON, "closes": "later"}])


def test_a_missing_value_of_a_placeholder_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"recipient 2 has no value .* \(placeholder 2\)") as raised:
        outgoing(
            body="Dear {title} {surname}", recipients={NUMBER: {"title": "x", "surname": "y"}, OTHER: {"title": "x"}}
        )
    assert "surname" not in str(raised.value)


def test_a_default_excuses_only_its_own_placeholder() -> None:
    recipients = {NUMBER: {"name": "Ann"}, "default": {"title": "x"}}
    with pytest.raises(ValueError, match=r"\(placeholder 2\)"):
        outgoing(body="Dear {title} {surname}", recipients=recipients)


def test_braces_are_text_unless_recipients_have_values() -> None:
    assert sent(body="{not} a placeholder")["body"] == "{not} a placeholder"


def test_limits_the_recipients() -> None:
    batch = outgoing(recipients=[NUMBER, OTHER])
    batch.check_limits(max_recipients=2, max_segments=1)
    with pytest.raises(ValueError, match="max_recipients is 1, but there are 2 recipients. Nothing was sent. Raise"):
        batch.check_limits(max_recipients=1, max_segments=1)


def test_limits_the_longest_rendering() -> None:
    batch = outgoing(
        body="Hello {name}",
        recipients={NUMBER: {"name": "A"}, OTHER: {}, "default": {"name": "x" * 200}},
    )
    assert batch.segments == 2
    with pytest.raises(ValueError, match="max_segments is 1, but the longest text takes 2 SMS. Nothing was sent. S"):
        batch.check_limits(max_recipients=2, max_segments=1)
    with pytest.raises(ValueError, match="max_segments is 1, but the text takes 2 SMS"):
        outgoing(body="x" * 161).check_limits(max_recipients=1, max_segments=1)
    # The text alone would take two SMS, but no recipient gets more than one.
    assert outgoing(body="{name}" * 30, recipients={NUMBER: {"name": "abc"}}).segments == 1
    # A value is text, even if it looks like a placeholder.
    assert outgoing(body="{a}", recipients={NUMBER: {"a": "{a}"}}).segments == 1


@pytest.mark.parametrize("limit", [0, -1, True, None, "3", 1.5])
def test_rejects_limits_that_are_not_positive(limit: Any) -> None:
    with pytest.raises(ValueError, match="^max_segments must be a whole number from 1"):
        check_limit(limit, "max_segments")


TASK = ("production", "dag", "manual__2026-11-01", "send")


def test_the_default_reference_depends_on_the_task_and_the_recipients() -> None:
    reference = default_reference([NUMBER, OTHER], *TASK)
    assert re.fullmatch("af-[0-9a-f]{16}-[0-9a-f]{12}", reference)
    assert reference == default_reference([OTHER, NUMBER], *TASK)
    others = [
        default_reference(recipients, *task)
        for recipients, task in [
            ([NUMBER], TASK),
            ([NUMBER, OTHER], ("staging", "dag", "manual__2026-11-01", "send")),
            ([NUMBER, OTHER], (None, "dag", "manual__2026-11-01", "send")),
            ([NUMBER, OTHER], ("production", "dag2", "manual__2026-11-01", "send")),
            ([NUMBER, OTHER], ("production", "dag", "manual__2026-11-02", "send")),
            ([NUMBER, OTHER], ("production", "dag", "manual__2026-11-01", "send2")),
            ([NUMBER, OTHER], ("production", "dag", "manual__2026-11-01send", "")),
        ]
    ]
    assert len({reference, *others}) == 8
    assert [other[:20] == reference[:20] for other in others] == [True, *[False] * 6]


def test_a_batch_without_a_reference_gets_one() -> None:
    batch = outgoing(recipients=f"{OTHER},+{NUMBER}", reference=None, identity=TASK)
    assert batch.reference == default_reference([NUMBER, OTHER], *TASK)
    assert batch.covers_recipients and batch.reference_label == batch.reference
    assert outgoing(reference=None).reference != outgoing(reference=None).reference
    assert outgoing(reference=None).covers_recipients
    # What another task has returned, as the reference of this one.
    assert not outgoing(reference=batch.reference).covers_recipients
    assert not outgoing(reference="af-1").covers_recipients


def test_shows_neither_text_nor_numbers() -> None:
    batch = outgoing(sender=OTHER, delivery_report_url="https://example.com/?token=secret")
    for secret in (NUMBER, OTHER, TEXT, "token"):
        assert secret not in repr(batch)


values = st.text(max_size=20) | st.dictionaries(st.text(max_size=4), st.text())
anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=20), max_size=3)
    | st.dictionaries(st.text(max_size=20), values, max_size=3)
    | st.lists(st.dictionaries(st.sampled_from(["opens", "closes"]), st.datetimes() | st.text(max_size=9)), max_size=2)
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "recipients": anything | st.lists(st.from_regex(r"\+?[0-9 ]{1,17}", fullmatch=True), max_size=4),
            **dict.fromkeys(
                ["body", "sender", "reference", "type", "priority", "delivery_windows", "delivery_report_url", "tags"],
                anything,
            ),
        },
    )
)
def test_sends_a_valid_request_or_raises(arguments: dict[str, Any]) -> None:
    try:
        batch = outgoing(**arguments)
    except (ValueError, IP1ParticipantError) as error:
        assert not isinstance(error, UnicodeError)
        return
    request = json.loads(batch.to_json())
    numbers = [number for number in request["recipients"] if number != "default"]
    assert len(set(numbers)) == len(numbers) >= 1
    assert all(number.isdigit() and number.isascii() and len(number) <= 15 for number in numbers)
    assert batch.segments >= 1


def test_a_number_without_country_code_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(IP1Error, match="recipients: number 2") as raised:
        outgoing(recipients=[NUMBER, "070-174 06 06"])
    assert "070-174 06 06" not in str(raised.value)


@pytest.mark.parametrize("arguments", [{"text": "x"}, {"recipients": "46701740605"}, {"body": "x"}])
def test_takes_only_the_arguments_of_an_sms(arguments: dict[str, Any]) -> None:
    given = {"recipients": "46701740605", "body": "x", "sender": "iP1"} | arguments
    if "text" not in arguments:
        given = arguments
    with pytest.raises(TypeError, match="takes no unknown argument: check '(text|body|recipients)'"):
        OutgoingBatch(**given)
