# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

import pytest

from airflow_provider_ip1.transfers import checkpoint


@pytest.fixture(autouse=True)
def conflicts_cost_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of histories have runs that conflict. Each would wait half a second on average."""
    no_pauses = random.Random()
    monkeypatch.setattr(no_pauses, "uniform", lambda low, high: 0.0)
    monkeypatch.setattr(checkpoint, "random", no_pauses)
