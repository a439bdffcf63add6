# SPDX-License-Identifier: Apache-2.0
"""A web server that receives the sandbox's pushes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from dev.stack import http_server


class Receiver:
    """
    What was received.

    ``bodies`` holds the JSON objects and ``paths`` the paths, in the order of the requests. ``statuses`` holds how to
    respond: the first request gets the first status. When there are no more, the response is 200.
    """

    def __init__(self, server_url: str) -> None:
        self.port = urlsplit(server_url).port or 0
        self.url = f"{server_url}/ip1"
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.content_types: list[str | None] = []
        self.statuses: list[int] = []
        self.changed = threading.Condition()

    def wait_for(self, count: int) -> None:
        """Wait until this many requests came."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.bodies) >= count, 30), self.bodies

    @property
    def codes(self) -> list[int]:
        return [body["code"] for body in self.bodies]


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(http_server.Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.paths.append(self.path)
            received.content_types.append(self.headers["Content-Type"])
            with received.changed:
                received.bodies.append(json.loads(body))
                received.changed.notify_all()
            self.send_response(received.statuses.pop(0) if received.statuses else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    with http_server.serving(Handler) as url:
        received = Receiver(url)
        yield received
