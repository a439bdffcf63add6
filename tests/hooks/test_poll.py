# SPDX-License-Identifier: Apache-2.0
"""What both hooks tell a watch when it polls."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_ip1.api.watching.watch import PollResult, Query
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook
from airflow_provider_ip1.hooks.poll import poll, poll_async

RESULT = PollResult("waiting", (), "", has_changed=False)


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
