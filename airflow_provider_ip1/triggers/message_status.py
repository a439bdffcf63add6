# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for message statuses on the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.watching.poll_schedule import PollSchedule
from airflow_provider_ip1.api.watching.status_rule import StatusArgument, StatusRule
from airflow_provider_ip1.api.watching.target import Target
from airflow_provider_ip1.api.watching.wait import Wait, WaitResult, check_not_found_timeout, error_event
from airflow_provider_ip1.api.watching.watch import PollResult, Require, Watch, check_expected_count, check_require
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook
from airflow_provider_ip1.hooks.poll import poll_async


class MessageStatusTrigger(BaseTrigger):
    """
    Polls iP.1 until messages have reached a status, have failed, or time is up.

    Its serialized arguments are JSON values, and it keeps no other state. It may therefore move to another triggerer at
    any time, and may run twice, because it only reads.

    It sends one event, a dictionary of at most 4 KB without personal data. Its ``status`` is ``success`` or ``failure``
    (with ``messages``, or with their ``count`` if they do not fit), ``timeout``, or ``error`` (with the name of the
    exception in ``error``). Every event except a success has a ``text``.

    :param participant: phone number with country code, or sender name.
    :param batch_id: id of a batch.
    :param message_id: id of a message.
    :param reference: your own reference, given when the messages were sent.
    :param expected: status codes and categories that end the wait as a success. Default ``delivered``.
    :param failed: status codes and categories that end the wait as a failure. Default: every terminal category that is
        not expected.
    :param require: ``all`` (default) or ``any`` of the messages.
    :param expected_count: for a batch or reference, how many messages have to exist before the wait can end with
        ``require="all"``. Default: unknown.
    :param not_found_timeout: seconds or a timedelta. When iP.1 has not known any of the messages for that long, counted
        from ``known_at``, the wait ends with an ``IP1NotFoundError``. Default one hour; ``None`` means never.
    :param known_at: when iP.1 last returned one of the messages, in seconds since 1970. Default: ``started_at``.
    :param ip1_conn_id: Airflow connection. The trigger looks it up for each poll, so its key can be changed during the
        wait. Default ``ip1_default``.
    :param deadline: end of the wait, in seconds since 1970.
    :param started_at: start of the wait, in seconds since 1970.
    :param poll_at: when to poll first, in seconds since 1970. If that has passed (default 0), the trigger polls within
        seconds.
    :param poke_interval: seconds between polls, 0 or more. Values below 1 count as 1. Default 60.
    :param exponential_backoff: whether pauses grow from poll to poll. Default no.
    :param max_wait: the longest pause in seconds with ``exponential_backoff``. Default: no limit.
    :param silent_fail: whether to wait out errors until the deadline, as a poking sensor does. Default no.
    :param failures: failed polls in a row before this trigger started. Default 0.
    :param state: what the worker has found already, as the sensor passes it on.
    """

    def __init__(
        self,
        *,
        deadline: float,
        started_at: float,
        participant: str | None = None,
        batch_id: str | None = None,
        message_id: str | None = None,
        reference: str | None = None,
        expected: StatusArgument = "delivered",
        failed: StatusArgument | None = None,
        require: Require = "all",
        expected_count: int | None = None,
        not_found_timeout: timedelta | float | None = timedelta(hours=1),
        known_at: float | None = None,
        ip1_conn_id: str = IP1AsyncHook.default_conn_name,
        poll_at: float = 0.0,
        poke_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        silent_fail: bool = False,
        failures: int = 0,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.participant = participant
        self.batch_id = batch_id
        self.message_id = message_id
        self.reference = reference
        self.expected = expected
        self.failed = failed
        self.require = require
        self.expected_count = expected_count
        self.not_found_timeout = check_not_found_timeout(not_found_timeout)
        self.known_at = known_at
        self.ip1_conn_id = ip1_conn_id
        self.deadline = deadline
        self.started_at = started_at
        self.poll_at = poll_at
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.silent_fail = silent_fail
        self.failures = failures
        self.state = state

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:return: the import path of this class, and its arguments as JSON values."""
        names = (
            *("participant", "batch_id", "message_id", "reference", "expected", "failed", "require", "ip1_conn_id"),
            *("expected_count", "not_found_timeout", "known_at"),
            *("deadline", "started_at", "poll_at", "poke_interval", "exponential_backoff", "max_wait", "silent_fail"),
            *("failures", "state"),
        )
        arguments = {name: getattr(self, name) for name in names}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def __repr__(self) -> str:
        # Airflow logs it, and the inherited one shows all arguments.
        what = self.message_id or self.batch_id or mask_number(str(self.reference))
        return f"<{type(self).__name__} {what} until {self.deadline:.0f}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and send one event."""
        try:
            # Close the hook before sending the event: Airflow may not come back to the generator afterwards.
            async with IP1AsyncHook(self.ip1_conn_id) as hook:
                event = (await self._wait(hook)).as_event()
        except IP1Error as error:
            event = error_event(type(error).__name__, str(error))
        except Exception as error:
            # Without an event the task would only see "trigger failure", and soft_fail would turn that into a skip.
            self.log.exception("The trigger failed with an unexpected error")
            text = f"The trigger failed: {type(error).__name__}. See the log of the triggerer for details."
            event = error_event(IP1Error.__name__, text)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self, hook: IP1AsyncHook) -> WaitResult:
        target = Target(self.participant, self.batch_id, self.message_id, self.reference)
        rule = StatusRule.from_arguments(self.expected, self.failed)
        schedule = PollSchedule(
            poke_interval=self.poke_interval,
            deadline=self.deadline,
            started_at=self.started_at,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait,
            never_gives_up=self.silent_fail,
            failures=self.failures,
        )
        expected_count = check_expected_count(self.expected_count, target)
        wait = Wait(
            Watch(target, rule, check_require(self.require), expected_count, self.state),
            schedule,
            known_at=self.started_at if self.known_at is None else self.known_at,
            not_found_timeout=self.not_found_timeout,
        )
        self.log.info("%s", wait)
        now = time.time()
        steps = wait.steps(schedule.first_poll(self.poll_at, now), now)
        step = next(steps)
        while True:
            for level, text in step.lines:
                self.log.log(level, "%s", text)
            if isinstance(step, WaitResult):
                return step
            # Even if the poll is overdue, this gives the other triggers in the event loop their turn.
            await asyncio.sleep(max(0.0, step.until - time.time()))
            outcome = await self._poll(hook, wait.watch) if step.polls else None
            step = steps.send((outcome, time.time()))

    async def _poll(self, hook: IP1AsyncHook, watch: Watch) -> PollResult | IP1Error:
        try:
            await hook.reload_connection()
            return await poll_async(hook, watch)
        except IP1Error as error:
            return error
