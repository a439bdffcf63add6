# SPDX-License-Identifier: Apache-2.0
"""Airflow's web interface and its REST API, for the tests in a browser."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack

BUCKET = "ip1-demo"
DELIVERY = "ip1_wait_for_delivery"
# Milliseconds. On a busy machine, Airflow's first pages take long to load.
PATIENCE = 180_000
RUN_SECONDS = 600
ENDED = ("success", "failed", "upstream_failed", "skipped")


def chromium() -> str:
    """Return the path of the installed browser, so that Playwright needs no download."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("Chromium is not installed: run `make test-ui`, or install the package chromium")


class Clock:
    """The sandbox's clock. It is an hour slow until the test lets the hour pass."""

    def __init__(self) -> None:
        self.behind = 3600.0

    def __call__(self) -> float:
        return time.time() - self.behind

    def let_the_hour_pass(self) -> None:
        self.behind = 0.0


@dataclass(frozen=True)
class Servers:
    """The servers that the tests use."""

    airflow: stack.AirflowServer
    sandbox: SandboxServer
    s3: stack.S3Server
    clock: Clock


class Api:
    """
    Airflow's REST API, as the user whom the browser has logged in.

    :param page: any page of the web interface.
    :param url: the address of the web interface.
    """

    def __init__(self, page: Any, url: str) -> None:
        self._page = page
        self._url = f"{url}/api/v2"

    def get(self, path: str) -> Any:
        response = self._page.request.get(f"{self._url}/{path}", timeout=PATIENCE)
        assert response.ok, f"{response.status}: {response.text()}"
        return response.json()

    def connection_exists(self, connection_id: str) -> bool:
        return bool(self._page.request.get(f"{self._url}/connections/{connection_id}", timeout=PATIENCE).ok)

    def post(self, path: str, **data: Any) -> Any:
        response = self._page.request.post(f"{self._url}/{path}", data=data, timeout=PATIENCE)
        assert response.ok, f"{response.status}: {response.text()}"
        return response.json()

    def delete(self, path: str) -> None:
        assert self._page.request.delete(f"{self._url}/{path}", timeout=PATIENCE).ok

    def trigger(self, dag: str) -> str:
        """Start a run and return its id."""
        return str(self.post(f"dags/{dag}/dagRuns", logical_date=None)["dag_run_id"])

    def wait_for_state(self, dag: str, run: str, task: str, *, until: str) -> None:
        """Wait until a task is in a state. Fail if it ends in another one."""
        deadline = time.monotonic() + RUN_SECONDS
        state = None
        while state != until and time.monotonic() < deadline:
            state = self.get(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}")["state"]
            if state in ENDED:
                break
            self._page.wait_for_timeout(1000)
        assert state == until
