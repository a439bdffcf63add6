# SPDX-License-Identifier: Apache-2.0
"""
Every templated field of every operator, sensor and notifier, with and without ``render_template_as_native_obj=True``.

Native rendering makes an integer of digits. To each class, it has to mean the same as the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.notifications.ip1 import IP1Notifier
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from dev import stack
from tests.airflow_names import DAG

#: What templates find. Native rendering makes an integer of each of them.
PARAMS = {
    "number": "46701740605",
    "other": "46701740606",
    "digits": "17",
    "day": "20261101",
    "next_day": "20261102",
    "code": "201",
    "other_code": "405",
}
NUMBER, OTHER, DIGITS, DAY, NEXT_DAY, CODE, OTHER_CODE = (f"{{{{ params.{name} }}}}" for name in PARAMS)


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection whose id is the digits, to a server that is not there."""
    monkeypatch.setenv("AIRFLOW_CONN_17", stack.ip1_connection("http://127.0.0.1:1", max_attempts=1))


# What each class makes of its rendered arguments, with the ids of the connections that it looks up.


def sent(task: SendSmsOperator) -> Any:
    return task._check(None).to_json(), task.hook.ip1_conn_id


def watched(task: Any) -> Any:
    wait = task._make_wait({}).to_dict()
    return {name: value for name, value in wait.items() if name not in TIMES}, task.ip1_conn_id


TIMES = ("deadline", "started_at", "known_at")


def exported(task: Any) -> Any:
    options: list[Any] = []

    class Reached(BaseException):
        pass

    def export(given: Any, reader: Any, hook: IP1Hook, store: Any, *_: Any) -> Any:
        participants = getattr(reader, "participants", None)
        connections = (hook.ip1_conn_id, store._s3.aws_conn_id)
        options.append((store.uri, given.window, given.checkpoint_address, participants, *connections))
        raise Reached

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Reached):
        patch.setattr("airflow_provider_ip1.transfers.export.Export", export)
        task.execute({})
    return options


def notified(notifier: IP1Notifier) -> Any:
    asked: list[Any] = []

    class Hook(IP1Hook):
        def send_batch(self, **arguments: Any) -> Any:
            asked.append((arguments, self.ip1_conn_id))
            return super().send_batch(**arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="127.0.0.1|network"):
        patch.setattr("airflow_provider_ip1.hooks.ip1.IP1Hook", Hook)
        notifier.notify({})
    return asked


SMS = {"recipients": NUMBER, "sender": NUMBER, "tags": [DIGITS, OTHER], "delivery_windows": [{"opens": DAY}]}
WINDOW = {"since": DAY, "until": NEXT_DAY, "direction": None, "checkpoint": None}
INCREMENT = {"since": DAY, "until": None, "direction": None}
SELECTIONS: list[dict[str, Any]] = [
    {"participant": NUMBER, "reference": DIGITS},
    {"batch_id": DIGITS},
    {"batch_id": DIGITS, "message_id": DIGITS, "expected_count": None},
    {"message_id": DIGITS, "participant": NUMBER, "expected_count": None},
]
NO_SELECTION = dict.fromkeys(("participant", "batch_id", "message_id", "reference"))
#: The class, what becomes of its arguments, and those that are not just digits.
CASES: list[tuple[Any, Callable[[Any], Any], dict[str, Any]]] = [
    (SendSmsOperator, sent, SMS),
    (
        SendSmsOperator,
        sent,
        SMS | {"recipients": [NUMBER, OTHER], "delivery_windows": [{"opens": DAY, "closes": NEXT_DAY}]},
    ),
    (
        SendSmsOperator,
        sent,
        SMS | {"recipients": {"46701740605": {"code": DIGITS}, "46701740606": {"code": DAY}}, "body": "Code {code}"},
    ),
    (SendSmsOperator, sent, SMS | {"recipients": "{{ params.number }}, {{ params.other }}"}),
    *[
        (MessageStatusSensor, watched, NO_SELECTION | selection | {"expected": CODE, "failed": [OTHER_CODE]})
        for selection in SELECTIONS
    ],
    (IncomingSmsSensor, watched, {"participant": NUMBER, "since": DAY}),
    (ConversationToS3Operator, exported, WINDOW | {"participant": NUMBER}),
    (ConversationToS3Operator, exported, WINDOW | {"participant": [NUMBER, OTHER]}),
    (ConversationToS3Operator, exported, INCREMENT | {"participant": NUMBER}),
    (MessagesToS3Operator, exported, WINDOW),
    (MessagesToS3Operator, exported, INCREMENT),
    (IP1Notifier, notified, {"recipients": NUMBER, "sender": NUMBER}),
    (IP1Notifier, notified, {"recipients": [NUMBER, OTHER], "sender": OTHER}),
]


def rendered(make: Any, arguments: Mapping[str, Any], *, native: bool) -> Any:
    # A field that is not among the arguments is digits, so that a new one is tested as well.
    values: dict[str, Any] = {**dict.fromkeys(make.template_fields, DIGITS), **arguments}
    with DAG("native", schedule=None, render_template_as_native_obj=native) as dag:
        task = make(**values) if make is IP1Notifier else make(task_id="task", **values)
    task.render_template_fields({"params": PARAMS, "dag": dag})
    return task


@pytest.mark.parametrize(("make", "outcome", "arguments"), CASES)
def test_native_integers_mean_the_same_as_their_digits(
    make: Any, outcome: Callable[[Any], Any], arguments: dict[str, Any]
) -> None:
    native = rendered(make, arguments, native=True)
    assert type(native.ip1_conn_id) is int
    assert outcome(native) == outcome(rendered(make, arguments, native=False))
