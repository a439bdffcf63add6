# SPDX-License-Identifier: Apache-2.0
"""Fixtures for calling the hooks on recordings. tests/conftest.py replays the cassettes."""

from __future__ import annotations

import json

import pytest

KEY = "any-key"


@pytest.fixture
def ip1_conn_id(monkeypatch: pytest.MonkeyPatch) -> str:
    """Create an Airflow connection to iP.1's address and return its id."""
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", json.dumps({"conn_type": "ip1", "password": KEY}))
    return "ip1_default"
