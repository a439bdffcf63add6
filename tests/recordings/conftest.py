# SPDX-License-Identifier: Apache-2.0
"""Fixtures for calling the hooks on recordings. tests/conftest.py replays the cassettes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_ip1.api.call import Call

KEY = "any-key"


@pytest.fixture
def ip1_conn_id(monkeypatch: pytest.MonkeyPatch) -> str:
    """Create an Airflow connection to iP.1's address and return its id."""
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", json.dumps({"conn_type": "ip1", "password": KEY}))
    return "ip1_default"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Return the delays before the hook's retries, in seconds. The hook skips them."""
    asked: list[float] = []
    receive = Call.receive

    def receive_at_once(self: Call[Any], *arguments: Any) -> float | None:
        delay = receive(self, *arguments)
        if delay is None:
            return None
        asked.append(delay)
        return 0.0

    monkeypatch.setattr(Call, "receive", receive_at_once)
    yield asked
