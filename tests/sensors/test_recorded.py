# SPDX-License-Identifier: Apache-2.0
"""
The sensors and their triggers with recorded responses, while the network is blocked.

``documentation/`` contains the examples that iP.1 publishes, ``sandbox/`` the sandbox's responses; see
docs/internals/recordings.md.
"""

from __future__ import annotations

import json
import time

import pytest

from airflow_provider_ip1.api.watching.incoming import ArrivalWatch
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.hooks.poll import poll
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from dev.live import cassettes
from tests.sensor_modes import run_trigger

pytestmark = [pytest.mark.vcr, pytest.mark.block_network]
with_messages = pytest.mark.parametrize(
    "cassette_name", ["documentation/message", "sandbox/message_history", "sandbox/batch_messages"]
)


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the default connection at the address of the cassettes."""
    connection = {"conn_type": "ip1", "password": "any-key", "extra": {"requests_per_second": 0, "concurrency": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", json.dumps(connection))


def latest_codes(cassette: cassettes.Cassette) -> dict[str, int]:
    """Read the latest status code of each message without this provider."""
    bodies = [each.json for each in cassette.exchanges if each.status == 200]
    rows = [row for body in bodies for row in (body if isinstance(body, list) else [body])]
    return {row["id"]: max(row["statuses"], key=lambda status: status["created"])["code"] for row in rows}


@with_messages
def test_message_status_sensor(cassette: cassettes.Cassette) -> None:
    codes = latest_codes(cassette)
    sensor = MessageStatusSensor(task_id="wait", expected=list(codes.values()), **cassette.call.arguments)
    found = sensor.poke({})
    assert found.is_done and found.xcom_value is not None
    assert {message["message_id"]: message["code"] for message in found.xcom_value} == codes


@with_messages
def test_message_status_trigger(cassette: cassettes.Cassette) -> None:
    codes = latest_codes(cassette)
    now = time.time()
    schedule = {"started_at": now, "deadline": now + 60, "poll_at": now + 0.01}
    event = run_trigger({"wait": {**schedule, "expected": list(codes.values()), **cassette.call.arguments}})
    assert event["status"] == "success"
    assert {message["message_id"]: message["code"] for message in event["messages"]} == codes


@pytest.mark.parametrize("cassette_name", ["sandbox/conversation_received"])
def test_incoming_sms_sensor(cassette: cassettes.Cassette) -> None:
    newest, *older = [row for exchange in cassette.exchanges for row in exchange.messages]
    participant = cassette.call.arguments["participant"]
    since = newest["statuses"][0]["created"]
    sensor = IncomingSmsSensor(task_id="wait", participant=participant, since=since)
    found = sensor.poke({})
    assert older and found.is_done and found.xcom_value is not None
    assert (found.xcom_value["message_id"], found.xcom_value["batch_id"]) == (newest["id"], newest["batchId"])


@pytest.mark.parametrize("cassette_name", ["sandbox/batches_newest"])
def test_a_poll_for_an_sms_from_anyone(cassette: cassettes.Cassette) -> None:
    """The first poll remembers all batches and reports none of them. It takes the only request that was recorded."""
    watch = ArrivalWatch(None, "now")
    with IP1Hook() as hook:
        assert poll(hook, watch).messages == []
    rows = {row["id"]: row for each in cassette.exchanges for row in each.json}.values()
    assert {row["direction"] for row in rows} == {"MT", "MO"}
    assert len(watch.to_dict()["state"]["known"]) == len(rows)
