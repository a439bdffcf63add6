# SPDX-License-Identifier: Apache-2.0
"""The async hook in more than one event loop, and what a thread or a program does with several of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import CONN_ID

Serve = Callable[..., SandboxServer]
OTHER_LOOP = "is in use in another event loop.*await hook.close"


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def run_in(loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)


async def take(items: AsyncIterator[Any], count: int | None = None) -> list[Any]:
    taken: list[Any] = []
    async for item in items:
        taken.append(item)
        if len(taken) == count:
            break
    return taken


def test_one_hook_in_one_event_loop_after_the_other(serve: Serve) -> None:
    server = serve(messages=60)
    hook = IP1AsyncHook(CONN_ID, page_size=10)

    async def use() -> int:
        before = len(server.requests)
        # At once, so that they wait for the session together.
        results = await asyncio.gather(*[hook.get_summary(MAIN) for _ in range(5)])
        assert (await hook.test_connection())[0]
        assert len(await take(hook.iter_messages(MAIN))) == 60
        assert hook.requests_sent == len(server.requests) - before
        return sum(result.total_messages for result in results)

    assert [asyncio.run(use()) for _ in range(3)] == [300] * 3
    asyncio.run(hook.close())


@pytest.mark.parametrize("method", ["get_summary", "iter_messages", "iter_participants", "get_conn", "close"])
def test_a_second_event_loop_while_the_first_one_has_the_session(serve: Serve, method: str) -> None:
    serve(messages=30)
    hook = IP1AsyncHook(CONN_ID)

    async def use() -> Any:
        arguments = () if method in ("get_conn", "close", "iter_participants") else (MAIN,)
        result = getattr(hook, method)(*arguments)
        return await (take(result) if method.startswith("iter_") else result)

    with running_loop() as loop:
        run_in(loop, hook.get_summary(MAIN))
        with pytest.raises(IP1Error, match=OTHER_LOOP):
            asyncio.run(use())
        # Neither loop is worse off.
        run_in(loop, hook.get_summary(MAIN))
        run_in(loop, hook.close())
        asyncio.run(use())
        asyncio.run(hook.close())


@pytest.mark.parametrize("has_ended", [True, False])
@pytest.mark.parametrize("method", ["iter_pages", "iter_messages", "iter_batches", "iter_participants"])
def test_an_iterator_does_not_seem_to_be_exhausted_in_another_event_loop(
    serve: Serve, method: str, has_ended: bool
) -> None:
    serve(messages=60)
    hook = IP1AsyncHook(CONN_ID, page_size=10)
    arguments = (MAIN,) if method in ("iter_pages", "iter_messages") else ()
    iterator = getattr(hook, method)(*arguments)
    with running_loop() as loop:
        if has_ended:
            asyncio.run(take(iterator, 1))
        else:
            run_in(loop, take(iterator, 1))
        with pytest.raises(IP1Error, match=OTHER_LOOP):
            asyncio.run(take(iterator))
        if not has_ended:
            with pytest.raises(IP1Error, match=OTHER_LOOP):
                asyncio.run(iterator.aclose())
            assert run_in(loop, take(iterator))
            run_in(loop, hook.close())
