# SPDX-License-Identifier: Apache-2.0
"""Requests that are sent again: what the log says about them, and what a 429 means for other requests."""

from __future__ import annotations

import logging
from collections.abc import Generator
from functools import partial
from typing import Any

import pytest

from airflow_provider_ip1.api.call import Call, Response, TransportFailure
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client.base_client import BaseClient
from airflow_provider_ip1.client.logs import PROGRESS_INTERVAL
from airflow_provider_ip1.client.shared_rate import SharedRate
from airflow_provider_ip1.exceptions import IP1Error, IP1RateLimitError

NUMBER = "46701740605"
SUMMARY = Response(200, {}, b'{"mobileOriginated": {}, "mobileTerminated": {}}')
PROBLEMS: dict[str, Response | TransportFailure] = {
    "429, too many requests": Response(429, {}, b""),
    "status 503": Response(503, {}, b""),
    "the server did not respond": TransportFailure("the server did not respond"),
    "a body that cannot be read (": Response(200, {}, b'{"mobileOrig'),
    "a body that cannot be read": Response(200, {}, b"<html>"),
    "a 404 that does not come from iP.1's API": Response(404, {}, b"<html>"),
    "307, a redirect": Response(307, {"location": "/v2/elsewhere"}, b""),
}


class Clients:
    """Clients of one key, on a clock that only their pauses move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rate = SharedRate(clock=lambda: self.now)

    def make(self, **settings: Any) -> BaseClient:
        client = BaseClient(
            Settings("c", "https://ip1.example", "key", **{"requests_per_second": 0} | settings),
            user_agent="test",
            log=logging.getLogger("retries"),
        )
        client._rate = self.rate
        return client

    def run(self, flow: Generator[Any, Any, Any], *outcomes: Response | TransportFailure) -> Any:
        """Run an operation with these outcomes of its requests, and return its result."""
        waiting, outcome = [*outcomes], None
        try:
            while True:
                step = flow.send(outcome)
                outcome = waiting.pop(0) if isinstance(step, Call) else None
                if not isinstance(step, Call):
                    self.now += step
        except StopIteration as finished:
            return finished.value


@pytest.mark.parametrize("reason", PROBLEMS)
def test_the_line_has_the_reason(reason: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clients = Clients()
    clients.run(clients.make().summary(NUMBER), PROBLEMS[reason], SUMMARY)
    [line] = caplog.messages
    assert (
        line.startswith("Requesting /v2/conversations/46***05/summary again in ")
        and f" s: {reason}" in line
        and line.endswith(".")
    )
    assert NUMBER not in line


def test_the_log_has_one_line_at_a_time_with_the_number_of_repeated_requests(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clients = Clients()
    client = clients.make()
    for seconds in (0.0, PROGRESS_INTERVAL / 2, PROGRESS_INTERVAL):
        client.clock = partial(float, 100.0 + seconds)
        clients.run(client.summary(NUMBER), *[PROBLEMS["status 503"]] * 2, SUMMARY)
    assert [line.partition(". Requests ")[2] for line in caplog.messages] == [
        "repeated so far: 1.",
        "repeated so far: 5.",
    ]


# -- a 429 pauses the key


@pytest.mark.parametrize("header", [{}, {"retry-after": "0"}, {"retry-after": "7"}])
def test_a_429_pauses_the_other_requests_of_the_key(header: dict[str, str]) -> None:
    clients = Clients()
    refused = clients.make().summary(NUMBER)
    assert isinstance(next(refused), Call)
    seconds = refused.send(Response(429, header, b""))
    assert isinstance(seconds, float)
    assert seconds == 7.0 if header.get("retry-after") == "7" else 0 < seconds <= 1
    other = clients.make(requests_per_second=20).summary(NUMBER)
    assert next(other) == seconds
    clients.now += seconds
    assert isinstance(next(other), Call)


def test_a_request_that_waited_for_its_turn_waits_for_the_key_as_well() -> None:
    clients = Clients()
    client = clients.make(requests_per_second=4)
    refused, waiting = client.summary(NUMBER), client.summary(NUMBER)
    assert isinstance(next(refused), Call)
    assert next(waiting) == 0.25
    refused.send(Response(429, {"retry-after": "7"}, b""))
    clients.now += 0.25
    assert next(waiting) == 6.75


def test_a_429_that_ends_its_call_pauses_the_key_for_a_minute_at_most() -> None:
    clients = Clients()
    with pytest.raises(IP1RateLimitError):
        clients.run(clients.make().summary(NUMBER), Response(429, {"retry-after": "3600"}, b""))
    assert next(clients.make().summary(NUMBER)) == 60.0


@pytest.mark.parametrize("status", [401, 500, 503])
def test_other_failures_do_not_pause_the_key(status: int) -> None:
    clients = Clients()
    with pytest.raises(IP1Error):
        clients.run(clients.make(max_attempts=1).summary(NUMBER), Response(status, {"retry-after": "7"}, b""))
    assert isinstance(next(clients.make().summary(NUMBER)), Call)
