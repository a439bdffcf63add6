# SPDX-License-Identifier: Apache-2.0
"""The example DAG about replies from anyone in a real Airflow: one run for each reply, which exports what is new."""

from __future__ import annotations

import gzip
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import SEVEN, SINGLE
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.transfers.bucket_contents import Bucket
from tests.triggers.real_airflow import environment, log_in, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.scheduler,
    pytest.mark.skipif(
        tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 3),
        reason="Airflow keeps no state for event triggers before 3.3",
    ),
]
DAG_ID = "ip1_export_on_any_reply"
TEXT = "Kastanjeallen 7"


def test_any_reply_starts_one_run(tmp_path: Path, s3_server: stack.S3Server, s3_bucket: str) -> None:
    bucket = Bucket(s3_server.client(), s3_bucket)
    now = [time.time() - 86_400]
    with SandboxServer(messages=30, clock=lambda: now[0]) as sandbox:
        env = environment(
            tmp_path,
            DAG_ID,
            # A triggerer that is slow is not dead. Another one would repeat events.
            AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD="300",
            AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
            AIRFLOW_CONN_AWS_DEFAULT=stack.aws_connection(s3_server),
            IP1_S3_BUCKET=bucket.name,
        )
        dag_file = tmp_path / "dags" / f"{DAG_ID}.py"
        documented = "IncomingSmsTrigger(participant=None)"
        quick = "IncomingSmsTrigger(participant=None, poke_interval=1)"
        assert dag_file.read_text().count(documented) == 1
        dag_file.write_text(dag_file.read_text().replace(documented, quick))

        def lists() -> int:
            return sum(request.path == "/v2/batches" for request in sandbox.requests)

        def receive(participant: str) -> str:
            """Let a reply arrive, more than the checkpoint's margin of five minutes away from all runs."""
            now[0] += 600
            message_id = sandbox.receive(participant, TEXT)
            now[0] += 600
            return message_id

        def objects() -> dict[str, set[str]]:
            """The ids of the messages in each object."""
            bodies = {key: bucket.get(key) for key in bucket.keys() if key.startswith("any-reply/")}
            return {
                key: {json.loads(line)["id"] for line in gzip.decompress(body or b"").splitlines()}
                for key, body in bodies.items()
            }

        def is_exported(message_id: str) -> bool:
            return any(message_id in ids for ids in objects().values())

        with stack.airflow_standalone(tmp_path, env) as airflow:
            api = log_in(airflow)

            def runs(count: int) -> list[dict[str, Any]]:
                """All runs, once they have ended and the watcher has polled again."""
                wait_until(lambda: {run["state"] for run in api.runs(DAG_ID)} == {"success"}, "all runs end")
                before = lists()
                wait_until(lambda: lists() >= before + 5, "the watcher polls")
                assert api.call("/api/v2/assets/events?limit=100")["total_entries"] == count
                assert {run["state"] for run in api.runs(DAG_ID)} == {"success"}
                return api.runs(DAG_ID)

            # The first poll lists the batches a few times, to learn the order.
            wait_until(lambda: lists() >= 10, "the watcher knows what was there before")
            assert api.runs(DAG_ID) == [] and objects() == {}

            first = receive(SEVEN)
            wait_until(lambda: is_exported(first), "the first reply is exported")
            (run,) = runs(1)
            assert run["run_type"] == "asset_triggered"
            # Without a checkpoint, everything that the account has received is new.
            before = objects()
            (exported,) = before.values()
            assert exported >= {message["id"] for message in sandbox.conversation(SEVEN, "mo")}

            second = receive(SINGLE)
            wait_until(lambda: is_exported(second), "the second reply is exported")
            assert len(runs(2)) == 2
            (new,) = (ids for key, ids in objects().items() if key not in before)
            assert new == {second}

            # What the account sends starts nothing.
            sandbox.send([SINGLE])
            assert len(runs(2)) == 2
    logs = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "1 new message: SMS to the account" in logs
    for secret in (SEVEN, SINGLE, TEXT):
        assert secret not in logs
