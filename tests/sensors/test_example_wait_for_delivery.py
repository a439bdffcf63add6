# SPDX-License-Identifier: Apache-2.0
"""The example DAG ip1_wait_for_delivery, run by ``dag.test()`` (which is what ``airflow dags test`` does)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.participants import LIVE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from dev import stack
from tests.airflow_runs import CALLBACKS_GET_EVERY_EXCEPTION, run_airflow
from tests.sensors.poll_clock import FromFirstPoll

pytestmark = pytest.mark.slow
DELIVERED, EXPIRED = DEMO_BATCHES["delivered"][0], DEMO_BATCHES["expired"][0]


def dag_test(batch_id: str, sandbox: SandboxServer, bucket: str) -> str:
    run = run_airflow(
        "dags",
        "test",
        "ip1_wait_for_delivery",
        AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
        IP1_BATCH_ID=batch_id,
        IP1_S3_BUCKET=bucket,
    )
    return run.log


def test_exports_after_the_delivery(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str
) -> None:
    clock = FromFirstPoll("/batches/")
    with SandboxServer(delivery_seconds=3, clock=clock) as sandbox:
        clock.requests = sandbox.requests
        told = dag_test(DELIVERED, sandbox, s3_bucket)
        assert "running trigger in line" in told
        key = f"deliveries/{DELIVERED}.jsonl.gz"
        exported = s3_server.client().get_object(Bucket=s3_bucket, Key=key)["Body"].read()
        messages = [json.loads(line) for line in gzip.decompress(exported).splitlines()]
        (message,) = (each for each in messages if each["batchId"] == DELIVERED)
        assert message["statuses"][0]["code"] == 201
    assert LIVE not in told


def test_a_failed_message_fails_the_run_and_runs_the_callback(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str
) -> None:
    with SandboxServer(delivery_seconds=1) as sandbox:
        told = dag_test(EXPIRED, sandbox, s3_bucket)
    assert "202 Expired (undelivered)" in told
    assert (": undelivered" in told) is CALLBACKS_GET_EVERY_EXCEPTION
    assert "Contents" not in s3_server.client().list_objects_v2(Bucket=s3_bucket)
    assert LIVE not in told
