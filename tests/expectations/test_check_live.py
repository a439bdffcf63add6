# SPDX-License-Identifier: Apache-2.0
"""``make check-live`` reports how servers differ, and no personal data."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev.live import check
from dev.live.questions import answer_all
from dev.live.survey import MAX_MESSAGES, Api, CannotCheck, take_survey

MAIN = "46701740605"


def answers_of(*faults: str, participant: str = MAIN, **options: object) -> Mapping[str, str]:
    settings = {"messages": 120, "delivery_seconds": 0.001, **options}
    with SandboxServer(faults=faults, **settings) as server:
        return dict(answer_all(take_survey(Api(server.url, server.key), participant)))


AS_ASSUMED = {
    "direction by endpoint": "/mt: 0; /mo: 1",
    "direction by address": "from the participant: 1; to the participant: 0",
    "First value of start": "0-based: start=1 begins with the second message",
    "Response after the last message": "just after: 200 with an empty list; far after: 200 with an empty list",
    "Form of the Link header": "RFC 8288 (13)",
    "rel values": "first page: first, last, next; middle: first, last, next, prev; last page: first, last, prev",
    "Numbers in Link": "after start=0 and 3 messages, next says start=3, which agrees with how start counts",
    "URLs in Link": "an absolute URL of the same server",
    "401": "missing key: 401, application/problem+json, object with type, title, status, WWW-Authenticate: Bearer; "
    "wrong key: 401, application/problem+json, object with type, title, status, WWW-Authenticate: Bearer",
    "Rate limit": "headers: none; 0 of 31 responses were 429",
    "Statuses per message": "conversation: 1; batch: 1; single message: 5",
    "Summary of an unknown participant": "status 404",
    "Other spellings of the participant": "with +: status 400; with 00: status 404; national (0...): status 404",
    "Null or absent fields": "/mt: price present, currency present, reference present, mcc present, mnc present; "
    "/mo: price absent, currency absent, reference absent, mcc present, mnc present",
    "Default limit": "50 messages without limit; limit in Link: 50",
    "order in lower case": "order=desc is DESC",
    "List of batches": '50 batches, 28 with a reference; direction: "MO", "MT"; fields: body, datacoding, '
    "deliveryWindows, direction, id, owner, priority, reference, sender, status, tags, templated, type; "
    "first, last, next links",
    "List of senders": "200, application/json, list",
    "Own number or name as participant": "own number: 404, application/problem+json, object with type, title, status, "
    "detail; own name: 404, application/problem+json, object with type, title, status, detail",
    "Batches of received messages": "42 of 42 received messages belong to one of the 150 newest batches; the batch of "
    "the newest one contains 1 messages",
    "Order of batches": "ASC: oldest first, in 49 of 49 steps; DESC: newest first, in 142 of 143 steps",
}


def test_the_sandbox_without_faults() -> None:
    answers = answers_of()
    assert {question: answers[question] for question in AS_ASSUMED} == AS_ASSUMED
    assert answers["Form of the enumerations"].startswith("direction: 0, 1; type: 1; datacoding: 0, 2; priority: 1")
    assert answers["Largest limit"].startswith("limit=1000000 is lowered to 10000, as the Link header says; 120 ")
    assert answers["Retention"] == "oldest message from 2026; bodies: text 120"


@pytest.mark.parametrize(
    ("fault", "question", "answer"),
    [
        (
            "start=1-based",
            "First value of start",
            "1-based: start=1 begins with the first message, and so does start=0",
        ),
        ("start=1-based", "Numbers in Link", "next says start=4, which agrees with how start counts"),
        ("ignore-start", "First value of start", "start is ignored: start=0, 1 and 2 return the same messages"),
        ("ignore-start", "Response after the last message", "just after: 3 messages; far after: 3 messages"),
        ("clamp=100", "Largest limit", "limit=1000000 is lowered to 100, as the Link header says; 100 messages"),
        ("past-end=404", "Response after the last message", "just after: status 404; far after: status 404"),
        ("direction=swapped", "direction by endpoint", "/mt: 1; /mo: 0"),
        ("direction=swapped", "direction by address", "from the participant: 0; to the participant: 1"),
        ("unknown-status=777", "Status codes seen", "777"),
        ("link=no-semicolon", "Form of the Link header", "without ';' before rel (13)"),
        ("link=swallowed", "Form of the Link header", "without URLs (13)"),
        ("link=swallowed", "URLs in Link", "no URLs"),
        ("link=swallowed", "Numbers in Link", "not answered: no next with a start"),
        ("link=none", "Form of the Link header", "no header (13)"),
        ("link=none", "rel values", "first page: none; middle: none; last page: none"),
        ("link=uppercase", "Form of the Link header", "RFC 8288 in another notation (13)"),
        ("link=garbage", "Form of the Link header", "not readable (13)"),
        ("link=relative", "URLs in Link", "a relative URL"),
        ("link=foreign", "URLs in Link", "an absolute URL of another server"),
        ("link=self", "rel values", "first page: first, last, next, self"),
        ("link=off-by-one", "Numbers in Link", "next says start=4, which does not agree with how start counts"),
        ("429@17:retry-after=2", "Rate limit", "headers: retry-after; 1 of 31 responses were 429"),
        (
            "403@18:body=gateway",
            "401",
            "missing key: 403, application/json, object with statusCode, message; wrong key",
        ),
        ("403@19:body=html", "401", "wrong key: 403, text/html, not JSON"),
        ("503@16:body=empty", "Summary of an unknown participant", "status 503"),
        ("clamp=20", "Default limit", "20 messages without limit; limit in Link: 20"),
        ("404@25:body=empty", "List of batches", "404, empty"),
        ("403@26:body=html", "List of senders", "403, text/html, not JSON"),
    ],
)
def test_servers_that_differ(fault: str, question: str, answer: str) -> None:
    assert answer in answers_of(fault)[question]


def test_a_clamp_without_links_is_found_by_the_summary() -> None:
    answer = answers_of("clamp=100", "link=none")["Largest limit"]
    assert answer == "limit=1000000 is lowered to 100, of 120 messages"


def test_an_own_number_may_return_the_messages_with_everyone() -> None:
    with SandboxServer(messages=120) as server:
        survey = take_survey(Api(server.url, server.key), MAIN)
    answers = dict(answer_all(replace(survey, own={"own number": survey.newest})))
    assert answers["Own number or name as participant"] == "own number: 3 messages, other addresses: 3"


def test_batches_that_differ() -> None:
    answers = answers_of("ignore-order", "clamp=100")
    assert answers["Order of batches"] == "ASC: oldest first, in 49 of 49 steps; DESC: oldest first, in 99 of 99 steps"
    lacking = answers_of("500@29-30")
    assert lacking["Order of batches"].count("not answered: the ids do not tell") == 2
    assert lacking["Batches of received messages"].startswith("0 of 42 received messages belong")


def test_a_conversation_without_received_messages() -> None:
    with SandboxServer(messages=0, delivery_seconds=0.001) as server:
        for _ in range(3):
            server.send([MAIN], "Hej!")
        answers = dict(answer_all(take_survey(Api(server.url, server.key), MAIN)))
    assert answers["Batches of received messages"] == "not answered: the participant has sent no message"


def test_enums_as_strings() -> None:
    answers = answers_of("enums=strings")
    assert '"SMS"' in answers["Form of the enumerations"] and '"ucs"' in answers["Form of the enumerations"]
    assert answers["direction by endpoint"] == '/mt: "MT", "mt"; /mo: "MO", "mo"'


def test_a_name_is_also_requested_with_its_case_swapped() -> None:
    answers = answers_of(participant="Grannen")
    assert answers["Other spellings of the participant"] == "a name with upper and lower case swapped: status 404"
    assert answers["direction by endpoint"].startswith("/mt: no messages (status 404); /mo: 1")


@pytest.mark.parametrize(
    "faults", [[], ["enums=strings", "link=foreign"], ["start=1-based", "clamp=20", "503@9:body=text"]]
)
def test_the_report_contains_no_personal_data(
    faults: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Airflow 2 prints all logs to standard output. The sandbox's log is not part of the report.
    caplog.set_level(logging.WARNING, logger="airflow_provider_ip1.sandbox")
    key = "k-" + "7c2d" * 6
    with SandboxServer(messages=120, faults=faults, key=key) as server:
        monkeypatch.setenv("IP1_API_KEY", key)
        monkeypatch.setenv("IP1_PARTICIPANT", MAIN)
        monkeypatch.setenv("IP1_BASE_URL", server.url)
        assert check.main([]) == (1 if faults else 0)
        messages = server.conversation()
        assert {request.method for request in server.requests} == {"GET"}
    report = capsys.readouterr().out
    assert report.count("\n| --- |") == 2
    assert "**no**" in report or not faults
    assert key not in report and MAIN not in report
    for message in messages:
        for name in ("id", "batchId", "sender", "recipient", "owner", "body", "reference", "modified"):
            assert not message.get(name) or message[name] not in report, name


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"IP1_API_KEY": ""}, "Set IP1_API_KEY"),
        ({"IP1_PARTICIPANT": ""}, "Set IP1_PARTICIPANT"),
        ({"IP1_API_KEY": "wrong"}, "The server rejects the key (401)"),
        ({"IP1_PARTICIPANT": "46701740607"}, "1 messages, but 3 are needed"),
        ({"IP1_PARTICIPANT": "46701740608"}, "status 404 and 0 messages"),
        ({"IP1_BASE_URL": "http://api.example"}, "must start with https://"),
        ({"IP1_BASE_URL": "http://127.0.0.1:9"}, "No response from 127.0.0.1"),
    ],
)
def test_it_says_why_it_cannot_check(
    environment: dict[str, str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with SandboxServer(messages=20) as server:
        defaults = {"IP1_API_KEY": server.key, "IP1_PARTICIPANT": MAIN, "IP1_BASE_URL": server.url}
        for name, value in (defaults | environment).items():
            monkeypatch.setenv(name, value)
        assert check.main([]) == 2
    printed = capsys.readouterr().err
    assert problem in printed and MAIN not in printed


def test_a_conversation_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with SandboxServer(messages=MAX_MESSAGES + 1) as server:
        with pytest.raises(CannotCheck, match="at most 10000"):
            take_survey(Api(server.url, server.key), MAIN)
        assert len(server.requests) == 2
