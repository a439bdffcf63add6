# SPDX-License-Identifier: Apache-2.0
"""``make check-live SEND=...`` sends one SMS, and only after a confirmation."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev.live import check
from dev.live.send import TEXT, send_one
from dev.live.survey import Api, CannotCheck

NUMBER = "46701740605"


class Time:
    """A clock that only sleeping moves."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(messages=20) as server:
        yield server


def answers_of(server: SandboxServer, typed: str = "send") -> dict[str, str]:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return typed

    time = Time()
    answers = send_one(Api(server.url, server.key), NUMBER, "iP1", ask=ask, sleep=time.sleep, clock=time.clock)
    assert NUMBER not in repr(answers) + repr(questions)
    assert "05" in questions[0]
    return dict(answers)


def test_sends_one_sms_and_reports_the_response(server: SandboxServer) -> None:
    answers = answers_of(server)
    assert server.conversation(NUMBER)[-1]["body"] == TEXT
    assert [request.method for request in server.requests].count("POST") == 1
    assert answers["Response to POST /v2/batches"].startswith("201, application/json, object with id, ")
    assert answers["Id in the response"] == "24 characters"
    assert answers["Delay of the list of batches"].endswith("after 0 s")
    assert answers["Header Location"] == "absent"


def test_reports_other_responses(server: SandboxServer) -> None:
    server.faults.add("sent-as=nothing:status=202", "list-lag=1000000")
    answers = answers_of(server)
    assert answers["Response to POST /v2/batches"].startswith("202, empty")
    assert answers["Id in the response"] == "absent"
    assert answers["Delay of the list of batches"] == "the list does not show the reference within 120 s (status 200)"


def test_reports_a_rejection(server: SandboxServer) -> None:
    server.faults.add("400:method=POST")
    assert set(answers_of(server)) == {"Response to POST /v2/batches", "Header Location"}


@pytest.mark.parametrize("typed", ["", "y", "yes", "SEND"])
def test_sends_nothing_without_a_confirmation(server: SandboxServer, typed: str) -> None:
    with pytest.raises(CannotCheck, match="Nothing was sent"):
        answers_of(server, typed)
    assert server.requests == []


def test_the_program_needs_a_sender(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IP1_BASE_URL", server.url)
    monkeypatch.setenv("IP1_API_KEY", server.key)
    monkeypatch.delenv("IP1_SENDER", raising=False)
    assert check.main(["--send", NUMBER]) == 2
    assert "Set IP1_SENDER" in capsys.readouterr().err
    monkeypatch.setenv("IP1_SENDER", "iP1")
    monkeypatch.setattr("sys.stdin", io.StringIO("send\n"))
    assert check.main(["--send", NUMBER]) == 0
    printed = capsys.readouterr().out
    assert "| Response to POST /v2/batches | 201, " in printed
    assert NUMBER not in printed
