# SPDX-License-Identifier: Apache-2.0
"""
One poll of a watch, for each of the hooks.

The watch decides what to request. The two functions only send its queries and pass it the responses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_ip1.api.watching.watch import (
    BATCH_PAGE_SIZE,
    Pollable,
    PollResult,
    Query,
    ReadBatch,
    ReadConversation,
)
from airflow_provider_ip1.exceptions import IP1NotFoundError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.messages import Message
    from airflow_provider_ip1.api.paging.page import Page
    from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook


def poll(hook: IP1Hook, watch: Pollable) -> PollResult:
    """
    Poll iP.1 once.

    :param hook: sends the requests.
    :param watch: what to look for.
    :return: what was found.
    :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
    """
    steps = watch.poll()
    step = next(steps)
    while not isinstance(step, PollResult):
        query = step
        with closing(_responses(hook, query)) as responses:
            for response in responses:
                step = steps.send(response)
                if step is not query:
                    break
            else:
                step = steps.send(None)
    return step


def _responses(hook: IP1Hook, query: Query) -> Generator[Page | Message, None, None]:
    if isinstance(query, ReadConversation):
        with closing(hook.iter_pages(query.participant, **_options(query))) as pages:
            yield from pages
    elif isinstance(query, ReadBatch):
        yield from hook.iter_batch_messages(query.batch_id, page_size=BATCH_PAGE_SIZE)
    else:
        with suppress(IP1NotFoundError):
            yield hook.get_message(query.batch_id, query.message_id)


async def poll_async(hook: IP1AsyncHook, watch: Pollable) -> PollResult:
    """Like :func:`poll`, for :class:`IP1AsyncHook`."""
    steps = watch.poll()
    step = next(steps)
    while not isinstance(step, PollResult):
        query = step
        async with aclosing(_responses_async(hook, query)) as responses:
            async for response in responses:
                step = steps.send(response)
                if step is not query:
                    break
            else:
                step = steps.send(None)
    return step


async def _responses_async(hook: IP1AsyncHook, query: Query) -> AsyncGenerator[Page | Message, None]:
    if isinstance(query, ReadConversation):
        async with aclosing(hook.iter_pages(query.participant, **_options(query))) as pages:
            async for page in pages:
                yield page
    elif isinstance(query, ReadBatch):
        async for message in hook.iter_batch_messages(query.batch_id, page_size=BATCH_PAGE_SIZE):
            yield message
    else:
        with suppress(IP1NotFoundError):
            yield await hook.get_message(query.batch_id, query.message_id)


def _options(query: ReadConversation) -> dict[str, Any]:
    return {"direction": query.direction, "order": "DESC", "page_size": query.page_size}
