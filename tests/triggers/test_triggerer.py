# SPDX-License-Identifier: Apache-2.0
"""The deferred sensor in a real Airflow whose triggerer is killed during the wait."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_provider_ip1.sandbox.participants import LIVE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from dev import EXAMPLE_DAGS, stack

pytestmark = pytest.mark.slow
DELIVERED = DEMO_BATCHES["delivered"][0]
DAG_ID = "ip1_wait_for_delivery"


@dataclass
class Api:
    """Airflow's REST API (https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html)."""

    url: str
    token: str = ""

    def call(self, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def states(self, run_id: str) -> dict[str, str | None]:
        tasks = self.call(f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}


def wait_until(ready: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if result := ready():
                return result
        except urllib.error.HTTPError as error:
            # A DAG is 404 until the DAG processor has read it.
            assert error.code == 404, f"{what}: {error}"
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def kill_triggerer(standalone: stack.Process) -> dict[str, str]:
    """
    Kill the triggerer the way the kernel does when memory runs out.

    :return: its environment.
    """
    (triggerer,) = (
        child
        for child in psutil.Process(standalone.popen.pid).children()
        if any("triggerer" in word for word in child.cmdline())
    )
    env = triggerer.environ()
    family = [triggerer, *triggerer.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=30)
    return env


def test_resumes_after_the_triggerer_was_killed(tmp_path: Path, s3_server: stack.S3Server, s3_bucket: str) -> None:
    # The sandbox's clock stands still until the test lets the message arrive.
    now = [1_800_000_000.0]
    with SandboxServer(clock=lambda: now[0], delivery_seconds=10) as sandbox:
        env = stack.airflow_environment(tmp_path / "home") | {
            "AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(sandbox.url),
            "AIRFLOW_CONN_AWS_DEFAULT": stack.aws_connection(s3_server),
            "IP1_BATCH_ID": DELIVERED,
            "IP1_S3_BUCKET": s3_bucket,
            # Another triggerer takes over the triggers of a dead one after this time (default: 30 s).
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        }
        os.mkdir(env["AIRFLOW_HOME"])
        # Copy only this DAG: the others run on a schedule and would keep the scheduler busy.
        os.mkdir(tmp_path / "dags")
        shutil.copy(EXAMPLE_DAGS / f"{DAG_ID}.py", tmp_path / "dags")
        with stack.airflow_standalone(tmp_path, env) as airflow:
            api = Api(airflow.url)
            login = {"username": airflow.user, "password": airflow.password}
            api.token = api.call("/auth/token", login)["access_token"]
            run_id = wait_until(
                lambda: api.call(f"/api/v2/dags/{DAG_ID}/dagRuns", {"logical_date": None})["dag_run_id"],
                "the DAG is known",
            )
            wait_until(lambda: api.states(run_id)["wait_for_delivery"] == "deferred", "the sensor defers")
            by_worker = len(sandbox.requests)
            wait_until(lambda: len(sandbox.requests) >= by_worker + 2, "the trigger polls")

            triggerer_env = kill_triggerer(airflow.process)
            by_first = len(sandbox.requests)
            assert api.states(run_id)["wait_for_delivery"] == "deferred"
            command = [sys.executable, "-m", "airflow", "triggerer"]
            with stack.running("The second triggerer", command, log_path=tmp_path / "triggerer.log", env=triggerer_env):
                wait_until(lambda: len(sandbox.requests) >= by_first + 2, "the second triggerer polls")
                now[0] += 60
                wait_until(
                    lambda: set(api.states(run_id).values()) == {"success"},
                    "the sensor resumes and the export follows",
                )
            path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/wait_for_delivery/xcomEntries/return_value"
            returned = api.call(path)["value"]
    returned = json.loads(returned) if isinstance(returned, str) else returned
    assert [(message["batch_id"], message["code"]) for message in returned] == [(DELIVERED, 201)]
    logs = [path.read_text() for path in tmp_path.rglob("*.log")]
    assert any("DeliveredToHandset" in log for log in logs)
    assert not any(LIVE in log for log in logs)
