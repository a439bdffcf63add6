# SPDX-License-Identifier: Apache-2.0
"""Airflow's web interface and its REST API, for the tests in a browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Return the path of the installed browser, so that Playwright needs no download."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("Chromium is not installed: run `make test-ui`, or install the package chromium")


@contextmanager
def launched_browser() -> Iterator[Any]:
    """Run a browser of Playwright."""
    pytest.importorskip("playwright", reason="Playwright is not installed: run `make test-ui`")
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@contextmanager
def logged_in_page(browser: Any, airflow: stack.AirflowServer) -> Iterator[Any]:
    """Open a page of a logged-in user."""
    page = browser.new_page(viewport={"width": 1400, "height": 875}, color_scheme="light")
    page.context.set_default_timeout(PATIENCE)
    page.goto(airflow.url)
    page.locator("input[name=username]").fill(airflow.user)
    page.locator("input[name=password]").fill(airflow.password)
    page.locator("button[type=submit]").click()
    page.get_by_role("link", name="Dags").first.wait_for()
    yield page
    page.close()


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
        return self._send("POST", path, data)

    def patch(self, path: str, **data: Any) -> Any:
        return self._send("PATCH", path, data)

    def _send(self, method: str, path: str, data: Any) -> Any:
        # On a busy machine, Airflow's SQLite refuses a request now and then.
        for _ in range(10):
            response = self._page.request.fetch(f"{self._url}/{path}", method=method, data=data, timeout=PATIENCE)
            if response.status < 500:
                break
        assert response.ok, f"{response.status}: {response.text()}"
        return response.json()

    def delete(self, path: str) -> None:
        assert self._page.request.delete(f"{self._url}/{path}", timeout=PATIENCE).ok

    def unpause(self, dag: str) -> None:
        """Let a DAG run."""
        self.patch(f"dags/{dag}?update_mask=is_paused", is_paused=False)

    def trigger(self, dag: str) -> str:
        """Start a run and return its id."""
        return str(self.post(f"dags/{dag}/dagRuns", logical_date=None)["dag_run_id"])

    def wait_for_state(self, dag: str, run: str, task: str, *, until: str) -> None:
        """Wait until a task is in a state. Fail if it ends in another one."""
        states = (until, *ENDED)
        assert self._state(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}", states.__contains__) == until

    def wait_for_run(self, dag: str, run: str) -> str:
        """Wait for the end of a run and return its state."""
        return self._state(f"dags/{dag}/dagRuns/{run}", ENDED.__contains__)

    def _state(self, path: str, is_final: Callable[[str | None], bool]) -> str:
        deadline = time.monotonic() + RUN_SECONDS
        while not is_final(state := self.get(path)["state"]) and time.monotonic() < deadline:
            self._page.wait_for_timeout(1000)
        return str(state)
