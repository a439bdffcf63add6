# SPDX-License-Identifier: Apache-2.0
"""Requests that are sent again: what the log says about them, and what a 429 means for other requests."""

from __future__ import annotations

import gc
import logging
import re
import threading
from collections.abc import Generator
from typing import Any

import pytest

from airflow_provider_ip1.api.call import Call, Response, TransportFailure
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client.base_client import BaseClient
from airflow_provider_ip1.client.logs import MAX_REASONS, PROGRESS_INTERVAL, RetryLog
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


def test_more_lines_of_the_same_time_are_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    log = RetryLog(logging.getLogger("retries"), clock=lambda: now)
    for number in range(41):
        log.add("a page", 0.5, "status 503" if number % 4 else "429, too many requests")
    assert caplog.messages == ["Requesting a page again in 0.5 s: 429, too many requests."]
    now += PROGRESS_INTERVAL
    log.add("a page", 2.0, "the end")
    log.finish()
    log.finish()
    assert caplog.messages[1:] == [
        "Requested 40 more times again: status 503 (30x), 429, too many requests (10x).",
        "Requesting a page again in 2.0 s: the end.",
    ]


def test_the_end_has_what_was_not_yet_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = RetryLog(logging.getLogger("retries"), clock=lambda: 100.0)
    for number in range(MAX_REASONS + 4):
        log.add("a page", 0.5, f"reason {number}")
    log.finish()
    assert len(caplog.messages) == 2
    assert caplog.messages[1].startswith("Requested 8 more times again: reason 1 (1x), ")
    assert caplog.messages[1].endswith(", and 3 other reasons.")


def test_the_garbage_collector_may_end_another_read_at_any_time(caplog: pytest.LogCaptureFixture) -> None:
    """An abandoned read in a cycle of references ends in the middle of any allocation."""
    caplog.set_level(logging.INFO)
    log = RetryLog(logging.getLogger("retries"))

    def collected(_phase: str, _info: dict[str, int]) -> None:
        if threading.current_thread() is thread:
            log.finish()

    def count_and_finish() -> None:
        for _ in range(100):
            log.add("a page", 0.5, "status 503")
            log.finish()

    # A daemon, so that a deadlock ends with the tests.
    thread = threading.Thread(target=count_and_finish, daemon=True)
    threshold = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        thread.start()
        thread.join(60)
    finally:
        gc.callbacks.remove(collected)
        gc.set_threshold(*threshold)
    assert not thread.is_alive()
    assert sum(map(int, re.findall(r"Requested (\d+) more", caplog.text))) == 99


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
