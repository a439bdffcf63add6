# SPDX-License-Identifier: Apache-2.0
"""
Several tasks that send at once: the instances of a mapped task whose list changes, and two tasks with one reference.

The requests and pauses of all of them are played, in any order, see ``test_send_once_machine``.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_ip1.api.call import Call, Response, TransportFailure
from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.client.send_once import send_once
from airflow_provider_ip1.exceptions import IP1Error
from tests.client.test_send_once_machine import LIST_DELAYS, SendingTask, StateStore, log

NUMBERS = tuple(f"4670174060{ending}" for ending in range(5))
RUNS = int(os.environ.get("SEND_ONCE_RUNS", "150"))


class Instance:
    """A task instance: the tries that it has had, and the one that runs."""

    def __init__(self, *, has_store: bool) -> None:
        self.tries = 0
        self.store = StateStore() if has_store else None
        self.flow: Any = None
        self.step: Call[Any] | float | None = None
        self.outgoing: OutgoingBatch | None = None


class ManySenders(RuleBasedStateMachine):
    """A run of a DAG, with one SMS per task instance."""

    def __init__(self) -> None:
        super().__init__()
        self.ip1 = SendingTask()  # only its server and clock
        self.instances: dict[int, Instance] = {}
        self.sent_by: Counter[int] = Counter()
        self.numbers: list[str] = []
        self.clear_number = 0
        self.reference: str | None = None

    @initialize(
        numbers=st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3, unique=True),
        shares_reference=st.booleans(),
        has_store=st.booleans(),
    )
    def begin(self, numbers: list[str], shares_reference: bool, has_store: bool) -> None:
        """A mapped task; or two tasks that use one reference for the same SMS."""
        self.has_store = has_store
        self.reference = "order-17" if shares_reference else None
        self.numbers = [NUMBERS[0], NUMBERS[0]] if shares_reference else numbers

    @property
    def active(self) -> list[int]:
        return [index for index, instance in self.instances.items() if instance.flow is not None]

    @rule(index=st.integers(0, 4), pause=st.sampled_from([0.0, 300.0]))
    def start(self, index: int, pause: float) -> None:
        if index >= len(self.numbers) or index in self.active:
            return
        self.ip1.now += pause
        instance = self.instances.setdefault(index, Instance(has_store=self.has_store))
        instance.tries += 1
        is_mapped = self.reference is None
        outgoing = OutgoingBatch(
            recipients=self.numbers[index],
            body="Text",
            sender="iP1",
            reference=self.reference,
            identity=("deployment", "dag", "run", "task"),
        )
        marker = None
        if instance.store is not None:
            marker = Marker(instance.store, outgoing, clear_number=self.clear_number, is_mapped=is_mapped, log=log)
        instance.outgoing = outgoing
        instance.flow = send_once(
            self.ip1.client,
            outgoing,
            check_sent=instance.tries > 1 or self.clear_number > 0,
            is_mapped=is_mapped,
            marker=marker,
        )
        self.resume(index, None)

    @precondition(lambda self: self.reference is None and not self.active)
    @rule(numbers=st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=5, unique=True))
    def clear_with_another_list(self, numbers: list[str]) -> None:
        """The numbers change places, so that each instance may stand for another one, or be new."""
        self.numbers = numbers
        self.clear_number += 1

    @precondition(lambda self: self.active)
    @rule(
        data=st.data(),
        steps=st.integers(1, 60),
        post=st.sampled_from(["accepted", "lost response", "lost request", "refused", "killed", "killed too late"]),
        delay=LIST_DELAYS,
    )
    def go_on(self, data: st.DataObject, steps: int, post: str, delay: float) -> None:
        """One of the instances takes some steps, of which at most one is a request to send."""
        index = data.draw(st.sampled_from(self.active))
        instance = self.instances[index]
        for _ in range(steps):
            step = instance.step
            if instance.flow is None:
                return
            if isinstance(step, float):
                self.ip1.now += step
                self.resume(index, None)
            elif isinstance(step, Call) and step.request.method == "GET":
                self.resume(index, self.ip1.respond(step.request))
            else:
                self.send(index, post, delay)
                return

    def send(self, index: int, post: str, delay: float) -> None:
        instance = self.instances[index]
        assert instance.outgoing is not None
        if post in ("accepted", "lost response", "killed too late"):
            batch = self.ip1.accept(instance.outgoing.reference, delay, instance.outgoing.recipients)
            self.sent_by[index] += 1
        if post == "accepted":
            self.resume(index, Response(201, {}, b'{"id": "%s"}' % batch.id.encode()))
        elif post.startswith("killed"):
            instance.flow = None
        else:
            self.resume(index, Response(400, {}, b"{}") if post == "refused" else TransportFailure("timed out"))

    def resume(self, index: int, outcome: Response | TransportFailure | None) -> None:
        instance = self.instances[index]
        try:
            instance.step = instance.flow.send(outcome)
        except StopIteration as finished:
            instance.flow = None
            assert instance.outgoing is not None
            (batch,) = [batch for batch in self.ip1.batches if batch.id == finished.value.batch.id]
            assert batch.recipients == [*instance.outgoing.recipients]
        except IP1Error:
            instance.flow = None

    @invariant()
    def nobody_gets_two(self) -> None:
        if self.reference is None:
            recipients = Counter(recipient for batch in self.ip1.batches for recipient in batch.recipients)
            assert not recipients or max(recipients.values()) == 1
        else:
            # Each of the two has one SMS to send.
            assert not self.sent_by or max(self.sent_by.values()) == 1


TestManySenders = ManySenders.TestCase
TestManySenders.settings = settings(max_examples=RUNS, stateful_step_count=30, suppress_health_check=list(HealthCheck))
