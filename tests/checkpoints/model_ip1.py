# SPDX-License-Identifier: Apache-2.0
"""
iP.1 without a network: a hook whose requests a model of the server answers, in simulated time.

Everything above the socket is the provider's own code: the hook, the client's operations, calls and paging.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from airflow_provider_ip1.api.call import Call, Response
from airflow_provider_ip1.api.paging.listing import Lists
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import ReadAhead
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client.base_client import BaseClient, Flow, Pages
from airflow_provider_ip1.client.sync_client import SyncPages
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from tests.checkpoints.account import Account

T = TypeVar("T")
BASE_URL = "https://ip1.example"

log = logging.getLogger("model-of-ip1")


class ModelServer:
    """
    Answers requests as iP.1 does.

    :param account: what it knows.
    :param clock: returns the seconds of the simulated clock.
    """

    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self.account = account
        self.clock = clock
        self.has_links = True
        self.requests: list[str] = []
        self.missing: set[str] = set()
        """Paths that a 404 answers although they have rows."""

    def respond(self, url: str) -> Response:
        """
        Answer a GET.

        :param url: the whole URL.
        """
        now = self.clock()
        split = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        self.requests.append(split.path)
        path = split.path.removeprefix("/v2/").split("/")
        rows = [] if split.path in self.missing else self._rows(path, now)
        if query.get("order", "ASC") == "DESC":
            rows.reverse()
        start, limit = int(query.get("start", 0)), int(query.get("limit", 50))
        headers = {"date": format_datetime(datetime.fromtimestamp(now + self.account.clock_offset, UTC), usegmt=True)}
        if not rows:
            return Response(404, headers, b'{"message": "no messages to list"}')
        if self.has_links:
            starts = {"next": start + limit, "last": (len(rows) - 1) // limit * limit}
            if starts["next"] >= len(rows):
                del starts["next"]
            headers["link"] = ", ".join(
                f'<{BASE_URL}{split.path}?start={at}&limit={limit}&order=DESC>; rel="{rel}"'
                for rel, at in starts.items()
            )
        page = [render() for render in rows[start : start + limit]]
        if path[:-1] == ["batches"]:
            return Response(200, headers, page[0])
        return Response(200, headers, b"[" + b",".join(page) + b"]")

    def _rows(self, path: list[str], now: float) -> list[Callable[[], bytes]]:
        account = self.account
        if path == ["batches"]:
            return [lambda batch=batch: account.render_batch(batch) for batch in account.batch_list(now)]  # type: ignore[misc]
        if path == ["me", "senders"]:
            return [lambda: b'{"sender": "iP1"}']
        if path[0] == "batches":
            number = int(path[1], 16)
            found = [batch for batch in account.batches[number - 1 : number] if batch.is_listed(now)]
            if len(path) == 2:
                return [lambda batch=batch: account.render_batch(batch) for batch in found]  # type: ignore[misc]
            messages = [message for batch in found for message in batch.messages if message.visible <= now]
        elif path[0] == "conversations":
            messages = account.conversation(path[1], path[2] if len(path) > 2 else "", now)
        else:
            raise AssertionError(f"the model does not know /v2/{'/'.join(path)}")
        return [lambda message=message: account.show(message, now).line for message in messages]  # type: ignore[misc]


class ModelClient(BaseClient):
    """
    A client that sends one request after the other to a model.

    :param respond: answers a URL.
    :param wait: lets seconds pass.
    """

    def __init__(self, respond: Callable[[str], Response], wait: Callable[[float], None], settings: Settings) -> None:
        super().__init__(settings, user_agent="simulation", log=log)
        self._respond = respond
        self._wait = wait

    def run(self, flow: Flow[T]) -> T:
        """Run an operation to its end."""
        outcome: Response | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as finished:
                result: T = finished.value
                return result
            outcome = None
            if isinstance(step, Call):
                outcome = self._respond(step.url)
            else:
                self._wait(step)

    def close(self) -> None:
        """There is nothing to close."""


class ModelPages(SyncPages):
    """Pages that are requested one after the other."""

    def __init__(self, client: ModelClient, lists: Lists, concurrency: int | None) -> None:
        Pages.__init__(self)
        ahead = client.read_ahead(lists, concurrency)
        self._opened.append(ahead)
        self._pages = _read(client, ahead, lists)


def _read(client: ModelClient, ahead: ReadAhead, lists: Lists) -> Generator[Page, None, None]:
    wanted = []
    for step in client.read(ahead, lists):
        if isinstance(step, Page):
            yield step
        elif step is not None:
            wanted.append(step)
        else:
            request = wanted.pop(0)
            ahead.receive(request, client.run(client.page(request)))


class ModelHook(IP1Hook):
    """
    A hook on a model.

    :param respond: answers a URL.
    :param wait: lets seconds pass.
    :param settings: of the connection.
    """

    def __init__(self, respond: Callable[[str], Response], wait: Callable[[float], None], settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._client: Any = ModelClient(respond, wait, settings)

    def open_pages(self, lists: Lists, concurrency: int | None = None) -> SyncPages:
        return ModelPages(self._client, lists, concurrency)
