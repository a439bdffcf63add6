# SPDX-License-Identifier: Apache-2.0
"""
The recordings, the sandbox and, with a key, the real API meet the same expectations.

Set ``IP1_API_KEY`` and ``IP1_PARTICIPANT`` to check the real API as well. It only gets GET requests.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev.live import cassettes, expectations
from dev.live.exchange import Exchange
from dev.live.survey import Api, from_environment, take_survey

BLACKLISTED = ("46701740606", "46701740607")
NAMES = [expectation.name for expectation in expectations.EXPECTATIONS]


def survey_sandbox(*faults: str) -> Sequence[Exchange]:
    with SandboxServer(messages=70, faults=faults, delivery_seconds=0.001) as server:
        for number in BLACKLISTED:
            server.blacklist.add(number)
            server.send([number])
        return take_survey(Api(server.url, server.key), "46701740605")


def survey_iP1() -> Sequence[Exchange]:
    base_url, key, participant = from_environment()
    return take_survey(Api(base_url, key), participant)


LIVE = pytest.param(
    survey_iP1, id="live", marks=pytest.mark.skipif(not os.environ.get("IP1_API_KEY"), reason="IP1_API_KEY is not set")
)


@pytest.fixture(scope="module")
def exchanges(request: pytest.FixtureRequest) -> Sequence[Exchange]:
    ask: Callable[[], Sequence[Exchange]] = request.param
    return ask()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("exchanges", [pytest.param(survey_sandbox, id="sandbox"), LIVE], indirect=True)
def test_server(exchanges: Sequence[Exchange], name: str) -> None:
    (verdict,) = [each for each in expectations.judge(exchanges) if each.expectation.name == name]
    assert verdict.seen, "no response was suitable for this check"
    assert verdict.problems == ()


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in cassettes.paths("sandbox")])
def test_the_recordings_of_the_sandbox_meet_all_expectations(path: Path) -> None:
    assert expectations.differing(cassettes.load(path).exchanges) == []


# Faults of the sandbox, and the expectations that they break.
FAULTS: Sequence[tuple[list[str], set[str]]] = (
    (["403@5"], {"status"}),
    (["503@6:body=gateway"], {"status", "error-body"}),
    (["401@5"], {"key"}),
    (["html@5"], {"json"}),
    (["clamp=20"], {"limit", "directions"}),
    (["start=1-based"], {"offsets", "link-numbers"}),
    (["ignore-order"], {"order"}),
    (["ignore-start"], {"offsets", "limit"}),
    (["past-end=404"], {"past-end"}),
    (["enums=strings"], {"enums"}),
    (["unknown-status=777"], {"codes"}),
    (["link=no-semicolon"], {"link-form"}),
    (["link=swallowed"], {"link-form", "link-numbers"}),
    (["link=none"], {"link-form", "link-next"}),
    (["link=uppercase"], {"link-form"}),
    (["link=relative"], {"link-target"}),
    (["link=foreign"], {"link-target"}),
    (["link=off-by-one"], {"link-numbers"}),
    (["insert@3:count=2"], {"summary-count"}),
    (["direction=swapped"], {"direction"}),
    (["429@15:retry-after=0"], {"rate-headers"}),
    (["ignore-order", "clamp=100"], {"batch-order"}),
)
# Expectations that no fault of the sandbox breaks, and a change of the bodies or statuses that does.
CHANGES: Mapping[str, tuple[str, str]] = {
    "schema": (r'"segments":1,', '"segments":"1",'),
    "fields": (r'"mcc":', '"country":'),
    "times": (r'Z"', '"'),
    "ids": (r'"id":"[0-9a-f]{24}"', '"id":"same"'),
    "one-status": (r'"statuses":\[', '"statuses":[{"code":101},'),
    "history": (r'"statuses":\[.*?\]', '"statuses":[]'),
    "control": (r'^\[\{("id":"[0-9a-f]{24}","sender":"[^"]*","body".*)', r"{\1"),
    "batch-direction": (r'"direction":"M[TO]"', '"direction":0'),
    "direction-filter": (r'^\[\{"id":"[0-9a-f]{24}","sender":"[^"]*","body".{,2000}$', "[]"),
    "senders": (r'"sender":"Biblioteket"', '"sender":"Tornet"'),
    "blacklist": (r'"msisdn":"', '"msisdn":"+'),
    "blacklist-order": (r'^(\[\{"msisdn":"[0-9]+","created":"2)', r"\g<1>9"),
    "blacklist-status": (r'"code":405', '"code":201'),
    "absent": (r'"price":[0-9.]+', '"price":null'),
    "duration": (r'"code":201,"duration":1', '"code":201,"duration":0'),
    "plausible-times": (r'"modified":"2', '"modified":"1'),
    "last-change": (r'"modified":"202.', '"modified":"2029'),
    "open-statuses": (r'"code":201', '"code":104'),
    "received-batches": (r'"batchId":"', '"batchId":"6fff'),
    "summary": (r'"totalMessageCount":', '"totalMessageCount":1'),
    "no-messages": (r'^\{.*"status": ?404.*', "[]"),
    "invalid-participant": (r'^\{.*"status": ?400.*', "[]"),
}


@pytest.mark.parametrize(("faults", "differing"), FAULTS, ids=[faults[0] for faults, _ in FAULTS])
def test_a_fault_breaks_expectations(faults: list[str], differing: set[str]) -> None:
    assert differing <= set(expectations.differing(survey_sandbox(*faults)))


@pytest.fixture(scope="module")
def as_expected() -> Sequence[Exchange]:
    return survey_sandbox()


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_response_breaks_an_expectation(as_expected: Sequence[Exchange], name: str) -> None:
    pattern, replacement = CHANGES[name]
    changed = []
    for each in as_expected:
        body = re.sub(pattern, replacement, each.body.decode()).encode()
        status = 200 if body == b"[]" and each.status >= 400 else each.status
        changed.append(dataclasses.replace(each, body=body, status=status))
    assert name in expectations.differing(changed)


def test_each_expectation_can_fail() -> None:
    assert set(NAMES) == set(CHANGES).union(*(differing for _, differing in FAULTS))


def test_verdicts_contain_no_personal_data() -> None:
    with SandboxServer(messages=70, faults=["503@6", "clamp=20", "enums=strings", "start=1-based"]) as server:
        found = take_survey(Api(server.url, server.key), "46701740605")
        messages = server.conversation()
    text = "\n".join(problem for verdict in expectations.judge(found) for problem in verdict.problems)
    assert text
    for message in messages:
        assert not any(str(message[name]) in text for name in ("id", "batchId", "body", "sender", "recipient"))
