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
