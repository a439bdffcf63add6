# SPDX-License-Identifier: Apache-2.0
"""``make check-live`` reports how servers differ, and no personal data."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev.live import check
from dev.live.expectations import EXPECTATIONS, judge
from dev.live.questions import COSTS, QUESTIONS
from dev.live.survey import MAX_MESSAGES, Api, CannotCheck, take_survey

MAIN = "46701740605"


@pytest.mark.parametrize(
    ("fault", "name", "problem"),
    [
        ("start=1-based", "link-numbers", "next is off by 1"),
        ("clamp=100", "limit", "limit 1000000: 100 messages instead of 120"),
        ("clamp=20", "limit", "limit 50: 20 messages instead of 50"),
        ("past-end=404", "past-end", "status 404"),
        ("direction=swapped", "direction", "/mt has other values"),
        ("unknown-status=777", "codes", "code 777"),
        ("link=no-semicolon", "link-form", "without ';' before rel"),
        ("link=swallowed", "link-form", "without URLs"),
        ("link=none", "link-form", "no header"),
        ("link=uppercase", "link-form", "RFC 8288 in another notation"),
        ("link=garbage", "link-form", "not readable"),
        ("link=foreign", "link-target", "a different server or list"),
        ("429@15:retry-after=2", "status", "status 429"),
        ("403@17:body=gateway", "error-body", "status 403: application/json, object with statusCode, message"),
        ("403@24:body=html", "control", "403, text/html, not JSON"),
    ],
)
def test_the_report_says_how_a_server_differs(fault: str, name: str, problem: str) -> None:
    with SandboxServer(faults=[fault], messages=120, delivery_seconds=0.001) as server:
        verdicts = judge(take_survey(Api(server.url, server.key), MAIN))
    (verdict,) = [each for each in verdicts if each.expectation.name == name]
    assert problem in "; ".join(verdict.problems)
    assert f"| **no**: {'; '.join(verdict.problems)} |" in check.report(verdicts)


def test_one_run_answers_every_question() -> None:
    with SandboxServer(messages=70, delivery_seconds=0.001) as server:
        for number in ("46701740606", "46701740607"):
            server.blacklist.add(number)
            server.send([number])
        verdicts = judge(take_survey(Api(server.url, server.key), MAIN))
        assert len(server.requests) <= 200
    by_name = {verdict.expectation.name: verdict for verdict in verdicts}
    for question in QUESTIONS:
        assert question.answer(by_name) == (question.unanswered or "as assumed"), question.text


def test_an_assumption_that_is_wrong_is_an_answer() -> None:
    with SandboxServer(faults=["clamp=20", "enums=strings"], messages=120) as server:
        verdicts = judge(take_survey(Api(server.url, server.key), MAIN))
    answers = {
        question.names: question.answer({verdict.expectation.name: verdict for verdict in verdicts})
        for question in QUESTIONS
    }
    assert "limit 50: 20 messages instead of 50" in answers["limit",]
    assert answers["enums",].startswith("**not as assumed**: ")


def test_each_assumption_is_a_question() -> None:
    assumed = {each.name for each in EXPECTATIONS if "assumed" in each.source}
    asked = {name for question in QUESTIONS for name in question.names}
    assert asked <= {each.name for each in EXPECTATIONS}
    assert assumed <= asked
    assert [question.cost for question in QUESTIONS] == sorted((each.cost for each in QUESTIONS), key=COSTS.index)
    assert all(bool(question.names) != bool(question.unanswered) for question in QUESTIONS)


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
        server.blacklist.add("46701740606")
        monkeypatch.setenv("IP1_API_KEY", key)
        monkeypatch.setenv("IP1_PARTICIPANT", MAIN)
        monkeypatch.setenv("IP1_BASE_URL", server.url)
        assert check.main([]) == (1 if faults else 0)
        messages = server.conversation()
        assert {request.method for request in server.requests} == {"GET"}
        assert len(server.requests) <= 200
    report = capsys.readouterr().out
    assert report.count("\n| --- |") == 2
    assert server.url not in report
    assert "**no**" in report or not faults
    assert key not in report and MAIN not in report and "46701740606" not in report
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
