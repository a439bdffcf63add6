# SPDX-License-Identifier: Apache-2.0
"""The iP.1 sandbox in its own process, and the Airflow connection to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_ip1.sandbox.airflow_connection import airflow_connection
from dev.stack.python_server import python_server

SANDBOX_KEY = "sandbox-key"


@contextmanager
def sandbox(directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """
    Run the iP.1 sandbox in its own process.

    :param directory: the folder for its log, ``sandbox.log``.
    :param arguments: arguments for ``python -m airflow_provider_ip1.sandbox``, except the port.
    :param env: its environment; default: this program's.
    :return: its base URL.
    """
    module = "airflow_provider_ip1.sandbox"
    with python_server("The iP.1 sandbox", directory, module, "--port", "0", "--log", *arguments, env=env) as url:
        yield url


def ip1_connection(base_url: str, **extra: Any) -> str:
    """
    Return an Airflow connection to the sandbox.

    :param base_url: the sandbox's base URL.
    :param extra: the connection's extras.
    :return: the value for an environment variable ``AIRFLOW_CONN_<ID>``.
    """
    return airflow_connection(base_url, SANDBOX_KEY, **extra)
