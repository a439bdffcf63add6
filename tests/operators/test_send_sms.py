# SPDX-License-Identifier: Apache-2.0
"""SendSmsOperator against the sandbox: what it sends, and that it never sends twice."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.api.sending import default_reference
from airflow_provider_ip1.compat import AirflowFailException
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1Error,
    IP1ParticipantError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1SendUnknownError,
    IP1ServerError,
)
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.operators.sent_batches import NUMBER, OTHER, TEXT, batches_with, context, posts

Serve = Callable[..., SandboxServer]
REFERENCE = default_reference("dag", "run", "send", -1)


def operator(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "recipients": [NUMBER, OTHER], "body": TEXT, **arguments})


def test_sends_to_each_recipient_once(serve: Serve) -> None:
    server = serve()
    result = operator(recipients=[NUMBER, OTHER, f"+{NUMBER}"], tags=["alert"], priority=2).execute(context())
    (batch,) = batches_with(server, REFERENCE)
    assert result == {
        "batch_id": batch["id"],
        "reference": REFERENCE,
        "recipients": 2,
        "segments": 1,
        "reused": False,
    }
    assert (batch["sender"], batch["body"], batch["tags"], batch["priority"]) == ("iP1", TEXT, ["alert"], 2)
    assert [request.method for request in server.requests[:1]] == ["POST"]


def test_templates_for_each_recipient(serve: Serve) -> None:
    server = serve()
    recipients = {NUMBER: {"name": "Ann"}, OTHER: {}, "default": {"name": "you"}}
    result = operator(recipients=recipients, body="Hello {name}").execute(context())
    assert result["recipients"] == 2
    messages = server.conversation(NUMBER)[-1], server.conversation(OTHER)[-1]
    assert [message["body"] for message in messages] == ["Hello Ann", "Hello you"]


@pytest.mark.parametrize("sender", [None, "", " "])
def test_the_sender_comes_from_the_connection_unless_given(serve: Serve, sender: str | None) -> None:
    server = serve(sender="Backup")
    operator(sender=sender).execute(context())
    operator(sender="Other", reference="second").execute(context())
    assert batches_with(server, REFERENCE)[0]["sender"] == "Backup"
    assert batches_with(server, "second")[0]["sender"] == "Other"


def test_each_mapped_task_sends(serve: Serve) -> None:
    server = serve()
    results = [operator().execute(context(map_index=index)) for index in range(3)]
    assert len({result["batch_id"] for result in results}) == 3
    assert posts(server) == 3


def test_without_a_task_instance_each_call_sends(serve: Serve) -> None:
    server = serve()
    results = [operator().execute({}) for _ in range(2)]
    assert len({result["reference"] for result in results}) == posts(server) == 2


@pytest.mark.parametrize("status", ["200", "201", "202"])
@pytest.mark.parametrize("shape", ["object", "list", "location", "nothing"])
def test_accepts_every_shape_of_the_response(serve: Serve, shape: str, status: str) -> None:
    server = serve(f"sent-as={shape}:status={status}")
    result = operator().execute(context())
    (batch,) = batches_with(server, REFERENCE)
    assert (result["batch_id"], result["reused"]) == (batch["id"], False)
    assert posts(server) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "500@1:accepted=yes,method=POST",
        "502@1:accepted=yes,body=html,method=POST",
        "reset@1:accepted=yes,method=POST",
        "close@1:accepted=yes,method=POST",
        "truncate@1:method=POST",
        "badjson@1:method=POST",
        "html@1:method=POST",
        "empty@1:method=POST",
    ],
)
def test_finds_the_batch_if_the_response_is_lost(serve: Serve, fault: str) -> None:
    server = serve(fault)
    result = operator().execute(context())
    (batch,) = batches_with(server, REFERENCE)
    assert (result["batch_id"], result["reused"]) == (batch["id"], False)
    assert posts(server) == 1


def test_waits_until_the_batch_is_listed(serve: Serve) -> None:
    server = serve("500@1:accepted=yes,method=POST", "list-lag=0.2")
    operator().execute(context())
    assert len(batches_with(server, REFERENCE)) == posts(server) == 1


def test_looks_again_if_the_list_fails(serve: Serve) -> None:
    server = serve("500@1:accepted=yes,method=POST", "401@1-2:method=GET")
    operator().execute(context())
    assert len(batches_with(server, REFERENCE)) == posts(server) == 1


@pytest.mark.parametrize("fault", ["429@1-2:method=POST,retry-after=0"])
def test_repeats_a_request_that_iP1_has_refused_for_now(serve: Serve, fault: str) -> None:
    server = serve(fault)
    operator().execute(context())
    assert len(batches_with(server, REFERENCE)) == 1
    assert posts(server) == 3


@pytest.mark.parametrize("fault", ["500@1:method=POST", "reset@1:method=POST", "408@1:method=POST"])
def test_an_unknown_outcome_fails_the_task_for_good(serve: Serve, fault: str) -> None:
    server = serve(fault)
    with pytest.raises(IP1SendUnknownError, match=REFERENCE) as raised:
        operator().execute(context())
    assert isinstance(raised.value, AirflowFailException)
    assert posts(server) == 1


def test_an_unknown_outcome_can_be_retried(serve: Serve) -> None:
    server = serve("500@1:method=POST")
    send = operator(on_unknown="retry")
    with pytest.raises(IP1SendUnknownError) as raised:
        send.execute(context())
    assert not isinstance(raised.value, AirflowFailException)
    assert batches_with(server, REFERENCE) == []
    # iP.1 has not listed it, so the second try sends it.
    assert send.execute(context(try_number=2))["reused"] is False
    assert len(batches_with(server, REFERENCE)) == 1


def test_a_later_try_finds_what_an_earlier_one_sent(
    serve: Serve, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve()
    first = operator().execute(context())
    # The list has moved on, and the text has changed.
    for number in range(25):
        operator(reference=f"other {number}").execute(context())
    with caplog.at_level(logging.INFO):
        again = operator(body="Another text").execute(context(try_number=2))
    assert again == first | {"reused": True}
    assert len(batches_with(server, REFERENCE)) == 1
    # Airflow 3 logs to stdout.
    assert "An earlier try has already sent" in caplog.text + capfd.readouterr().out


def test_another_reference_sends_again(serve: Serve) -> None:
    serve()
    first = operator().execute(context())
    again = operator(reference="af-again").execute(context(try_number=2))
    assert again["batch_id"] != first["batch_id"]
    assert again["reused"] is False


def test_sends_nothing_if_it_cannot_look_first(serve: Serve) -> None:
    server = serve("503:method=GET", max_attempts=2)
    with pytest.raises(IP1ServerError):
        operator().execute(context(try_number=2))
    assert posts(server) == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("401@1:method=POST", IP1AuthError),
        ("403@1:method=POST", IP1AuthError),
        ("400@1:method=POST", IP1ResponseError),
        ("422@1:method=POST", IP1ResponseError),
        ("429@1:method=POST,retry-after=3600", IP1RateLimitError),
    ],
)
def test_a_refusal_is_not_an_unknown_outcome(serve: Serve, fault: str, error: type[IP1Error]) -> None:
    server = serve(fault)
    with pytest.raises(error):
        operator().execute(context())
    assert len(server.requests) == posts(server) == 1


def test_an_unreachable_server_is_not_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection("http://127.0.0.1:1", sender="iP1", max_attempts=2)
    )
    with pytest.raises(IP1ServerError):
        operator().execute(context())


@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        ({"recipients": []}, ValueError, "recipients"),
        ({"recipients": "iP1"}, ValueError, "recipients"),
        ({"recipients": "0701740605"}, IP1ParticipantError, "recipients"),
        ({"body": " "}, ValueError, "body"),
        ({"body": "x" * 460}, ValueError, "max_segments"),
        ({"max_recipients": 1}, ValueError, "max_recipients"),
        ({"sender": "no"}, ValueError, "sender"),
        ({"type": "mms"}, ValueError, "type"),
        ({"datacoding": "latin"}, ValueError, "datacoding"),
        ({"priority": 3}, ValueError, "priority"),
        ({"delivery_windows": [{"opens": "soon"}]}, ValueError, "delivery_windows"),
        ({"delivery_report_url": "example.com"}, ValueError, "delivery_report_url"),
        ({"tags": "alert"}, ValueError, "tags"),
        ({"reference": "a\nb"}, ValueError, "reference"),
    ],
)
@pytest.mark.parametrize("try_number", [1, 2])
def test_checks_everything_before_the_first_request(
    serve: Serve, arguments: dict[str, Any], error: type[Exception], problem: str, try_number: int
) -> None:
    server = serve()
    with pytest.raises(error, match=problem):
        operator(**arguments).execute(context(try_number))
    assert server.requests == []


def test_needs_a_sender(serve: Serve) -> None:
    serve(sender=None)
    with pytest.raises(ValueError, match="extra 'sender' of the connection"):
        operator().execute(context())


@pytest.mark.parametrize("arguments", [{"max_recipients": 0}, {"max_segments": "3"}, {"on_unknown": "ignore"}])
def test_checks_arguments_that_are_not_templated_when_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        operator(**arguments)


FAULTS = [
    "sent-as=object",
    "sent-as=nothing",
    "400@1:method=POST",
    "401@1:method=POST",
    "404@1:method=POST",
    "500@1:method=POST",
    "500@1:accepted=yes,method=POST",
    "reset@1:method=POST",
    "truncate@1:method=POST",
    "html@1:method=POST",
    "html",
    "429@1:method=POST,retry-after=0",
    "redirect@1:to=https://login.example.com/,method=POST",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("try_number", [1, 2])
def test_neither_text_nor_numbers_leak(
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: str,
    try_number: int,
) -> None:
    server = serve(fault, max_attempts=2)
    texts = []
    with caplog.at_level(logging.DEBUG):
        try:
            texts.append(repr(operator(sender=OTHER).execute(context(try_number))))
        except IP1Error as error:
            texts += ["".join(traceback.format_exception(error)), repr(error)]
    texts += capfd.readouterr()
    for record in caplog.records:
        texts += [
            record.getMessage(),
            repr(record.args),
            "".join(traceback.format_exception(*record.exc_info or [None])),
        ]
    assert posts(server) > 0 or fault == "html"
    for secret in (NUMBER, OTHER, TEXT, server.key):
        assert all(secret not in text for text in texts)


def test_lineage_names_no_number(serve: Serve) -> None:
    server = serve()
    send = operator()
    send.execute(context())
    lineage = send.get_openlineage_facets_on_complete(None)
    (dataset,) = lineage.outputs
    assert (dataset.namespace, dataset.name) == (server.url, "v2/conversations")
    assert lineage.inputs == []


def test_renders_what_the_contract_promises() -> None:
    assert set(SendSmsOperator.template_fields) == {
        "recipients",
        "body",
        "sender",
        "reference",
        "delivery_windows",
        "tags",
        "ip1_conn_id",
    }
