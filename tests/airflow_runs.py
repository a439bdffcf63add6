# SPDX-License-Identifier: Apache-2.0
"""Runs of ``airflow`` commands, and how older versions of Airflow differ there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import airflow
from packaging.version import Version

AIRFLOW = Version(Version(airflow.__version__).base_version)
IS_AIRFLOW_3_0 = Version("3.0") <= AIRFLOW < Version("3.1")
#: Airflow 3.0 and 3.1 call ``on_failure_callback`` without the exception if the task must not be retried. So does
#: ``dags test`` of Airflow 3.2.
CALLBACKS_GET_EVERY_EXCEPTION = not Version("3.0") <= AIRFLOW < Version("3.3")


class Run(NamedTuple):
    """
    A command that has ended.

    :param code: its exit code.
    :param log: all that it printed.
    """

    code: int
    log: str


def run_airflow(*arguments: str, **env: str) -> Run:
    """
    Run an Airflow command in its own process.

    :param arguments: of ``airflow``.
    :param env: further environment variables.
    """
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Run(done.returncode, without_debug_lines(done.stdout + done.stderr))


def dags_test(dag_id: str, *arguments: str, **env: str) -> str:
    """
    Run a DAG with ``airflow dags test`` and return the log.

    :param dag_id: the DAG.
    :param arguments: further arguments of the command.
    :param env: further environment variables.
    """
    code, log = run_airflow("dags", "test", dag_id, *arguments, **env)
    assert code == 0, log
    return log


def without_debug_lines(log: str) -> str:
    """
    Leave out what the supervisor of Airflow 3.0 prints: every value that a task sends or receives.

    :param log: all that Airflow printed.
    """
    if not IS_AIRFLOW_3_0:
        return log
    return "".join(line for line in log.splitlines(keepends=True) if "[debug    ]" not in line)
