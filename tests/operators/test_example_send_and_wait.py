# SPDX-License-Identifier: Apache-2.0
"""The example DAG ip1_send_and_wait, run by ``airflow dags test``."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack

pytestmark = pytest.mark.slow
TEXT = "Your order has been shipped."


def dag_test(sandbox: SandboxServer, bucket: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", "ip1_send_and_wait"],
        env=os.environ
        | {
            "AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(sandbox.url),
            "IP1_RECIPIENT": EMPTY,
            "IP1_S3_BUCKET": bucket,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


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
