# SPDX-License-Identifier: Apache-2.0
"""
What a wait does between two decisions, with each of the hooks: it sleeps and polls.

The wait decides when to poll, and its watch what to request. The functions only sleep, send the queries and pass on
the responses.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_ip1.api.watching.wait import Wait
from airflow_provider_ip1.api.watching.watch import PollResult, Query, ReadMessage, Watch
from airflow_provider_ip1.api.wording import Log
from airflow_provider_ip1.exceptions import IP1Error, IP1NotFoundError, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message
    from airflow_provider_ip1.api.paging.page import Page
    from airflow_provider_ip1.client.base_client import BaseClient, Flow
    from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook


def wait_a_turn(ip1_conn_id: str, wait: Wait[Any], log: Log, *, least: int = 0) -> PollResult | IP1Error | None:
    """
    Sleep until the wait wants to wake up, poll if a poll is due, and let the wait go on.

    :param ip1_conn_id: the connection. It is looked up for each poll, because its key may have been changed.
    :param wait: the wait.
    :param log: gets its lines.
    :param least: a poll that finds fewer messages counts as failed.
    :return: the outcome of the poll; ``None`` if none was due.
    :raises IP1Error: the wait ends with this error.
    """
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

    time.sleep(max(0.0, wait.wake_at - time.time()))
    outcome: PollResult | IP1Error | None = None
    if time.time() >= wait.poll_at:
        # Return errors to the wait instead of raising them here, so that no other exception becomes their context.
        try:
            with IP1Hook(ip1_conn_id) as hook:
                outcome = poll(hook, wait.watch)
            if len(outcome.messages) < least:
                outcome = IP1ResponseError(f"iP.1 returned only {len(outcome.messages)} of {least} messages.")
        except IP1Error as error:
            outcome = error
    wait.take(outcome, time.time(), log)
    return outcome


async def wait_a_turn_async(
    hook: IP1AsyncHook, wait: Wait[Any], log: Log, *, wake_at: float = math.inf
) -> PollResult | IP1Error | None:
    """
    Like :func:`wait_a_turn`, for :class:`IP1AsyncHook`.

    An unexpected exception counts as an :class:`IP1Error`, because Airflow restarts an event trigger that ends at once,
    without a pause.

    :param hook: sends the requests. The connection is looked up for each poll.
    :param wait: the wait.
    :param log: gets its lines.
    :param wake_at: when to return at the latest, in seconds since 1970.
    """
    # Even if the poll is overdue, this gives the other triggers in the event loop their turn.
    await asyncio.sleep(max(0.0, min(wait.wake_at, wake_at) - time.time()))
    outcome: PollResult | IP1Error | None = None
    if time.time() >= wait.poll_at:
        try:
            await hook.reload_connection()
            outcome = await poll_async(hook, wait.watch)
        except IP1Error as error:
            outcome = error
        except Exception as error:
            log.warning("The poll failed with an unexpected error.", exc_info=True)
            outcome = IP1Error(f"The poll failed: {type(error).__name__}. See the log of the triggerer for details.")
    wait.take(outcome, time.time(), log)
    return outcome


def poll(hook: IP1Hook, watch: Watch) -> PollResult:
    """
    Poll iP.1 once.

    :param hook: sends the requests.
    :param watch: what to look for.
    :return: what was found.
    :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
    """
    steps = watch.poll(_latest_time())
    step = next(steps)
    while not isinstance(step, PollResult):
        query, client = step, hook.client
        next_response = _responses(client, query)
        while step is query:
            step = steps.send(client.run(next_response()))
    return step


async def poll_async(hook: IP1AsyncHook, watch: Watch) -> PollResult:
    """Like :func:`poll`, for :class:`IP1AsyncHook`."""
    steps = watch.poll(_latest_time())
    step = next(steps)
    while not isinstance(step, PollResult):
        query, client = step, await hook.get_client()
        next_response = _responses(client, query)
        while step is query:
            # Decoding a large page, or searching many texts for a pattern, would block the other triggers.
            step = await asyncio.to_thread(steps.send, await client.run(next_response()))
    return step


def _latest_time() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC) + timedelta(days=1)


def _responses(client: BaseClient, query: Query) -> Callable[[], Flow[Page | Message | None]]:
    """Return what reads the next response to a query, and returns ``None`` after the last one."""
    from airflow_provider_ip1.client.base_client import ListReading

    if isinstance(query, ReadMessage):
        return lambda: _message(client, query)
    return ListReading(client, query).next_page


def _message(client: BaseClient, query: ReadMessage) -> Flow[Message | None]:
    try:
        return (yield from client.message(query.batch_id, query.message_id))
    except IP1NotFoundError:
        return None
