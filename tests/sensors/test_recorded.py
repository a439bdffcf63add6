# SPDX-License-Identifier: Apache-2.0
"""
The sensor and the trigger with recorded responses, while the network is blocked.

``documentation/`` contains the examples that iP.1 publishes, ``sandbox/`` the sandbox's responses; see
docs/recordings.md.
"""

from __future__ import annotations

import json
import time

import pytest

from airflow_provider_ip1.hooks import poll
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from dev.live import cassettes
from tests.sensor_modes import run_trigger

pytestmark = [
    pytest.mark.vcr,
    pytest.mark.block_network,
    pytest.mark.parametrize(
        "cassette_name", ["documentation/message", "sandbox/message_history", "sandbox/batch_messages"]
    ),
]


@pytest.fixture(autouse=True)
def page_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Request a batch in pages of the size that was recorded."""
    monkeypatch.setattr(poll, "BATCH_PAGE_SIZE", None)


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the default connection at the address of the cassettes."""
    connection = {"conn_type": "ip1", "password": "any-key", "extra": {"requests_per_second": 0, "concurrency": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", json.dumps(connection))


def latest_codes(cassette: cassettes.Cassette) -> dict[str, int]:
    """Read the latest status code of each message without this provider."""
    bodies = [json.loads(each.body) for each in cassette.interactions if each.status == 200]
    rows = [row for body in bodies for row in (body if isinstance(body, list) else [body])]
    return {row["id"]: max(row["statuses"], key=lambda status: status["created"])["code"] for row in rows}


def test_poke(cassette: cassettes.Cassette) -> None:
    codes = latest_codes(cassette)
    sensor = MessageStatusSensor(task_id="wait", expected=list(codes.values()), **cassette.call.arguments)
    found = sensor.poke({})
    assert found.is_done
    assert {message["message_id"]: message["code"] for message in found.xcom_value} == codes


def test_trigger(cassette: cassettes.Cassette) -> None:
    codes = latest_codes(cassette)
    now = time.time()
    event = run_trigger(
        {
            "started_at": now,
            "deadline": now + 60,
            "poll_at": now + 0.01,
            "expected": list(codes.values()),
            **cassette.call.arguments,
        }
    )
    assert event["status"] == "success"
    assert {message["message_id"]: message["code"] for message in event["messages"]} == codes
