# SPDX-License-Identifier: Apache-2.0
"""Reads the sandbox's conversations without the code under test."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack


@contextmanager
def connected_sandbox(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[SandboxServer]:
    """Run a sandbox for one test, with a connection that has no rate limit and does not retry."""
    with SandboxServer(**options) as server:
        connection = stack.ip1_connection(server.url, requests_per_second=0, max_attempts=1)
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
        yield server


def from_api(sandbox: SandboxServer, participant: str = MAIN, path: str = "", order: str = "ASC") -> bytes:
    """Request an entire conversation at once. Returns a JSON array."""
    request = urllib.request.Request(
        f"{sandbox.url}/v2/conversations/{participant}{path}?limit=10000&order={order}",
        headers={"Authorization": f"Bearer {stack.SANDBOX_KEY}"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        body: bytes = response.read()
    return body


def messages_of(sandbox: SandboxServer, participant: str = MAIN, **options: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(from_api(sandbox, participant, **options))
    return messages
