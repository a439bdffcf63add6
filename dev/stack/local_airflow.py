# SPDX-License-Identifier: Apache-2.0
"""Airflow on this machine: an environment without the user's settings, single commands, and the whole server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_ip1.testing.loopback import free_ports, get, no_proxy
from airflow_provider_ip1.testing.processes import Process, running
from dev import EXAMPLE_DAGS


def airflow_environment(home: Path) -> dict[str, str]:
    """
    Return an environment with the example DAGs and without the user's own Airflow and AWS settings.

    :param home: AIRFLOW_HOME. It must not be inside the DAGs folder, because Airflow searches that folder.
    :return: this program's environment, with the settings of Airflow and AWS replaced.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "AWS_"))}
    direct = no_proxy(kept)
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLE_DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        # Airflow starts its own programs by name.
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def patient_database(home: Path) -> dict[str, str]:
    """
    Return a setting for an Airflow with a scheduler: its processes wait longer for each other than five seconds.

    On a busy machine, the scheduler would otherwise end with "database is locked".

    :param home: AIRFLOW_HOME.
    """
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home.resolve()}/airflow.db?timeout=120"}


def run_airflow(env: Mapping[str, str], *arguments: str, seconds: float) -> None:
    """
    Run an Airflow command and wait for it. Its output goes to ``airflow.log``, next to AIRFLOW_HOME.

    :param env: an environment from :func:`airflow_environment`.
    :param arguments: the arguments of ``airflow``.
    :param seconds: the longest that the command may take.
    :raises ProgramError: if it fails or takes longer.
    """
    log_path = Path(env["AIRFLOW_HOME"]).parent / "airflow.log"
    command = [sys.executable, "-m", "airflow", *arguments]
    with running(f"airflow {' '.join(arguments)}", command, log_path=log_path, env=env) as process:
        try:
            code = process.popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise process.failure(f"did not finish within {seconds:.0f} s") from None
        if code != 0:
            raise process.failure(f"ended with exit code {code}")


@dataclass(frozen=True)
class AirflowServer:
    """
    A running Airflow: API server with web interface, scheduler, DAG processor and triggerer.

    :param url: the address of the web interface.
    :param user: a user with all permissions.
    :param password: the user's password.
    :param process: the process that runs all of them.
    """

    url: str
    user: str
    password: str
    process: Process


@contextmanager
def airflow_standalone(directory: Path, env: Mapping[str, str], *, port: int | None = None) -> Iterator[AirflowServer]:
    """
    Run ``airflow standalone``.

    :param directory: the folder for its log, ``airflow.log``.
    :param env: an environment from :func:`airflow_environment`, with the connections.
    :param port: the web interface's port on 127.0.0.1; default: a free one.
    :return: the server, once all its parts report that they are healthy.
    """
    *free, worker_logs, trigger_logs = free_ports(3)
    port = port or free[0]
    url = f"http://127.0.0.1:{port}"
    settings = {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        # On a busy machine, tasks start long before the API server responds. This makes them wait for it.
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "20",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",
    }

    def healthy() -> bool:
        body = get(port, "/api/v2/monitor/health")
        return body is not None and all(part["status"] == "healthy" for part in json.loads(body).values())

    command = [sys.executable, "-m", "airflow", "standalone"]
    with running("Airflow", command, log_path=directory / "airflow.log", env={**settings, **env}) as process:
        process.wait_until(healthy, seconds=600)
        passwords = json.loads(Path(env["AIRFLOW_HOME"], "simple_auth_manager_passwords.json.generated").read_text())
        yield AirflowServer(url, "admin", passwords["admin"], process)
