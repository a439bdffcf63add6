# SPDX-License-Identifier: Apache-2.0
"""What a template may render, and what tasks reject of it, at once and before any request."""

from __future__ import annotations

import logging
from collections import UserList
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest

from airflow_provider_ip1.compat import AirflowFailException
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.template_values import (
    list_or_none,
    numbers_or_none,
    required_text,
    text_or_none,
    time_or_none,
)
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.transfers.messages_to_wasb import MessagesToWasbOperator
from dev import stack

OTHER = "46701740606"
log = logging.getLogger("template-values")

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        datetime(2026, 11, 1, 12),  # noqa: DTZ001 - a time without zone is the point
        datetime(2026, 11, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        pendulum.datetime(2026, 11, 1, 13, tz="Europe/Stockholm"),
        "2026-11-01T12:00:00Z",
        "2026-11-01T12:00:00+00:00",
        "2026-11-01 12:00:00+00:00",  # as templates render a datetime
        "2026-11-01T13:00:00+01:00",
        "2026-11-01T12:00:00",
        "20261101T120000",  # ts_nodash
        " 2026-11-01T12:00Z ",
    ],
)
def test_readable_times(value: Any) -> None:
    assert time_or_none(value, "since") == NOON


def test_a_date_means_midnight_utc() -> None:
    assert time_or_none("2026-11-01", "since") == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_blank_values_mean_not_set(value: Any) -> None:
    assert time_or_none(value, "since") is None


# -- what tasks make of values that cannot be meant


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to a server that is not there, so that the first request would fail in another way."""
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection("http://127.0.0.1:1", max_attempts=1))


def with_defaults(arguments: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {"task_id": "t", **defaults, **arguments}


def send_sms(**arguments: Any) -> Any:
    return SendSmsOperator(**with_defaults(arguments, {"recipients": MAIN, "body": "Hello", "sender": "iP1"}))


def wait_for_status(**arguments: Any) -> Any:
    return MessageStatusSensor(**with_defaults(arguments, {"soft_fail": True, "never_fail": False}))


def wait_for_status_never_failing(**arguments: Any) -> Any:
    return MessageStatusSensor(**with_defaults(arguments, {"never_fail": True}))


def wait_for_status_deferrably(**arguments: Any) -> Any:
    return MessageStatusSensor(**with_defaults(arguments, {"soft_fail": True, "deferrable": True}))


def wait_for_reply(**arguments: Any) -> Any:
    return IncomingSmsSensor(**with_defaults(arguments, {"participant": MAIN, "soft_fail": True}))


def export_conversation(**arguments: Any) -> Any:
    return ConversationToS3Operator(
        **with_defaults(arguments, {"participant": MAIN, "s3_key": "k.jsonl", "s3_bucket": "b"})
    )


def export_account(**arguments: Any) -> Any:
    return MessagesToS3Operator(**with_defaults(arguments, {"s3_key": "k.jsonl", "s3_bucket": "b"}))


def export_to_azure(**arguments: Any) -> Any:
    return MessagesToWasbOperator(**with_defaults(arguments, {"blob_name": "k.jsonl", "container_name": "lake"}))


BRACES = "{{ params.x }}"
# What a required and an optional argument reject.
OPTIONAL: list[Any] = ["None", " None\n", BRACES, f"4670{BRACES}", 1.5, True, b"46701740605"]
REQUIRED: list[Any] = [None, "", "  ", *OPTIONAL]

CASES: list[tuple[Callable[..., Any], dict[str, Any], str, list[Any]]] = [
    (send_sms, {}, "recipients", [*REQUIRED, [], {}]),
    (lambda recipient: send_sms(recipients=[OTHER, recipient]), {}, "recipients: number 2", REQUIRED),
    (lambda recipient: send_sms(recipients={OTHER: {}, recipient: {}}), {}, "recipients: number 2", REQUIRED),
    (
        lambda value: send_sms(recipients={OTHER: {"a": value}}, body="{a}"),
        {},
        "recipients: number 1: a value|recipients: the values of number 1",
        [None, "None", 1.5, True],
    ),
    (lambda recipient: send_sms(recipients=[OTHER, {"recipient": recipient}]), {}, "recipients: number 2", REQUIRED),
    (lambda _: send_sms(recipients=[{"number": OTHER}]), {}, "recipients: number 1", [None]),
    (send_sms, {}, "delivery_report_url", ["None", f"https://x/{BRACES}", 1.5]),
    (send_sms, {}, "body", [None, "", "  ", "None", " None\n", 1.5, True, b"x", "caf\udce9"]),
    (send_sms, {}, "sender", OPTIONAL),
    (send_sms, {}, "reference", OPTIONAL),
    (send_sms, {}, "tags", OPTIONAL),
    (lambda tag: send_sms(tags=["a", tag]), {}, "tags: tag 2", REQUIRED),
    (send_sms, {}, "delivery_windows", OPTIONAL),
    (lambda opens: send_sms(delivery_windows=[{"opens": opens}]), {}, "delivery_windows: window 1", REQUIRED),
    (
        lambda closes: send_sms(delivery_windows=[{"opens": "2026-11-01", "closes": closes}]),
        {},
        "delivery_windows: window 1",
        OPTIONAL,
    ),
    (send_sms, {}, "ip1_conn_id", REQUIRED),
    *[
        (task, given, name, [value for value in REQUIRED if value is not None])
        for task in (wait_for_status, wait_for_status_never_failing, wait_for_status_deferrably)
        for given, name in (
            ({}, "batch_id"),
            ({"batch_id": "b"}, "message_id"),
            ({"message_id": "m"}, "participant"),
            ({"participant": MAIN}, "reference"),
            ({"batch_id": "b"}, "ip1_conn_id"),
        )
    ],
    (wait_for_status, {"batch_id": "b"}, "expected_count", OPTIONAL),
    # The constructor takes a literal None for anyone.
    (wait_for_reply, {}, "participant", [value for value in REQUIRED if value is not None]),
    (wait_for_reply, {}, "since", OPTIONAL),
    (wait_for_reply, {}, "ip1_conn_id", REQUIRED),
    (export_conversation, {}, "participant", [*REQUIRED, []]),
    (lambda who: export_conversation(participant=[OTHER, who]), {}, "participant 2", REQUIRED),
    *[
        (task, {}, name, values)
        for task in (export_conversation, export_account)
        for name, values in (
            ("s3_key", REQUIRED),
            ("s3_bucket", OPTIONAL),
            ("direction", OPTIONAL),
            ("since", OPTIONAL),
            ("until", OPTIONAL),
            ("ip1_conn_id", REQUIRED),
            ("aws_conn_id", [value for value in REQUIRED if value is not None]),
        )
    ],
    *[
        (export_to_azure, {}, name, values)
        for name, values in (("blob_name", REQUIRED), ("container_name", OPTIONAL), ("wasb_conn_id", REQUIRED))
    ],
]


@pytest.mark.parametrize(
    ("task", "given", "name", "value"),
    [
        pytest.param(task, given, name, value, id=f"{getattr(task, '__name__', 'task')}-{name}-{value!r}")
        for task, given, name, values in CASES
        for value in values
    ],
)
def test_a_value_that_cannot_be_meant_fails_the_task_at_once(
    no_server: None, task: Callable[..., Any], given: dict[str, Any], name: str, value: Any
) -> None:
    operator = task(**given, **{name: value}) if name.isidentifier() else task(value)
    with pytest.raises(ValueError, match=f"^({name})") as raised:
        operator.execute({})
    assert isinstance(raised.value, AirflowFailException)
    assert MAIN not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: send_sms(max_segments=0), "max_segments"),
        (lambda: wait_for_status(batch_id="b", require="both"), "require"),
        (lambda: wait_for_reply(pattern="("), "pattern"),
        (lambda: export_conversation(on_empty="never"), "on_empty"),
        (lambda: export_account(page_size=0), "page_size"),
    ],
)
def test_a_constructor_rejects_a_value_in_the_same_way(make: Callable[[], Any], name: str) -> None:
    """In a mapped task, it gets values that other tasks return, and runs in each try."""
    with pytest.raises(ValueError, match=f"^{name}") as raised:
        make()
    assert isinstance(raised.value, AirflowFailException)


def test_a_native_none_does_not_select_other_messages(no_server: None) -> None:
    sensor = MessageStatusSensor(task_id="t", batch_id="b", message_id=BRACES)
    sensor.message_id = None  # as native rendering does
    with pytest.raises(ValueError, match="^message_id is blank"):
        sensor.execute({})


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_optional_value_that_is_missing_takes_its_default(value: Any) -> None:
    assert text_or_none(value, "sender") is None
    assert numbers_or_none(value, "recipients", log) is None
    assert list_or_none(value, "tags", "tag") is None


def test_integers_become_digits() -> None:
    assert text_or_none(46701740605, "sender") == "46701740605"
    assert numbers_or_none(46701740605, "recipients", log) == "46701740605"
    assert numbers_or_none([46701740605, "46701740606"], "recipients", log) == ["46701740605", "46701740606"]
    assert numbers_or_none({46701740605: {"n": 7, "x": ""}, "default": {"n": "1"}}, "recipients", log) == {
        "46701740605": {"n": "7", "x": ""},
        "default": {"n": "1"},
    }
    with pytest.raises(ValueError, match="number 2 is there twice"):
        numbers_or_none({46701740605: {"n": 7}, "46701740605": {"n": 8}}, "recipients", log)


def test_a_list_of_mappings_stands_for_a_mapping() -> None:
    listed = [{"recipient": 46701740605, "n": 7}, "46701740606", {"recipient": "default", "n": "1"}]
    assert numbers_or_none(listed, "recipients", log) == [
        {"recipient": "46701740605", "n": "7"},
        "46701740606",
        {"recipient": "default", "n": "1"},
    ]


class MappedResult(UserList[Any]):
    """What a mapped task returned: a sequence that is not a list."""


def test_what_a_mapped_task_returned_is_a_list() -> None:
    mappings = [{"recipient": "46701740605", "n": "7"}, {"recipient": "46701740606", "n": "8"}]
    for values in (mappings, ["46701740605", "46701740606"]):
        assert numbers_or_none(MappedResult(values), "recipients", log) == values


def test_the_error_about_a_key_says_that_airflow_does_not_render_it(no_server: None) -> None:
    with pytest.raises(ValueError, match="does not render the keys of a mapping. Pass a list of mappings"):
        send_sms(recipients={BRACES: {"name": "Ann"}}, body="{name}").execute({})


def test_braces_in_a_text_can_be_meant(caplog: pytest.LogCaptureFixture) -> None:
    assert required_text("Use {{ x }}", "body", may_have_braces=log) == "Use {{ x }}"
    assert numbers_or_none({MAIN: {"a": "{{"}}, "recipients", log) == {MAIN: {"a": "{{"}}
    assert [record.getMessage().split(" contains")[0] for record in caplog.records] == [
        "body",
        "recipients: number 1: a value",
    ]


@pytest.mark.parametrize("text", ["['46701740605']", "('46701740605',)", "{'46701740605': {}}", ' ["46701740605"]'])
def test_a_list_that_became_text_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match="render_template_as_native_obj"):
        numbers_or_none(text, "recipients", log)
