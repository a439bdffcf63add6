# SPDX-License-Identifier: Apache-2.0
"""Python modules that serve HTTP in their own process."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_ip1.testing.processes import running


@contextmanager
def python_server(
    name: str,
    directory: Path,
    module: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> Iterator[str]:
    """
    Run a Python module that prints "ready on", followed by its URL, once it serves.

    :param name: the name in errors.
    :param directory: the folder for its log, which has the module's name.
    :param module: for ``python -m``.
    :param arguments: the module's arguments.
    :param env: its environment; default: this program's.
    :param seconds: the longest that it may take to start.
    :return: the URL.
    :raises ProgramError: if it ends, or does not serve in time.
    """
    log_path = directory / f"{module.rpartition('.')[2]}.log"
    with running(name, [sys.executable, "-m", module, *arguments], log_path=log_path, env=env) as process:

        def url() -> str:
            ready = re.search(r"ready on (http://\S+)\n", log_path.read_text())
            return ready[1] if ready else ""

        process.wait_until(lambda: bool(url()), seconds=seconds)
        yield url()
