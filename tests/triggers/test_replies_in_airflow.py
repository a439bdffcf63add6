# SPDX-License-Identifier: Apache-2.0
"""The example DAGs about replies in a real Airflow whose triggerer is killed."""

from __future__ import annotations

import gzip
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.triggers.real_airflow import environment, kill_triggerer, log_in, second_triggerer, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.scheduler,
    pytest.mark.skipif(
        tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 3),
        reason="Airflow keeps no state for event triggers before 3.3",
    ),
]
ASK, EXPORT = "ip1_ask_and_branch", "ip1_export_on_reply"
FIRST, SECOND, THIRD = "Kastanj", "Hassel", "Rönn"


def test_replies(tmp_path: Path, s3_server: stack.S3Server, s3_bucket: str) -> None:
    with SandboxServer(messages=130, delivery_seconds=1, replies=["1=Ja, tack!"]) as sandbox:
        env = environment(
            tmp_path,
            ASK,
            EXPORT,
            AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
            AIRFLOW_CONN_AWS_DEFAULT=stack.aws_connection(s3_server),
            IP1_PARTICIPANT=MAIN,
            IP1_RECIPIENT=EMPTY,
            IP1_S3_BUCKET=s3_bucket,
        )

        def polls() -> int:
            return sum(request.path.endswith(f"{MAIN}/mo") for request in sandbox.requests)

        def exported() -> list[dict[str, Any]]:
            listed = s3_server.client().list_objects_v2(Bucket=s3_bucket).get("Contents", [])
            if not listed:
                return []
            body = s3_server.client().get_object(Bucket=s3_bucket, Key="replies/customer-000.jsonl.gz")["Body"].read()
            return [json.loads(line) for line in gzip.decompress(body).splitlines()]

        def wait_for_export(text: str) -> None:
            wait_until(lambda: text in [message["body"] for message in exported()], f"{text!r} is exported")
            ids = [message["id"] for message in exported()]
            assert len(ids) == len(set(ids))

        with stack.airflow_standalone(tmp_path, env) as airflow:
            api = log_in(airflow)
            run_id = api.trigger(ASK)
            wait_until(lambda: polls() >= 2, "the watcher polls")
            sandbox.receive(MAIN, FIRST)
            wait_for_export(FIRST)
            wait_until(lambda: api.states(ASK, run_id)["choose"] == "success", "the question is answered")
            wait_until(lambda: api.states(ASK, run_id)["keep_appointment"] == "success", "the branch runs")
            assert api.states(ASK, run_id)["cancel_appointment"] == "skipped"

            # One reply arrives in the last moments of the triggerer, the other one while none runs.
            before = polls()
            sandbox.receive(MAIN, SECOND)
            wait_until(lambda: polls() > before, "the watcher has seen the second reply")
            kill_triggerer(airflow.process)
            sandbox.receive(MAIN, THIRD)
            with second_triggerer(tmp_path, env):
                wait_for_export(THIRD)
                assert SECOND in [message["body"] for message in exported()]
                runs = api.runs(EXPORT)
                assert len(runs) >= 2
                # A quiet conversation starts no more runs.
                before = polls()
                wait_until(lambda: polls() >= before + 6, "the watcher polls, and saves its position")
                wait_until(lambda: {run["state"] for run in api.runs(EXPORT)} == {"success"}, "all runs have ended")
                count, before = len(api.runs(EXPORT)), polls()
                wait_until(lambda: polls() >= before + 3, "the watcher polls")
                assert len(api.runs(EXPORT)) == count <= 6
        assert sorted(message["id"] for message in exported()) == sorted(
            message["id"] for message in sandbox.conversation(MAIN)
        )
    logs = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert re.search(r"new messages?: SMS from 46\*\*\*05", logs)
    for secret in (MAIN, EMPTY, SECOND, THIRD, "Ja, tack!"):
        assert secret not in logs
