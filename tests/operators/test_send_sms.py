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
    IP1ReferenceError,
    IP1RefusedError,
    IP1ResponseError,
    IP1SendUnknownError,
    IP1ServerError,
)
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.operators.sent_batches import NUMBER, OTHER, TEXT, batches_with, context, posts

Serve = Callable[..., SandboxServer]
REFERENCE = default_reference([NUMBER, OTHER], None, "dag", "run", "send")


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


def test_a_list_of_mappings_is_templated_too(serve: Serve) -> None:
    server = serve()
    recipients = [
        {"recipient": NUMBER, "name": "Ann"},
        OTHER,
        {"recipient": "default", "name": "you"},
        {"recipient": f"+{NUMBER}", "name": "Ann"},
    ]
    result = operator(recipients=recipients, body="Hello {name}").execute(context())
    assert (result["recipients"], result["reference"]) == (2, REFERENCE)
    messages = server.conversation(NUMBER)[-1], server.conversation(OTHER)[-1]
    assert [message["body"] for message in messages] == ["Hello Ann", "Hello you"]
    recipients.append({"recipient": NUMBER, "name": "Bea"})
    with pytest.raises(ValueError, match="number 5 is there twice, with different values"):
        operator(recipients=recipients, body="Hello {name}").execute(context())


@pytest.mark.parametrize("sender", [None, "", " "])
def test_the_sender_comes_from_the_connection_unless_given(serve: Serve, sender: str | None) -> None:
    server = serve(sender="Backup")
    operator(sender=sender).execute(context())
    operator(sender="Other", reference="second").execute(context())
    assert batches_with(server, REFERENCE)[0]["sender"] == "Backup"
    assert batches_with(server, "second")[0]["sender"] == "Other"


def test_each_mapped_task_sends(serve: Serve) -> None:
    server = serve()
    results = [operator(body=f"{TEXT} {index}").execute(context(map_index=index)) for index in range(3)]
    assert len({result["batch_id"] for result in results}) == 3
    assert posts(server) == 3
    # A further try of each finds its own text.
    again = [operator(body=f"{TEXT} {index}").execute(context(2, map_index=index)) for index in range(3)]
    assert again == [result | {"reused": True} for result in results]
    with pytest.raises(IP1ReferenceError, match="that batch has another text.*set the argument reference"):
        operator(body="A new one").execute(context(2, map_index=3))
    assert posts(server) == 3


def test_a_mapped_task_whose_list_has_changed_sends_to_each_number_once(serve: Serve) -> None:
    server = serve()
    numbers = [f"467017406{ending:02}" for ending in (10, 11, 12)]
    first = {
        number: operator(recipients=number).execute(context(map_index=index)) for index, number in enumerate(numbers)
    }
    # The run is cleared, and the list has gained an element in front.
    new = "46701740613"
    second = {
        number: operator(recipients=number).execute(context(2, map_index=index))
        for index, number in enumerate([new, *numbers])
    }
    assert {number: second[number] for number in numbers} == {
        number: result | {"reused": True} for number, result in first.items()
    }
    assert second[new]["reused"] is False
    for number in (new, *numbers):
        assert [message["body"] for message in server.conversation(number)].count(TEXT) == 1


def test_a_task_that_has_sent_to_others_does_not_send_to_new_recipients(serve: Serve) -> None:
    server = serve()
    operator(recipients=NUMBER).execute(context())
    with pytest.raises(IP1ReferenceError, match="sent by this task to other recipients.*argument reference") as raised:
        operator(recipients=[NUMBER, OTHER]).execute(context(try_number=2))
    assert isinstance(raised.value, AirflowFailException)
    assert posts(server) == 1
    result = operator(recipients=[NUMBER, OTHER], reference="again").execute(context(try_number=3))
    assert (result["recipients"], posts(server)) == (2, 2)


def test_deployments_do_not_find_each_others_batches(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(deployment="staging")
    staging = operator().execute(context())
    monkeypatch.setenv(
        "AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url, sender="iP1", deployment="production")
    )
    server.faults.add("500:method=POST")
    with pytest.raises(IP1SendUnknownError):
        operator().execute(context())
    server.faults.clear()
    production = operator().execute(context(try_number=2))
    assert production["batch_id"] != staging["batch_id"]
    assert production["reference"] != staging["reference"]
    assert production["reference"] == default_reference([NUMBER, OTHER], "production", "dag", "run", "send")


WINDOW = [{"opens": "2090-01-01"}]


@pytest.mark.parametrize(
    ("earlier", "later", "difference"),
    [
        ({"recipients": NUMBER}, {}, "has other recipients"),
        ({}, {"recipients": NUMBER}, "has other recipients"),
        ({"recipients": NUMBER}, {"recipients": OTHER}, "has other recipients"),
        ({"sender": "Other"}, {}, "has another sender"),
    ],
)
@pytest.mark.parametrize("map_index", [-1, 4])
def test_another_sms_with_the_same_reference_is_not_this_one(
    serve: Serve, earlier: dict[str, Any], later: dict[str, Any], difference: str, map_index: int
) -> None:
    server = serve()
    operator(reference="order-17", **earlier).execute(context(map_index=map_index))
    with pytest.raises(IP1ReferenceError, match=f"that batch {difference}.*set the argument reference") as raised:
        operator(reference="order-17", **later).execute(context(2, map_index))
    assert isinstance(raised.value, AirflowFailException)
    # After an ambiguous failure, it proves nothing.
    server.faults.add("500:method=POST")
    with pytest.raises(IP1SendUnknownError, match=difference):
        operator(reference="order-17", **later).execute(context(map_index=map_index))
    assert posts(server) == 2


@pytest.mark.parametrize("reference", [None, "order-17"])
def test_a_canceled_batch_is_not_sent(serve: Serve, reference: str | None) -> None:
    server = serve()
    sent = operator(reference=reference, delivery_windows=WINDOW).execute(context())
    with IP1Hook() as hook:
        hook.cancel_batch(sent["batch_id"])
    with pytest.raises(IP1ReferenceError, match="was canceled.*set the argument reference"):
        operator(reference=reference).execute(context(try_number=2))
    assert operator(reference="new").execute(context(try_number=2))["reused"] is False
    assert posts(server) == 2


def test_what_was_sent_to_others_and_canceled_does_not_count(serve: Serve) -> None:
    serve()
    sent = operator(recipients=NUMBER, delivery_windows=WINDOW).execute(context())
    with IP1Hook() as hook:
        hook.cancel_batch(sent["batch_id"])
    assert operator().execute(context(try_number=2))["reused"] is False


@pytest.mark.parametrize("reference", [None, "order-17"])
def test_the_result_is_that_of_the_batch_that_was_found(serve: Serve, reference: str | None) -> None:
    serve()
    first = operator(reference=reference, body="x" * 300).execute(context())
    again = operator(reference=reference, body="short").execute(context(try_number=2))
    assert again == first | {"reused": True}
    assert (again["recipients"], again["segments"]) == (2, 2)


def test_the_messages_of_a_batch_may_be_unreadable_if_its_reference_says_enough(serve: Serve) -> None:
    server = serve(max_attempts=1)
    first = operator().execute(context())
    server.faults.add(f"500@{len(server.requests) + 2}-")  # the list can be read
    assert operator().execute(context(try_number=2)) == first | {"reused": True}


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
        "404:accepted=yes,body=text,method=POST",
        "404:accepted=yes,body=html,method=POST",
        "404:accepted=yes,body=problem,method=POST",
        "404:accepted=yes,body=empty,method=POST",
        "408:accepted=yes,method=POST",
        "503:accepted=yes,retry-after=0,method=POST",
    ],
)
def test_finds_the_batch_if_the_response_is_lost(serve: Serve, fault: str) -> None:
    server = serve(fault, max_attempts=4)
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


@pytest.mark.parametrize(
    "fault",
    [
        *(f"{status}:method=POST" for status in (404, 408, 500, 502, 503, 504, 599)),
        "404:method=POST,body=text",
        "404:method=POST,body=html",
        "404:method=POST,body=empty",
        "reset:method=POST",
        "close:method=POST",
        *(f"redirect:to=/v2/elsewhere,status={status},method=POST" for status in (301, 302, 303, 307, 308)),
        "redirect:to=https://login.example.com/,method=POST",
    ],
)
def test_an_unknown_outcome_fails_the_task_for_good(serve: Serve, fault: str) -> None:
    server = serve(fault)
    with pytest.raises(IP1SendUnknownError, match=REFERENCE) as raised:
        operator().execute(context())
    assert isinstance(raised.value, AirflowFailException)
    assert posts(server) == 1


@pytest.mark.parametrize("fault", ["truncate", "badjson", "html", "empty"])
@pytest.mark.parametrize("on_unknown", ["fail", "retry"])
def test_a_2xx_never_leads_to_a_second_request(serve: Serve, fault: str, on_unknown: Any) -> None:
    server = serve(f"{fault}:method=POST", "list-lag=60", max_attempts=4)
    with pytest.raises(IP1SendUnknownError, match="does not retry the task, because") as raised:
        operator(on_unknown=on_unknown).execute(context())
    assert isinstance(raised.value, AirflowFailException)
    assert posts(server) == len(batches_with(server, REFERENCE)) == 1


@pytest.mark.parametrize("on_unknown", ["fail", "retry"])
def test_a_reference_that_iP1_cuts_does_not_discard_the_batch(
    serve: Serve, on_unknown: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve("cut-reference=32", max_attempts=4)
    long = "order-2026-11-01-of-customer-4711-the-second"
    send = operator(reference=long, on_unknown=on_unknown)
    result = send.execute(context())
    (batch,) = batches_with(server, long[:32])
    assert (result["batch_id"], result["reference"], result["reused"]) == (batch["id"], long, False)
    told = caplog.text + "".join(capfd.readouterr())
    assert f"with reference '{long[:32]}' instead of '{long}'" in told
    with pytest.raises(IP1ReferenceError, match="iP.1 had cut it.*at most 32 characters"):
        send.execute(context(try_number=2))
    assert posts(server) == 1
    # The default reference is short enough.
    first = operator().execute(context())
    assert operator().execute(context(try_number=2)) == first | {"reused": True}


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


@pytest.mark.parametrize("fault", ["503", "401", "403", "404:body=text", "429:retry-after=3600", "html", "reset"])
@pytest.mark.parametrize("on_unknown", ["fail", "retry"])
def test_an_earlier_try_may_have_sent_if_it_cannot_look(serve: Serve, fault: str, on_unknown: Any) -> None:
    server = serve(f"{fault}{',' if ':' in fault else ':'}method=GET", max_attempts=2)
    with pytest.raises(
        IP1SendUnknownError, match="unknown whether an earlier try has sent.*This try has sent nothing"
    ) as raised:
        operator(on_unknown=on_unknown).execute(context(try_number=2))
    assert isinstance(raised.value, AirflowFailException) is (on_unknown == "fail")
    assert posts(server) == 0


def test_an_outage_while_it_looks_first_is_waited_out(serve: Serve) -> None:
    server = serve(max_attempts=1)
    first = operator().execute(context())
    # One look only, because a slow machine leaves out all but the first and the last one.
    server.faults.add(f"503@{len(server.requests) + 1}")
    assert operator().execute(context(try_number=2)) == first | {"reused": True}
    # If nothing is found, one look must have covered the whole list, and the last one must have succeeded.
    server.faults.clear()
    server.faults.add(f"503@{len(server.requests) + 1}")
    assert operator(reference="new").execute(context(try_number=2))["reused"] is False


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        (f"order-{NUMBER}", None),
        ("reply to +46 (0)70-174 06 05", None),
        ("46_70_174_06_05", None),
        ("46:70:174:06:05", None),
        ("070-1740605", None),
        ("order-2026-11-01-42", "order-2026-11-01-42"),
        ("order 4711", "order 4711"),
    ],
)
def test_a_reference_with_a_number_is_not_in_the_result(serve: Serve, reference: str, shown: str | None) -> None:
    server = serve()
    result = operator(reference=reference).execute(context())
    assert result["reference"] == shown
    assert len(batches_with(server, reference)) == 1
    assert operator(reference=reference).execute(context(try_number=2)) == result | {"reused": True}


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
    with pytest.raises(error) as raised:
        operator().execute(context())
    assert posts(server) == 1
    # Another try would be refused in the same way.
    assert isinstance(raised.value, AirflowFailException) is isinstance(raised.value, IP1RefusedError)


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refusal_lists_the_registered_senders(serve: Serve, status: int) -> None:
    server = serve(f"{status}:method=POST", sender="Backup")
    listed = "Registered senders: .*, iP1, iP1sms"
    with pytest.raises(IP1Error, match=rf"Sender Backup is not registered\. {listed}") as raised:
        operator().execute(context())
    assert ("balance" in str(raised.value)) is (status == 403)
    with pytest.raises(IP1Error, match=listed) as raised:
        operator(sender="iP1").execute(context())
    assert "is not registered" not in str(raised.value)
    server.faults.add("500:method=GET")
    with pytest.raises(IP1Error, match="list of registered senders could not be read"):
        operator(sender="iP1").execute(context())


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
