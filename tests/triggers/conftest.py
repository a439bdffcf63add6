# SPDX-License-Identifier: Apache-2.0
"""A sandbox on the tests' clock, which rules the triggers, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sensor_modes import Clock, sandbox_on


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.rule(monkeypatch)
    return clock


@pytest.fixture
def server_options() -> dict[str, Any]:
    """The options of the sandbox. A module with other needs defines its own fixture of this name."""
    return {"messages": 130}


@pytest.fixture
def server(clock: Clock, monkeypatch: pytest.MonkeyPatch, server_options: dict[str, Any]) -> Iterator[SandboxServer]:
    with sandbox_on(clock, monkeypatch, **server_options) as server:
        yield server
