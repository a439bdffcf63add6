# SPDX-License-Identifier: Apache-2.0
"""Exports with one checkpoint in every kind of run that a real scheduler makes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_ip1.sandbox.participants import SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.airflow_runs import AIRFLOW
from tests.transfers.bucket_contents import Bucket
from tests.triggers.real_airflow import environment, real_scheduler, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.scheduler]

CHECKPOINT = "checkpoints/sms.json"
IS_AIRFLOW_3 = Version("3.0") <= AIRFLOW
# Airflow 3.2 introduced partitioned runs. The test makes all other kinds of runs on every version.
HAS_PARTITIONS = Version("3.2") <= AIRFLOW

# After the first, Airflow 3 keeps a backfill without runs for two minutes, which excludes another one: the second.
SQLITE_IS_BUSY = ("database is locked", "AlreadyRunningBackfill")

DAG_FILE = """
import json, os
from datetime import datetime, timezone

try:
    from airflow.sdk import DAG, Asset
except ImportError:
    from airflow import DAG, Dataset as Asset
try:
    from airflow.sdk import CronPartitionTimetable, PartitionedAssetTimetable
except ImportError:
    CronPartitionTimetable = None
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:
    from airflow.operators.empty import EmptyOperator

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator


def note(context):
    run = context["dag_run"]
    line = {
        "dag": run.dag_id,
        "type": str(getattr(run.run_type, "value", run.run_type)),
        # Not the task's s3_key, which Airflow 3.0 passes without the rendered values.
        "key": f"{run.dag_id}/{run.run_id}.jsonl".replace(":", "").replace("+", ""),
        "logical_date": str(run.logical_date or ""),
        "partition": getattr(run, "partition_key", None) or "",
    }
    with open(os.environ["IP1_RUNS"], "a") as file:
        file.write(json.dumps(line) + "\\n")


START = datetime(2020, 1, 1, tzinfo=timezone.utc)


def exports(dag_id, schedule, paused=False, outlets=()):
    with DAG(dag_id, schedule=schedule, start_date=START, catchup=False, is_paused_upon_creation=paused):
        ConversationToS3Operator(
            task_id="export",
            participant="PARTICIPANT",
            s3_bucket="BUCKET",
            s3_key="{{ dag.dag_id }}/{{ run_id | replace(':', '') | replace('+', '') }}.jsonl",
            checkpoint="CHECKPOINT",
            outlets=list(outlets),
            on_success_callback=note,
        )


# The scheduler makes one run of each of these two as soon as the test unpauses it. The next one is due at New Year.
exports("cron", "@yearly", paused=True)
if CronPartitionTimetable:
    sms = Asset("s3://lake/sms")
    exports("partitioned", CronPartitionTimetable("0 0 1 1 *", timezone="UTC"), paused=True, outlets=[sms])
    exports("partition_of_asset", PartitionedAssetTimetable(assets=sms))
exports("manual", None)
exports("asset", [Asset("s3://lake/news")])
with DAG("producer", schedule=None, start_date=START):
    EmptyOperator(task_id="produce", outlets=[Asset("s3://lake/news")])
"""


@dataclass
class World:
    """The sandbox, whose clock only the test moves, and the runs that have ended."""

    bucket: Bucket
    env: dict[str, str]
    sandbox: SandboxServer
    now: list[float]
    ended: int = 0
    #: The messages of each object by id, in the order in which the runs ended.
    written: list[dict[str, dict[str, Any]]] = field(default_factory=list)

    def airflow(self, *arguments: str) -> str:
        """Run a command until no other process of Airflow writes to SQLite meanwhile, which is an error at once."""
        command = [sys.executable, "-m", "airflow", *arguments]

        def finished() -> list[str]:
            done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode != 0 and any(reason in done.stderr for reason in SQLITE_IS_BUSY):
                return []
            assert done.returncode == 0, done.stdout + done.stderr
            return [done.stdout]

        (output,) = wait_until(finished, f"{arguments} is done", seconds=300)
        return str(output)

    def unpause(self, dag_id: str) -> None:
        """Wait until Airflow has read the DAG file, and let it make the DAG's scheduled run."""

        def is_unpaused() -> bool:
            return "No paused DAGs" not in self.airflow("dags", "unpause", dag_id)

        wait_until(is_unpaused, f"{dag_id} is known")

    def receive(self) -> str:
        """Let a message arrive, more than the checkpoint's margin of five minutes away from all runs."""
        self.now[0] += 600
        message_id = self.sandbox.receive(SEVEN, "Hej")
        self.now[0] += 600
        return message_id

    def backfill(self) -> None:
        """Make two runs of the DAG cron."""
        first, last = "2022-01-01", "2023-01-01"
        if IS_AIRFLOW_3:
            self.airflow("backfill", "create", "--dag-id", "cron", "--from-date", first, "--to-date", last)
        else:
            self.airflow("dags", "backfill", "cron", "--start-date", first, "--end-date", last)

    def runs(self, count: int, start: Callable[..., Any], *arguments: str) -> list[dict[str, str]]:
        """Start runs, wait for the end of their exports, and read their objects."""
        start(*arguments)

        def lines() -> list[str]:
            return Path(self.env["IP1_RUNS"]).read_text().splitlines()

        what = f"the exports of {start.__name__} {arguments} have ended"
        wait_until(lambda: len(lines()) >= self.ended + count, what, seconds=400)
        new = [json.loads(line) for line in lines()[self.ended :]]
        assert len(new) == count
        self.ended += count
        for run in new:
            body = self.bucket.get(run["key"])
            assert body is not None
            self.written.append({message["id"]: message for message in map(json.loads, body.splitlines())})
        return new

    def run(self, start: Callable[..., Any], *arguments: str) -> tuple[dict[str, str], set[str]]:
        """Start one run. Return what it was, and the ids of the messages in its object."""
        (run,) = self.runs(1, start, *arguments)
        return run, set(self.written[-1])


def check_runs(world: World) -> None:
    sandbox, bucket = world.sandbox, world.bucket
    sandbox.send([SEVEN])
    pending = sandbox.conversation(SEVEN)[-1]["id"]
    world.now[0] += 600

    first, ids = world.run(world.unpause, "cron")
    assert first["type"] == "scheduled"
    assert ids == {message["id"] for message in sandbox.conversation(SEVEN)} and len(ids) == 8

    new = world.receive()
    manual, ids = world.run(world.airflow, "dags", "trigger", "manual")
    assert (manual["type"], manual["logical_date"] == "") == ("manual", IS_AIRFLOW_3)
    assert ids == {new}

    since_asset = [world.receive()]
    asset, ids = world.run(world.airflow, "dags", "trigger", "producer")
    assert asset["type"] == ("asset_triggered" if IS_AIRFLOW_3 else "dataset_triggered")
    assert (asset["logical_date"] == "") == IS_AIRFLOW_3
    assert ids == {*since_asset}

    since_asset.append(world.receive())
    past = world.runs(2, world.backfill)
    assert [run["type"] for run in past] == ["backfill"] * 2
    assert len({run["logical_date"] for run in past}) == 2
    # The two may run at once. Then both contain the message.
    assert {*world.written[-1], *world.written[-2]} == {since_asset[-1]}

    if HAS_PARTITIONS:
        since_asset.append(world.receive())
        # The second run begins when the first one has updated the asset's partition.
        partitioned, following = world.runs(2, world.unpause, "partitioned")
        assert (partitioned["dag"], following["dag"]) == ("partitioned", "partition_of_asset")
        assert partitioned["partition"] == following["partition"] != ""
        assert partitioned["logical_date"] == following["logical_date"] == ""
        assert [set(messages) for messages in world.written[-2:]] == [{since_asset[-1]}, set()]

    since_asset.append(world.receive())
    cleared, ids = world.run(world.airflow, "tasks", "clear", "--yes", "asset")
    assert cleared == asset
    assert ids == {*since_asset}

    world.now[0] += 600
    before = bucket.get(CHECKPOINT)
    _, ids = world.run(world.airflow, "dags", "trigger", "manual")
    assert ids == set()
    assert bucket.get(CHECKPOINT) != before

    world.now[0] += 86_400
    _, ids = world.run(world.airflow, "dags", "trigger", "manual")
    assert ids == {pending}


def test_every_kind_of_run_exports_what_is_new(tmp_path: Path, s3_server: stack.S3Server, bucket: Bucket) -> None:
    runs = tmp_path / "runs.jsonl"
    runs.touch()
    now = [time.time() - 3 * 86_400]
    with SandboxServer(clock=lambda: now[0], delivery_seconds=86_400) as sandbox:
        env = environment(
            tmp_path,
            AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
            AIRFLOW_CONN_AWS_DEFAULT=stack.aws_connection(s3_server),
            IP1_RUNS=str(runs),
        )
        dag_file = DAG_FILE.replace("PARTICIPANT", SEVEN).replace("BUCKET", bucket.name)
        (tmp_path / "dags" / "checkpoints.py").write_text(dag_file.replace("CHECKPOINT", CHECKPOINT))
        world = World(bucket, env, sandbox, now)
        with real_scheduler(tmp_path, env):
            check_runs(world)

        union: dict[str, dict[str, Any]] = {}
        for messages in world.written:
            union.update(messages)
        assert union == {message["id"]: message for message in sandbox.conversation(SEVEN)}
    objects = [key for key in bucket.keys() if not key.startswith(CHECKPOINT)]
    # The cleared run replaced its own object. Each of the others has one of its own.
    assert len(objects) == world.ended - 1
