# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for message statuses on the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.waiting import (
    Patience,
    Require,
    Standing,
    StatusArgument,
    StatusRule,
    Target,
    Watch,
    check_require,
    missing_connection,
)
from airflow_provider_ip1.exceptions import IP1Error, IP1NotFoundError
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook


class MessageStatusTrigger(BaseTrigger):
    """
    Polls iP.1 until messages have reached a status, have failed, or time is up.

    All arguments are JSON values. Nothing else is kept, so the trigger may move to another triggerer at any time, and
    may run twice: it only reads.

    Sends one event, a dictionary with ``status``: ``success`` or ``failure`` (with ``messages``), ``timeout`` or
    ``error`` (with ``error``, the name of the exception), each but the first with a ``text``. Nothing in it is
    personal.

    :param participant: phone number with country code, or sender name.
    :param batch_id: id of a batch.
    :param message_id: id of a message.
    :param reference: your own reference, given when the messages were sent.
    :param expected: status codes and categories that end the wait well. Default ``delivered``.
    :param failed: status codes and categories that end it badly. Default: every terminal category not expected.
    :param require: ``all`` (default) or ``any`` of the messages.
    :param ip1_conn_id: Airflow connection; looked up anew for each poll, so that its key may be changed meanwhile.
    :param deadline: end of the wait, seconds since 1970.
    :param started_at: its beginning, seconds since 1970.
    :param poll_at: when to poll first, seconds since 1970. Where that has passed, as by default, it is within seconds.
    :param poke_interval: seconds between polls, 0 or more (less than 1 counts as 1). Default 60.
    :param exponential_backoff: wait longer from poll to poll. Default no.
    :param max_wait: most seconds between polls with ``exponential_backoff``. Default: no limit.
    :param silent_fail: wait errors out until the deadline, as a poking sensor does. Default no.
    :param failures: failed polls in a row before this trigger began. Default 0.
    :param state: what the worker found already, as the sensor hands it over.
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
        """:return: the path of this class, and the arguments as JSON values."""
        names = (
            *("participant", "batch_id", "message_id", "reference", "expected", "failed", "require", "ip1_conn_id"),
            *("deadline", "started_at", "poll_at", "poke_interval", "exponential_backoff", "max_wait", "silent_fail"),
            *("failures", "state"),
        )
        arguments = {name: getattr(self, name) for name in names}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def __repr__(self) -> str:
        # The inherited one shows all arguments, and Airflow logs it.
        what = self.message_id or self.batch_id or mask_number(str(self.reference))
        return f"<{type(self).__name__} {what} until {self.deadline:.0f}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and send one event."""
        try:
            # Closed before the event goes out: whoever takes it need not come back for more.
            async with IP1AsyncHook(self.ip1_conn_id) as hook:
                event = await self._wait(hook)
        except IP1Error as error:
            event = {"status": "error", "error": type(error).__name__, "text": str(error)}
        except Exception as error:
            # Without an event the task would only learn "trigger failure", and a sensor with soft_fail would skip it.
            self.log.exception("The wait was ended by an error that is not iP.1's")
            text = f"The trigger failed: {type(error).__name__}. The log of the triggerer has more."
            event = {"status": "error", "error": IP1Error.__name__, "text": text}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self, hook: IP1AsyncHook) -> dict[str, Any]:
        watch = Watch(
            Target(self.participant, self.batch_id, self.message_id, self.reference),
            StatusRule.read(self.expected, self.failed),
            check_require(self.require),
            self.state,
        )
        patience = Patience(
            poke_interval=self.poke_interval,
            deadline=self.deadline,
            started_at=self.started_at,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait,
            never_gives_up=self.silent_fail,
            failures=self.failures,
        )
        poll_at: float | None = patience.first_poll(self.poll_at, time.time())
        last_text = "no poll yet"
        while poll_at is not None:
            # Even where a poll is due, the others in this event loop get their turn.
            await asyncio.sleep(max(0.0, poll_at - time.time()))
            try:
                standing = await self._poll(hook, watch)
            except IP1Error as error:
                problem = error
            else:
                self._tell(standing)
                if standing.verdict == "reached":
                    return {"status": "success", "messages": standing.as_dicts()}
                if standing.verdict == "failed":
                    return {"status": "failure", "messages": standing.as_dicts(), "text": standing.text}
                last_text = standing.text
                poll_at = patience.after_answer(time.time())
                continue
            poll_at = patience.after_failure(problem, time.time())
            last_text = str(problem)
            self.log.warning("Poll failed (%s in a row): %s", patience.failures, problem)
        return {"status": "timeout", "text": last_text}

    async def _poll(self, hook: IP1AsyncHook, watch: Watch) -> Standing:
        await self._reload(hook)
        poll = watch.poll()
        if poll.conversation is not None:
            async for _ in hook.iter_pages_of([poll.conversation], order="DESC", is_last_page=poll.take_page):
                pass  # nothing but take_page looks at the pages
        if poll.batch is not None:
            async for message in hook.iter_batch_messages(poll.batch):
                poll.take(message)
        for batch_id, message_id in poll.single_messages:
            try:
                poll.take(await hook.get_message(batch_id, message_id))
            except IP1NotFoundError:
                continue  # not there yet
        return poll.finish()

    async def _reload(self, hook: IP1AsyncHook) -> None:
        try:
            await hook.reload_connection()
            await hook.get_settings()
            return
        except AirflowNotFoundException:
            pass
        raise missing_connection(self.ip1_conn_id)

    def _tell(self, standing: Standing) -> None:
        for warning in standing.warnings:
            self.log.warning("%s", warning)
        if standing.has_changed:
            self.log.info("%s", standing.text)
