# SPDX-License-Identifier: Apache-2.0
"""A client without any of this provider's code, and a clock that stands still."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_ip1.sandbox.server import SandboxServer


class Clock:
    """A time that only the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A plain HTTP client with the sandbox's key."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {server.key}"

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        options = {"timeout": 30, "allow_redirects": False, **options}
        return self.session.request(method, self.server.url + path, **options)

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.request("GET", path, params=query)

    def post(self, order: object, **options: Any) -> requests.Response:
        return self.request("POST", "/v2/batches", json=order, **options)
