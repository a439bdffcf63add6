# SPDX-License-Identifier: Apache-2.0
"""The example DAG ip1_send_and_wait, run by ``airflow dags test``."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.airflow_runs import dags_test

pytestmark = pytest.mark.slow
TEXT = "Your order has been shipped."


def dag_test(sandbox: SandboxServer, bucket: str) -> str:
    return dags_test(
        "ip1_send_and_wait",
        AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
        IP1_RECIPIENT=EMPTY,
        IP1_S3_BUCKET=bucket,
    )


def test_exports_the_conversation_after_the_delivery(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str
) -> None:
    with SandboxServer(messages=20, delivery_seconds=3) as sandbox:
        log = dag_test(sandbox, s3_bucket)
    client = s3_server.client()
    (entry,) = client.list_objects_v2(Bucket=s3_bucket)["Contents"]
    body = client.get_object(Bucket=s3_bucket, Key=entry["Key"])["Body"].read()
    (message,) = [json.loads(line) for line in gzip.decompress(body).splitlines()]
    assert entry["Key"] == f"sent/{message['batchId']}.jsonl.gz"
    assert (message["body"], message["recipient"], message["statuses"][0]["code"]) == (TEXT, EMPTY, 201)
    assert f"Sent batch {message['batchId']}" in log


def test_reports_a_message_that_is_not_delivered(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str
) -> None:
    with SandboxServer(messages=20, delivery_seconds=1) as sandbox:
        sandbox.blacklist.add(EMPTY)
        log = dag_test(sandbox, s3_bucket)
    assert "Contents" not in s3_server.client().list_objects_v2(Bucket=s3_bucket)
    assert "report_failure" in log
    assert ": rejected" in log
