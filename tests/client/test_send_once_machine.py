# SPDX-License-Identifier: Apache-2.0
"""
Sending exactly once, or reporting that the outcome is unknown, whatever happens on the way.

A state machine plays Airflow (tries, retries, cleared tasks, killed workers, the state store), the network and iP.1.
The code under test is the client's operation, which yields each request and pause, so the machine decides what becomes
of it, and no time passes. ``SEND_ONCE_RUNS`` sets the number of runs.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_ip1.api.call import Call, Response, TransportFailure
from airflow_provider_ip1.api.requests import Request
from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.api.sent_batch import SendResult
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client.base_client import BaseClient, Flow
from airflow_provider_ip1.client.outcome import time_is_up
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.client.send_once import send_once
from airflow_provider_ip1.client.shared_rate import SharedRate
from airflow_provider_ip1.exceptions import IP1Error, IP1ReferenceError, IP1SendUnknownError

NUMBER, OTHER, STRANGER = "46701740605", "46701740606", "46701740607"
TEXT = "A text that nobody may see"
TASK = ("deployment", "dag", "run", "task")
RUNS = int(os.environ.get("SEND_ONCE_RUNS", "500"))

log = logging.getLogger("send-once-machine")
log.disabled = True

# What becomes of a POST that iP.1 has not accepted.
REJECTIONS: dict[str, Response | TransportFailure] = {
    "refused connection": TransportFailure("connection refused", was_sent=False),
    "untrusted certificate": TransportFailure("not trusted", kind="settings", was_sent=False),
    "lost request": TransportFailure("timed out", was_sent=True),
    "500": Response(500, {}, b""),
    "503": Response(503, {"retry-after": "1"}, b""),
    "429": Response(429, {"retry-after": "2"}, b""),
    "429 for an hour": Response(429, {"retry-after": "3600"}, b""),
    "408": Response(408, {}, b""),
    "400": Response(400, {}, b"{}"),
    "401": Response(401, {}, b""),
    "404": Response(404, {}, b""),
    "404 of a proxy": Response(404, {}, b"<html>"),
    "404 of a gateway": Response(404, {}, b'{"statusCode": 404}'),
    "302 of a proxy": Response(302, {"location": "https://login.example.com/"}, b""),
    "200 of a proxy": Response(200, {}, b"<html>"),
}
# What comes back for a POST that iP.1 has accepted. A mapping of the batch's fields stands for a response.
ACCEPTANCES = (
    "object",
    "list",
    "location",
    "nothing",
    "odd object",
    "another reference",
    "cut",
    "cut later",
    "lost response",
    "endless response",
    "500",
    "502",
    "303",
    "307",
    "404",
    "404 of a proxy",
    "408",
)
# Seconds until iP.1 lists a batch.
LIST_DELAYS = st.sampled_from([0.0, 10.0, 30.0]) | st.floats(0, 30)
LIST_FAULTS: dict[str, Response | TransportFailure] = {
    "500": Response(500, {}, b""),
    "lost": TransportFailure("timed out"),
    "html": Response(200, {}, b"<html>"),
    "cut": Response(200, {}, b'[{"id": "1"'),
    "401": Response(401, {}, b""),
    "429": Response(429, {}, b""),
}


@dataclass
class Accepted:
    """A batch that iP.1 has accepted, listed from a moment on, and its messages from a later one."""

    id: str
    reference: str | None
    listed_at: float
    fields: dict[str, Any]
    recipients: list[str]
    complete_at: float = 0.0
    is_own: bool = False
    is_canceled: bool = False


class StateStore:
    """The state store of a task instance, which may be out of order."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.is_broken = False

    def get(self, key: str) -> Any:
        if self.is_broken:
            raise RuntimeError("no state store")
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        if self.is_broken:
            raise RuntimeError("no state store")
        self.values[key] = json.loads(json.dumps(value))


class SendingTask(RuleBasedStateMachine):
    """One task instance of Airflow, which has one SMS to send."""

    def __init__(self) -> None:
        super().__init__()
        self.client = BaseClient(
            Settings(conn_id="ip1", base_url="https://ip1.example", api_key="key", page_size=7, requests_per_second=0),
            user_agent="test",
            log=log,
        )
        self.now = 0.0
        self.client._rate = SharedRate(clock=lambda: self.now)
        self.client.clock = lambda: self.now
        self.store: StateStore | None = None
        self.clear_number = 0
        self.batches: list[Accepted] = []
        self.accepted_ever = 0
        self.tries = 0
        self.is_finished = False
        self.flow: Flow[SendResult] | None = None
        self.step: Call[Any] | float | None = None
        self.accepted_before_try = 0
        self.had_2xx = False
        # A batch that looks like the one to send and is not: it may have disappeared from the list since.
        self.had_lookalike = False
        self.is_mapped = False
        self.cuts_references = False
        self.choose(reference=None, is_mapped=False, cuts_references=False)

    def choose(self, reference: str | None, is_mapped: bool, cuts_references: bool) -> None:
        self.is_mapped = is_mapped
        self.cuts_references = cuts_references
        self.outgoing = self.outgoing_to(NUMBER, OTHER, reference=reference)

    def outgoing_to(self, *recipients: str, reference: str | None, task: tuple[str, ...] = TASK) -> OutgoingBatch:
        return OutgoingBatch(recipients=recipients, body=TEXT, sender="iP1", reference=reference, identity=task)

    @initialize(
        reference=st.sampled_from([None, None, "order-17", "order-2026-11-01-of-customer-4711-the-second"]),
        is_mapped=st.booleans(),
        cuts_references=st.booleans(),
        has_store=st.booleans(),
    )
    def begin(self, reference: str | None, is_mapped: bool, cuts_references: bool, has_store: bool) -> None:
        self.choose(reference, is_mapped, cuts_references)
        self.store = StateStore() if has_store else None

    # -- what iP.1 knows

    @property
    def own(self) -> list[Accepted]:
        return [batch for batch in self.batches if batch.is_own]

    def accept(
        self,
        reference: str | None,
        delay: float,
        recipients: Iterable[str] = (STRANGER,),
        more: float = 0.0,
        is_own: bool = False,
        **fields: Any,
    ) -> Accepted:
        self.accepted_ever += 1
        # What iP.1 has cut looks like another.
        self.had_lookalike |= self.cuts_references and reference is not None and len(reference) > 32
        batch = Accepted(
            f"5bcf4324f1a1d30d{self.accepted_ever:08x}",
            reference[:32] if reference is not None and self.cuts_references else reference,
            self.now + delay,
            {"sender": "iP1", "body": TEXT, **fields},
            list(recipients),
            self.now + delay + more,
            is_own,
        )
        self.batches.append(batch)
        return batch

    def accept_own(self, delay: float, more: float = 0.0) -> Accepted:
        return self.accept(self.outgoing.reference, delay, [*self.outgoing.recipients], more, is_own=True)

    def respond(self, request: Request) -> Response:
        query = dict(request.query)
        start, limit = int(query.get("start", 0)), int(query.get("limit", 50))
        rows: list[dict[str, Any]]
        if request.path == "/v2/me/senders":
            return Response(200, {}, b'[{"sender": "iP1"}]')
        if request.path == "/v2/batches":
            # Newest first, unless the pager counts a list that changed while it was read.
            newest_first = reversed(self.batches) if query.get("order") == "DESC" else self.batches
            rows = [
                batch.fields
                | {"id": batch.id, "reference": batch.reference, "status": 203 if batch.is_canceled else 101}
                for batch in newest_first
                if batch.listed_at <= self.now
            ]
        elif request.path.count("/") == 3:
            # One batch, which iP.1 may show only when it lists it.
            shown = [batch for batch in self.batches if batch.id in request.path and batch.listed_at <= self.now]
            if not shown:
                return Response(404, {}, b"")
            code = 203 if shown[0].is_canceled else 101
            return Response(200, {}, json.dumps(shown[0].fields | {"id": shown[0].id, "status": code}).encode())
        else:
            named = [batch for batch in self.batches if batch.id in request.path]
            if not named:  # deleted since it was listed
                return Response(404, {}, b"")
            batch = named[0]
            recipients = batch.recipients if batch.complete_at <= self.now else batch.recipients[:1]
            rows = [
                {"id": f"{batch.id}-{number}", "recipient": recipient, "segments": 1}
                for number, recipient in enumerate(recipients)
            ]
        return Response(200, {}, json.dumps(rows[start : start + limit]).encode())

    # -- what Airflow does

    def resume(self, outcome: Response | TransportFailure | None) -> None:
        assert self.flow is not None
        try:
            self.step = self.flow.send(outcome)
        except StopIteration as finished:
            self.finish_try(finished.value)
        except IP1Error as error:
            self.fail_try(error)

    def finish_try(self, sent: SendResult) -> None:
        self.flow = self.step = None
        self.is_finished = True
        assert [batch.id for batch in self.own] == [sent.batch.id]
        assert (sent.recipients, sent.segments) == (2, 1)
        if sent.reused:
            assert self.accepted_before_try == 1

    def fail_try(self, error: IP1Error) -> None:
        self.flow = self.step = None
        assert TEXT not in str(error)
        assert NUMBER not in str(error)
        if isinstance(error, IP1SendUnknownError):
            # Airflow must not try again then.
            assert error.was_accepted is self.had_2xx
        else:
            # The error says that this try has sent nothing.
            assert len(self.own) == self.accepted_before_try
        if isinstance(error, IP1ReferenceError):
            assert self.had_lookalike

    @property
    def is_posting(self) -> bool:
        return isinstance(self.step, Call) and self.step.request.method == "POST"

    @property
    def is_listing(self) -> bool:
        return isinstance(self.step, Call) and self.step.request.method == "GET"

    @precondition(lambda self: self.flow is None)
    @rule(pause=st.sampled_from([0.0, 300.0]))
    def start_try(self, pause: float) -> None:
        """Airflow starts the task: for the first time, after a failed or killed try, or because it was cleared."""
        self.now += pause
        self.tries += 1
        self.accepted_before_try = len(self.own)
        self.had_2xx = False
        marker = None
        if self.store is not None:
            marker = Marker(
                self.store, self.outgoing, clear_number=self.clear_number, is_mapped=self.is_mapped, log=log
            )
        self.flow = send_once(
            self.client, self.outgoing, check_sent=self.tries > 1, is_mapped=self.is_mapped, marker=marker
        )
        self.resume(None)

    @precondition(lambda self: self.flow is None)
    @rule()
    def clear_task(self) -> None:
        self.clear_number += 1

    @precondition(lambda self: self.store)
    @rule()
    def markers_expire(self) -> None:
        assert self.store is not None
        self.store.values.clear()

    @precondition(lambda self: self.store)
    @rule()
    def break_or_repair_the_store(self) -> None:
        """If it breaks during a try, the marker of a request that iP.1 has accepted may not be written."""
        assert self.store is not None
        self.store.is_broken = not self.store.is_broken

    @precondition(lambda self: self.flow is not None)
    @rule()
    def kill_worker(self) -> None:
        """Nothing of the try is left. What it has sent stays sent."""
        self.flow = self.step = None

    @precondition(lambda self: self.is_posting)
    @rule(delay=LIST_DELAYS)
    def kill_worker_while_the_request_is_on_its_way(self, delay: float) -> None:
        self.accept_own(delay)
        self.kill_worker()

    @precondition(lambda self: isinstance(self.step, float))
    @rule()
    def wait(self) -> None:
        assert isinstance(self.step, float)
        self.now += self.step
        self.resume(None)

    @precondition(lambda self: self.flow is not None and not self.is_posting)
    @rule(steps=st.integers(10, 100))
    def look_undisturbed(self, steps: int) -> None:
        """Many steps of a search, so that searches often get to their end."""
        for _ in range(steps):
            if isinstance(self.step, float):
                self.wait()
            elif self.is_listing:
                self.list_batches()

    # -- what becomes of requests

    @precondition(lambda self: self.is_posting)
    @rule(fault=st.sampled_from(sorted(REJECTIONS)))
    def reject(self, fault: str) -> None:
        self.had_2xx = fault == "200 of a proxy"
        self.resume(REJECTIONS[fault])

    @precondition(lambda self: self.is_posting)
    @rule(shape=st.sampled_from(ACCEPTANCES), delay=LIST_DELAYS, more=st.sampled_from([0.0, 5.0]))
    def accept_batch(self, shape: str, delay: float, more: float) -> None:
        assert isinstance(self.step, Call)
        body = json.loads(self.step.request.body or b"")
        assert (body["recipients"], body["body"]) == ([NUMBER, OTHER], TEXT)
        assert body["reference"] == self.outgoing.reference
        batch = self.accept_own(min(delay, 30 - more), more)
        whole: dict[str, Any] = body | {"id": batch.id, "status": 101}
        headers = {"location": f"https://ip1.example/v2/batches/{batch.id}"}
        outcomes: dict[str, Response | TransportFailure] = {
            "object": Response(201, {}, json.dumps(whole).encode()),
            "list": Response(200, {}, json.dumps([whole]).encode()),
            "location": Response(201, headers, b""),
            "nothing": Response(202, {}, b""),
            "odd object": Response(200, {}, json.dumps(whole | {"status": "Accepted", "tags": 7}).encode()),
            "another reference": Response(200, {}, json.dumps(whole | {"reference": "another"}).encode()),
            "cut later": TransportFailure("cut", status=201),
            "cut": Response(200, {}, json.dumps(whole).encode()[:20]),
            "lost response": TransportFailure("connection reset", was_sent=True),
            "endless response": TransportFailure("too large", kind="response", was_sent=True),
            "500": Response(500, {}, b""),
            "502": Response(502, {}, b"<html>"),
            "303": Response(303, headers, b""),
            "307": Response(307, {"location": "/v2/batches/"}, b""),
            "404": Response(404, {}, b"{}"),
            "404 of a proxy": Response(404, {}, b"default backend - 404"),
            "408": Response(408, {}, b""),
        }
        outcome = outcomes[shape]
        self.had_2xx = outcome.status is not None and 200 <= outcome.status < 300
        self.resume(outcome)

    @precondition(lambda self: self.is_listing)
    @rule()
    def list_batches(self) -> None:
        assert isinstance(self.step, Call)
        self.resume(self.respond(self.step.request))

    @precondition(lambda self: self.is_listing)
    @rule(fault=st.sampled_from(sorted(LIST_FAULTS)))
    def fail_list(self, fault: str) -> None:
        self.resume(LIST_FAULTS[fault])

    @precondition(lambda self: self.is_listing and self.step.seconds_left is not None)
    @rule()
    def never_respond(self) -> None:
        assert isinstance(self.step, Call) and self.step.seconds_left is not None
        self.now += self.step.seconds_left
        self.resume(time_is_up(self.step.seconds_left))

    @precondition(lambda self: self.is_listing)
    @rule(seconds=st.sampled_from([5.0, 14.0, 40.0]))
    def list_slowly(self, seconds: float) -> None:
        assert isinstance(self.step, Call)
        response = self.respond(self.step.request)
        left = self.step.seconds_left
        if left is not None and left <= seconds:
            self.never_respond()
        else:
            self.now += seconds
            self.resume(response)

    @precondition(lambda self: self.flow is not None and not self.is_posting)
    @rule(fault=st.sampled_from(sorted(LIST_FAULTS)), steps=st.integers(10, 100))
    def fail_every_list(self, fault: str, steps: int) -> None:
        """The list stays unreadable for many steps of a search."""
        for _ in range(steps):
            if isinstance(self.step, float):
                self.wait()
            elif self.is_listing:
                self.fail_list(fault)

    @rule(count=st.sampled_from([1, 7, 60]))
    def others_send(self, count: int) -> None:
        """Other tasks of the account send, also between two pages of the list."""
        for number in range(count):
            self.accept(f"other-{number}" if number % 2 else None, 0)

    @rule(kind=st.sampled_from(["recipients", "sender", "text", "same task", "deployment", "beginning"]))
    def others_send_alike(self, kind: str) -> None:
        """Others send what looks like this SMS: with the same reference, or from the same task."""
        self.had_lookalike = True
        reference = self.outgoing.reference
        is_default = self.outgoing.covers_recipients
        if kind == "recipients" and not is_default:
            self.accept(reference, 0, [NUMBER])
        elif kind == "sender":
            self.accept(reference, 0, self.outgoing.recipients, sender="Other")
        elif kind == "text" and self.is_mapped:
            self.accept(reference, 0, self.outgoing.recipients, body="Another text")
        elif kind == "same task" and is_default:
            self.accept(self.outgoing_to(STRANGER, reference=None).reference, 0)
        elif kind == "deployment" and is_default:
            other = self.outgoing_to(NUMBER, OTHER, reference=None, task=("other", *TASK[1:]))
            self.accept(other.reference, 0, self.outgoing.recipients)
        elif kind == "beginning":
            self.accept(reference[:-1], 0, self.outgoing.recipients)

    @precondition(lambda self: any(not batch.is_own for batch in self.batches))
    @rule(count=st.integers(1, 10))
    def others_cancel(self, count: int) -> None:
        """The newest batches disappear from the list, which moves the older ones up."""
        for batch in [batch for batch in self.batches if not batch.is_own][-count:]:
            self.batches.remove(batch)

    @precondition(lambda self: self.own and self.flow is None and not self.is_finished)
    @rule()
    def somebody_cancels(self) -> None:
        """A person cancels the batch in the portal. A further try must not report it as sent."""
        self.own[0].is_canceled = self.had_lookalike = True

    # -- what must hold

    @invariant()
    def at_most_one_batch(self) -> None:
        assert len(self.own) <= 1

    @invariant()
    def sent_means_sent(self) -> None:
        assert not self.is_finished or (len(self.own) == 1 and not self.own[0].is_canceled)


TestSendingTask = SendingTask.TestCase
TestSendingTask.settings = settings(max_examples=RUNS, stateful_step_count=40, suppress_health_check=list(HealthCheck))


def test_a_search_before_sending_covers_every_batch() -> None:
    task = SendingTask()
    task.start_try(pause=0.0)
    task.kill_worker_while_the_request_is_on_its_way(delay=0.0)
    for _ in range(20):
        task.others_send(count=60)
    task.start_try(pause=300.0)
    while task.flow is not None:
        assert task.is_listing
        task.list_batches()
    assert task.is_finished


def test_only_the_first_look_covers_every_batch() -> None:
    task = SendingTask()
    for _ in range(30):
        task.others_send(count=60)
    task.tries = 1  # so that the next one looks first
    task.start_try(pause=300.0)
    looks = [0]
    while not task.is_posting:
        if isinstance(task.step, float):
            task.wait()
            looks.append(0)
        else:
            looks[-1] += 1
            task.list_batches()
    # Pages of 7 overlap by one.
    assert looks[0] >= 1800 / 6
    assert len(looks) == 6 and all(1000 / 7 < look < 1000 / 6 + 5 for look in looks[1:])
