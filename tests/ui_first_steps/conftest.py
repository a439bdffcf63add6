# SPDX-License-Identifier: Apache-2.0
"""A browser, and ``make airflow`` as a newcomer starts it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

from airflow_provider_ip1.testing.processes import running
from dev import stack
from tests.ui.airflow_web import RUN_SECONDS, Api, launched_browser, logged_in_page

WELCOME = re.compile(r"Airflow +(?P<url>http://\S+)\n +user (?P<user>\S+), password (?P<password>\S+)\n")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A browser of Playwright."""
    with launched_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def airflow(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.AirflowServer]:
    """The Airflow of ``make airflow``."""
    if int(version("apache-airflow").split(".")[0]) < 3:
        pytest.skip("Airflow 2 has a different web interface")
    directory, (port,) = tmp_path_factory.mktemp("airflow"), stack.free_ports(1)
    command = [sys.executable, "-m", "dev.stack.standalone", "--directory", str(directory), "--port", str(port)]
    log = directory / "output.txt"
    with running("make airflow", command, log_path=log, env=None) as process:
        process.wait_until(lambda: WELCOME.search(log.read_text()) is not None, seconds=2 * RUN_SECONDS)
        welcome = WELCOME.search(log.read_text())
        assert welcome is not None
        yield stack.AirflowServer(**welcome.groupdict(), process=process)


@pytest.fixture(scope="package")
def page(browser: Any, airflow: stack.AirflowServer) -> Iterator[Any]:
    """A page of a logged-in user."""
    with logged_in_page(browser, airflow) as page:
        yield page


@pytest.fixture(scope="package")
def api(page: Any, airflow: stack.AirflowServer) -> Api:
    """Airflow's REST API."""
    return Api(page, airflow.url)
