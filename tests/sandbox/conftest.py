# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sandbox.plain_client import Client, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of a sandbox that no test changes."""
    with SandboxServer(messages=333, conversations=2) as server:
        yield Client(server)


@pytest.fixture
def account(clock: Clock) -> Iterator[Client]:
    """A client of a sandbox that delivers a message in 10 seconds of the test's clock."""
    with SandboxServer(messages=20, delivery_seconds=10, clock=clock) as server:
        yield Client(server)


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A sandbox with a main conversation of 300 messages."""
    with SandboxServer(messages=300) as running:
        yield running
