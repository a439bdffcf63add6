# SPDX-License-Identifier: Apache-2.0
"""
The deadline of a notification, and of a search, whatever the server does.

The client's operation yields each request and pause. The tests decide how long it takes, so no time passes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.call import Call, Response, TransportFailure
from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.api.sent_batch import SendResult
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client.base_client import BaseClient, Flow
from airflow_provider_ip1.client.batch_search import SEARCH_SECONDS
from airflow_provider_ip1.client.outcome import time_is_up
from airflow_provider_ip1.client.send_once import send_alert, send_once
from airflow_provider_ip1.client.shared_rate import SharedRate
from airflow_provider_ip1.exceptions import IP1Error, IP1SendUnknownError, IP1ServerError

SECONDS = 15.0
REFUSED = TransportFailure("connection refused", was_sent=False)
log = logging.getLogger("alert-deadline")
log.disabled = True
#: What a server does with a request: seconds until its response, and the response. ``None``: it never responds.
Behaviour = Callable[[Call[Any]], tuple[float, Response | TransportFailure] | None]


class Played:
    """A client whose requests and pauses take no time, with a clock that they move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.posts = 0
        self.client = BaseClient(
            Settings(conn_id="ip1", base_url="https://ip1.example", api_key="key", requests_per_second=0),
            user_agent="test",
            log=log,
        )
        self.client.clock = lambda: self.now
        self.client._rate = SharedRate(clock=lambda: self.now)
        self.outgoing = OutgoingBatch(recipients="46701740605", body="Text", sender="iP1")

    def run(self, flow: Flow[Any], behave: Behaviour) -> Any:
        outcome: Response | TransportFailure | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as finished:
                return finished.value
            outcome = None
            if not isinstance(step, Call):
                self.now += step
                continue
            self.posts += step.request.method == "POST"
            answer, left = behave(step), step.seconds_left
            if answer is not None and (left is None or answer[0] < left):
                self.now += answer[0]
                outcome = answer[1]
            else:
                assert left is not None, "this request may take for ever"
                self.now += left
                outcome = time_is_up(left)

    def alert(self, behave: Behaviour, *, is_limited: bool = True) -> SendResult | None:
        result: SendResult | None = self.run(
            send_alert(self.client, self.outgoing, is_limited=is_limited, deadline=self.now + SECONDS), behave
        )
        return result


ANSWERS = st.one_of(
    st.none(),
    st.tuples(
        st.floats(0.0, 20.0),
        st.sampled_from(
            [
                REFUSED,
                TransportFailure("reset"),
                Response(200, {}, b"[]"),
                Response(404, {}, b""),
                Response(500, {}, b""),
                Response(400, {}, b"{}"),
                Response(429, {"retry-after": "30"}, b""),
                Response(201, {}, b'{"id": "b1"}'),
            ]
        ),
    ),
)


@given(st.lists(ANSWERS, min_size=1, max_size=30), st.booleans())
def test_a_notification_keeps_its_deadline(answers: list[Any], is_limited: bool) -> None:
    played, given_so_far = Played(), iter(answers)
    began = played.now
    try:
        played.alert(lambda call: next(given_so_far, None), is_limited=is_limited)
    except IP1Error:
        pass
    assert played.now - began <= SECONDS + 1e-6
    # Only a server that asks for a longer pause keeps the alert from being sent.
    assert played.posts >= 1 or any(answer and answer[1].status == 429 for answer in answers)


def test_a_server_that_never_responds() -> None:
    for is_limited in (False, True):
        played = Played()
        with pytest.raises(IP1SendUnknownError, match=r"no response within .*|did not respond in time"):
            played.alert(lambda call: None, is_limited=is_limited)
        assert played.now == pytest.approx(1015.0)
        assert played.posts == 1


def test_a_server_that_refuses_connections_has_sent_nothing() -> None:
    played = Played()
    with pytest.raises(IP1ServerError, match=r"connection refused"):
        played.alert(lambda call: (0.0, REFUSED))
    assert played.now <= 1015.0


def test_a_slow_response_is_waited_for() -> None:
    played = Played()
    sent = played.alert(lambda call: (10.0, Response(201, {}, b'{"id": "b1"}')), is_limited=False)
    assert sent is not None and sent.batch.id == "b1"


def test_a_search_ends_although_the_server_never_responds() -> None:
    played = Played()
    with pytest.raises(IP1SendUnknownError, match="This try has sent nothing"):
        played.run(send_once(played.client, played.outgoing, check_sent=True), lambda call: None)
    assert played.now - 1000.0 <= SEARCH_SECONDS + 1e-6
    assert played.posts == 0


def test_a_search_that_gets_on_may_take_longer() -> None:
    """Reading a large account takes its time, and the last look follows."""
    import json

    played, looks = Played(), [0]
    rows = [{"id": f"b{number}", "reference": None} for number in range(20_000)]

    def respond(call: Call[Any]) -> tuple[float, Response]:
        if call.request.method == "POST":
            return 0.1, Response(201, {}, b'{"id": "b1"}')
        query = dict(call.request.query)
        start, limit = int(query["start"]), int(query["limit"])
        looks[0] += start == 0
        return 4.0, Response(200, {}, json.dumps(rows[start : start + limit]).encode())

    sent = played.run(send_once(played.client, played.outgoing, check_sent=True), respond)
    assert sent.batch.id == "b1"
    assert played.now - 1000.0 > SEARCH_SECONDS
    assert looks[0] == 2
