# SPDX-License-Identifier: Apache-2.0
"""Clients without any of this provider's code, and a clock that stands still."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import requests

from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer

CONVERSATION = f"/v2/conversations/{MAIN}"
#: The documented schema of a list of messages.
SCHEMA = json.loads(
    resources.files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text()
)
#: A request to send.
ORDER = {"sender": "Skolan", "recipients": [SEVEN], "body": "Välkommen 🎂"}


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


def get(server: SandboxServer, path: str = CONVERSATION, **query: Any) -> requests.Response:
    """Send a request over a new connection."""
    return Client(server).get(path, **query)


def ids_of(response: requests.Response) -> list[str]:
    return [message["id"] for message in response.json()]


def send(account: Client, **fields: Any) -> dict[str, Any]:
    response = account.post({**ORDER, **fields})
    assert response.status_code == 201, response.text
    batch: dict[str, Any] = response.json()
    return batch


def messages_of(account: Client, batch: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = account.get(f"/v2/batches/{batch['id']}/messages", limit=1000).json()
    return messages


def codes_of(account: Client, batch: dict[str, Any]) -> list[int]:
    return [message["statuses"][0]["code"] for message in messages_of(account, batch)]


def errors_of(response: requests.Response) -> list[str]:
    assert response.status_code == 400, response.text
    return list(response.json()["errors"])


def window(clock: Clock, opens: float, closes: float | None = None) -> dict[str, str]:
    """Return a delivery window that opens and closes these seconds from now."""
    times = {"opens": opens} | ({} if closes is None else {"closes": closes})
    return {
        name: datetime.fromtimestamp(clock.now + after, UTC).isoformat().replace("+00:00", "Z")
        for name, after in times.items()
    }
