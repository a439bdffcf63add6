# SPDX-License-Identifier: Apache-2.0
"""What both hooks tell a watch when it polls, and in which thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ip1.api.watching.watch import PollResult, Query, read_batch, read_conversation
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook
from airflow_provider_ip1.hooks.poll import poll, poll_async
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from tests.sensor_modes import connect

RESULT = PollResult("waiting", [], "")


class Times:
    """A watch that asks for nothing and remembers the latest plausible time."""

    title = subject = "nothing"

    def __init__(self) -> None:
        self.latest: list[datetime] = []

    def poll(self, latest: datetime) -> Generator[Query | PollResult, Any, None]:
        self.latest.append(latest)
        yield RESULT

    def to_dict(self) -> dict[str, Any]:
        return {}


def test_times_more_than_a_day_from_now_are_implausible() -> None:
    watch, began = Times(), datetime.now(UTC)

    async def read() -> PollResult:
        async with IP1AsyncHook() as hook:
            return await poll_async(hook, watch)

    with IP1Hook() as hook:
        assert poll(hook, watch) is asyncio.run(read()) is RESULT
    tomorrow = began + timedelta(days=1)
    assert all(tomorrow <= latest <= tomorrow + timedelta(minutes=10) for latest in watch.latest)
    assert len(watch.latest) == 2


class Threads(Times):
    """A watch that reads everything a query asks for, and remembers in which threads it did."""

    def __init__(self, query: Query) -> None:
        super().__init__()
        self.query = query
        self.threads: list[int] = []

    def poll(self, latest: datetime) -> Generator[Query | PollResult, Any, None]:
        while (yield self.query) is not None:
            self.threads.append(threading.get_ident())
        self.threads.append(threading.get_ident())
        yield RESULT


@pytest.mark.parametrize(
    "query",
    [read_batch(DEMO_BATCHES["large"][0]), read_conversation(MAIN), read_conversation(MAIN, "mo", 50)],
    ids=["batch", "conversation", "incoming"],
)
def test_the_event_loop_decodes_no_page(query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may have 10,000 rows, and the texts of 50 SMS may each take 0.05 s to search."""
    watch = Threads(query)

    async def read() -> int:
        async with IP1AsyncHook() as hook:
            await poll_async(hook, watch)
        return threading.get_ident()

    with SandboxServer(messages=130) as server:
        connect(server, monkeypatch)
        loop_thread = asyncio.run(read())
    assert len(watch.threads) >= 2
    assert loop_thread not in watch.threads
