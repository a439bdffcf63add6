# SPDX-License-Identifier: Apache-2.0
"""The trigger that continues the wait of a deferred sensor."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Required, TypedDict

from airflow_provider_ip1.api.watching.poll_schedule import PollSchedule
from airflow_provider_ip1.api.watching.wait import Wait, WaitResult, error_event
from airflow_provider_ip1.api.watching.watch import Pollable, PollResult
from airflow_provider_ip1.compat import BaseTrigger, TriggerEvent
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook
from airflow_provider_ip1.hooks.poll import poll_async


class ScheduleArguments(TypedDict, total=False):
    """The arguments of :class:`BasePollingTrigger`."""

    deadline: Required[float]
    started_at: Required[float]
    ip1_conn_id: str
    poll_at: float
    poke_interval: float
    exponential_backoff: bool
    max_wait: float | None
    silent_fail: bool
    failures: int


class BasePollingTrigger(BaseTrigger):
    """
    Polls iP.1 until a wait ends, and sends one event.

    Its serialized arguments are JSON values, and it keeps no other state. It may therefore move to another triggerer at
    any time, and may run twice, because it only reads.

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
    """

    #: The names of the arguments that a subclass adds.
    own_arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        deadline: float,
        started_at: float,
        ip1_conn_id: str = IP1AsyncHook.default_conn_name,
        poll_at: float = 0.0,
        poke_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        silent_fail: bool = False,
        failures: int = 0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ip1_conn_id = ip1_conn_id
        self.deadline = deadline
        self.started_at = started_at
        self.poll_at = poll_at
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.silent_fail = silent_fail
        self.failures = failures

    @property
    @abstractmethod
    def subject(self) -> str:
        """What the trigger waits for, for logs: without a complete phone number."""

    @abstractmethod
    def make_wait(self) -> Wait[Any]:
        """:return: the wait that the arguments describe."""

    def make_schedule(self) -> PollSchedule:
        """:return: when to poll, and until when."""
        return PollSchedule(
            poke_interval=self.poke_interval,
            deadline=self.deadline,
            started_at=self.started_at,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait,
            never_gives_up=self.silent_fail,
            failures=self.failures,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:return: the import path of this class, and its arguments as JSON values."""
        names = (
            *self.own_arguments,
            *("ip1_conn_id", "deadline", "started_at", "poll_at", "poke_interval", "exponential_backoff", "max_wait"),
            *("silent_fail", "failures"),
        )
        arguments = {name: getattr(self, name) for name in names}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def __repr__(self) -> str:
        # Airflow logs it, and the inherited one shows all arguments.
        return f"<{type(self).__name__} {self.subject} until {self.deadline:.0f}>"

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
        wait = self.make_wait()
        self.log.info("%s", wait)
        now = time.time()
        steps = wait.steps(wait.schedule.first_poll(self.poll_at, now), now)
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

    async def _poll(self, hook: IP1AsyncHook, watch: Pollable) -> PollResult | IP1Error:
        try:
            await hook.reload_connection()
            return await poll_async(hook, watch)
        except IP1Error as error:
            return error
