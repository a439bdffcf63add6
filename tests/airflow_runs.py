# SPDX-License-Identifier: Apache-2.0
"""Runs of ``airflow`` commands, and how older versions of Airflow differ there."""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import airflow.settings
from packaging.version import Version

from tests.forks import FORKS

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
    Run an Airflow command in its own process, with the example DAGs.

    :param arguments: of ``airflow``.
    :param env: further environment variables.
    """
    return _run(_airflow, arguments, os.environ | env)


def run_script(path: Path, *arguments: str) -> Run:
    """
    Run a script in its own process, like ``python path arguments``.

    :param path: the script.
    :param arguments: of the script.
    """
    return _run(_script, [str(path), *arguments], os.environ)


def _run(command: Callable[[Sequence[str]], None], arguments: Sequence[str], env: Mapping[str, str]) -> Run:
    with tempfile.NamedTemporaryFile("r", suffix=".log") as log:
        process = FORKS.Process(target=_in_fork, args=(command, arguments, dict(env), log.name))
        process.start()
        process.join(300)
        process.kill()
        process.join()
        printed = log.read()
    assert process.exitcode is not None and process.exitcode >= 0, printed
    return Run(process.exitcode, without_debug_lines(printed))


def _in_fork(
    command: Callable[[Sequence[str]], None], arguments: Sequence[str], env: Mapping[str, str], log: str
) -> None:
    # The server that forks this process has the environment and the output that it was started with.
    os.environ.clear()
    os.environ.update(env)
    output = os.open(log, os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # Such as the folder of the DAGs.
    airflow.settings.configure_vars()  # type: ignore[no-untyped-call]
    command(arguments)


def _airflow(arguments: Sequence[str]) -> None:
    from airflow.__main__ import main

    sys.argv = ["airflow", *arguments]
    main()  # type: ignore[no-untyped-call]


def _script(arguments: Sequence[str]) -> None:
    sys.argv = [*arguments]
    runpy.run_path(arguments[0], run_name="__main__")


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
