# SPDX-License-Identifier: Apache-2.0
"""The deferred sensor in a real Airflow whose triggerer is killed during the wait."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from packaging.version import Version

from airflow_provider_ip1.sandbox.participants import LIVE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from dev import stack
from tests.airflow_runs import AIRFLOW, without_debug_lines
from tests.triggers.real_airflow import environment, kill_triggerer, log_in, second_triggerer, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.scheduler,
    pytest.mark.skipif(AIRFLOW < Version("3.0"), reason="uses the REST API of Airflow 3"),
]
DELIVERED = DEMO_BATCHES["delivered"][0]
DAG_ID = "ip1_wait_for_delivery"


def test_resumes_after_the_triggerer_was_killed(tmp_path: Path, s3_server: stack.S3Server, s3_bucket: str) -> None:
    # The sandbox's clock stands still until the test lets the message arrive.
    now = [1_800_000_000.0]
    with SandboxServer(clock=lambda: now[0], delivery_seconds=10) as sandbox:
        env = environment(
            tmp_path,
            DAG_ID,
            AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
            AIRFLOW_CONN_AWS_DEFAULT=stack.aws_connection(s3_server),
            IP1_BATCH_ID=DELIVERED,
            IP1_S3_BUCKET=s3_bucket,
        )
        with stack.airflow_standalone(tmp_path, env) as airflow:
            api = log_in(airflow)
            run_id = api.trigger(DAG_ID)
            wait_until(lambda: api.states(DAG_ID, run_id)["wait_for_delivery"] == "deferred", "the sensor defers")
            by_worker = len(sandbox.requests)
            wait_until(lambda: len(sandbox.requests) >= by_worker + 2, "the trigger polls")

            kill_triggerer(airflow.process)
            by_first = len(sandbox.requests)
            assert api.states(DAG_ID, run_id)["wait_for_delivery"] == "deferred"
            with second_triggerer(tmp_path, env):
                wait_until(lambda: len(sandbox.requests) >= by_first + 2, "the second triggerer polls")
                now[0] += 60
                wait_until(
                    lambda: set(api.states(DAG_ID, run_id).values()) == {"success"},
                    "the sensor resumes and the export follows",
                )
            path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/wait_for_delivery/xcomEntries/return_value"
            returned = api.call(path)["value"]
    returned = json.loads(returned) if isinstance(returned, str) else returned
    assert [(message["batch_id"], message["code"]) for message in returned] == [(DELIVERED, 201)]
    logs = [without_debug_lines(path.read_text()) for path in tmp_path.rglob("*.log")]
    assert any("DeliveredToHandset" in log for log in logs)
    assert not any(LIVE in log for log in logs)
