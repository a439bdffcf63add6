# SPDX-License-Identifier: Apache-2.0
"""The iP.1 sandbox in its own process, and the Airflow connection to it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dev.stack.processes import running

SANDBOX_KEY = "sandbox-key"


@contextmanager
def sandbox(directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """
    Run the iP.1 sandbox in a process of its own.

    :param directory: for its log, ``sandbox.log``.
    :param arguments: for ``python -m airflow_provider_ip1.sandbox``, beside the port.
    :param env: its environment. Default: this program's.
    :return: its base URL.
    """
    command = [sys.executable, "-m", "airflow_provider_ip1.sandbox", "--port", "0", "--log", *arguments]
    with running("The iP.1 sandbox", command, log_path=directory / "sandbox.log", env=env) as process:

        def url() -> str:
            ready = re.search(r" ready on (http://\S+)\n", process.log_path.read_text())
            return ready[1] if ready else ""

        process.wait_until(lambda: bool(url()), seconds=60)
        yield url()


def ip1_connection(base_url: str, **extra: Any) -> str:
    """
    Describe the sandbox to Airflow.

    :param base_url: of the sandbox.
    :param extra: extras of the connection.
    :return: the value for a variable ``AIRFLOW_CONN_<ID>``.
    """
    return json.dumps(
        {"conn_type": "ip1", "host": base_url, "password": SANDBOX_KEY} | ({"extra": extra} if extra else {})
    )
