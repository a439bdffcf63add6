# SPDX-License-Identifier: Apache-2.0
"""A sandbox that sends, and the connection to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from airflow_provider_ip1.api import call
from airflow_provider_ip1.client import batch_search, send_once
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses that the provider chooses itself."""
    monkeypatch.setattr(call, "BACKOFF_BASE", 0.01)
    monkeypatch.setattr(batch_search, "PAUSES", (0.05, 0.1, 0.15))
    monkeypatch.setattr(send_once, "SPREAD", 0.1)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SandboxServer]]:
    """Start a sandbox with faults and connect to it: ``serve("500@1:method=POST", sender="iP1")``."""
    with ExitStack() as servers:

        def serve(*faults: str, **extra: Any) -> SandboxServer:
            server = servers.enter_context(SandboxServer(messages=30, faults=faults))
            extra = {"requests_per_second": 0, "page_size": 10, "sender": "iP1"} | extra
            monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url, **extra))
            return server

        yield serve
