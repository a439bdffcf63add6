# SPDX-License-Identifier: Apache-2.0
"""A real Airflow for tests: its REST API, and a triggerer that is killed and replaced."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from packaging.version import Version

from dev import EXAMPLE_DAGS, stack
from tests.airflow_runs import AIRFLOW


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

    def trigger(self, dag_id: str) -> str:
        """Start a run as soon as the DAG is known. Returns the run's id."""
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        run_id: str = wait_until(lambda: self.call(path, {"logical_date": None})["dag_run_id"], f"{dag_id} is known")
        return run_id

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.call(f"/api/v2/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        return runs

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        tasks = self.call(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
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


def kill_triggerer(standalone: stack.Process) -> None:
    """Kill the triggerer the way the kernel does when memory runs out."""
    (triggerer,) = (
        child
        for child in psutil.Process(standalone.popen.pid).children()
        if any("triggerer" in word for word in child.cmdline())
    )
    family = [triggerer, *triggerer.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=30)


def environment(directory: Path, *dag_ids: str, **settings: str) -> dict[str, str]:
    """
    Prepare an AIRFLOW_HOME whose DAGs folder has only some of the example DAGs.

    The others run on a schedule and would keep the scheduler busy.

    :param directory: an empty folder.
    :param dag_ids: the DAGs.
    :param settings: further environment variables.
    """
    home = directory / "home"
    env = (
        stack.airflow_environment(home)
        | stack.patient_database(home)
        | {
            # Another triggerer takes over the triggers of a dead one after this time (default: 30 s).
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__CORE__DAGS_FOLDER": str(directory / "dags"),
            **settings,
        }
    )
    os.mkdir(env["AIRFLOW_HOME"])
    os.mkdir(directory / "dags")
    for dag_id in dag_ids:
        shutil.copy(EXAMPLE_DAGS / f"{dag_id}.py", directory / "dags")
    return env


def log_in(airflow: stack.AirflowServer) -> Api:
    api = Api(airflow.url)
    login = {"username": airflow.user, "password": airflow.password}
    api.token = api.call("/auth/token", login)["access_token"]
    return api


@contextmanager
def second_triggerer(directory: Path, env: dict[str, str]) -> Iterator[None]:
    """Run another triggerer in the environment of the test's Airflow."""
    command = [sys.executable, "-m", "airflow", "triggerer"]
    with stack.running("The second triggerer", command, log_path=directory / "triggerer.log", env=env):
        yield


@contextmanager
def real_scheduler(directory: Path, env: dict[str, str]) -> Iterator[None]:
    """
    Run a scheduler with what it needs: on Airflow 3 the whole server, on 2.11 nothing else.

    :param directory: the folder for the logs.
    :param env: from :func:`environment`.
    """
    if Version("3.0") <= AIRFLOW:
        with stack.airflow_standalone(directory, env):
            yield
        return
    (port,) = stack.free_ports(1)
    env = env | {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(port),
    }
    stack.run_airflow(env, "db", "migrate", seconds=300)
    command = [sys.executable, "-m", "airflow", "scheduler"]
    with stack.running("The scheduler", command, log_path=directory / "scheduler.log", env=env):
        yield
