# SPDX-License-Identifier: Apache-2.0
"""Both hooks, connected to a sandbox or to a server of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from airflow_provider_ip1.api import call
from airflow_provider_ip1.sandbox.app import DEFAULT_KEY
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import CLIENTS, CONN_ID, Client, Kind


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we wait of our own accord before a request is sent again. What a server asks for stays as it is."""
    monkeypatch.setattr(call, "BACKOFF_BASE", 0.01)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Describe a server to Airflow: ``connect(url, **extras)`` returns the id of the connection."""

    def connect(url: str, password: str = DEFAULT_KEY, **extra: Any) -> str:
        connection = {
            "conn_type": "ip1",
            "host": url,
            "password": password,
            "extra": {"requests_per_second": 0, "timeout": [10, 30]} | extra,
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
        return CONN_ID

    return connect


@pytest.fixture
def serve(connect: Callable[..., str]) -> Iterator[Callable[..., SandboxServer]]:
    """Start a sandbox with faults and connect to it: ``serve("429@2", messages=100, page_size=10)``."""
    with ExitStack() as servers:

        def serve(*faults: str, messages: int = 100, latency: float = 0.0, **extra: Any) -> SandboxServer:
            server = servers.enter_context(SandboxServer(messages=messages, faults=faults, latency=latency))
            connect(server.url, **extra)
            return server

        yield serve


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def make_client(kind: Kind) -> Iterator[Callable[..., Client]]:
    """Make a hook, synchronous or asynchronous, for the connection described last."""
    with ExitStack() as clients:

        def make_client(**settings: Any) -> Client:
            client = CLIENTS[kind](**settings)
            clients.callback(client.close)
            return client

        yield make_client
