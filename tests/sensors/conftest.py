# SPDX-License-Identifier: Apache-2.0
"""A sandbox that delivers messages on the tests' clock, and a way to run the sensor in each mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sensor_modes import MODES, Clock, Outcome, run_sensor, sandbox_on


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server_options() -> dict[str, Any]:
    """The options of the sandbox. A module with other needs defines its own fixture of this name."""
    return {"messages": 450, "delivery_seconds": 100}


@pytest.fixture
def server(clock: Clock, monkeypatch: pytest.MonkeyPatch, server_options: dict[str, Any]) -> Iterator[SandboxServer]:
    """A sandbox whose messages get their final status within 100 seconds. Each poll is one attempt."""
    with sandbox_on(clock, monkeypatch, **server_options) as server:
        yield server


@pytest.fixture
def sensor_arguments() -> dict[str, Any]:
    """Further arguments of every sensor of a module, such as its class, for :func:`run_sensor`."""
    return {}


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What sensor and trigger have logged since the last call. Airflow 3 writes to standard output."""
    caplog.set_level("DEBUG")

    def logged() -> str:
        out, err = capfd.readouterr()
        told = caplog.text
        caplog.clear()
        return out + err if "_sms" in out + err or "message_status" in out + err else told

    return logged


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(
    mode: str,
    clock: Clock,
    server: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    sensor_arguments: dict[str, Any],
) -> Callable[..., Outcome]:
    """Run the sensor to its end in one mode. It polls every 30 seconds for at most 10 minutes."""

    def run(**arguments: Any) -> Outcome:
        defaults = {"poke_interval": 30, "timeout": 600, **sensor_arguments}
        return run_sensor(mode, clock, monkeypatch, **{**defaults, **arguments})

    return run
