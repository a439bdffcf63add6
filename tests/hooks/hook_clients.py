# SPDX-License-Identifier: Apache-2.0
"""One way to use both hooks, so that every test runs against both; and a server that answers as a test wants it to."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol, Self

from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook

Kind = Literal["sync", "async"]
CONN_ID = "ip1_test"


class Steps(Protocol):
    """An iterator of a hook, taken step by step."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...
    def skip_rest(self) -> None: ...
    def close(self) -> None: ...


class SyncClient:
    kind: Kind = "sync"

    def __init__(self, conn_id: str = CONN_ID, **settings: Any) -> None:
        self.hook = IP1Hook(conn_id, **settings)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.hook, method)(*args, **kwargs)

    def iterate(self, method: str, *args: Any, **kwargs: Any) -> Steps:
        return getattr(self.hook, method)(*args, **kwargs)  # type: ignore[no-any-return]

    def idle(self, until: Callable[[], object], seconds: float) -> None:
        """Do nothing with the hook until something is true or the time is up; read-ahead goes on."""
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        self.hook.close()


class AsyncClient:
    kind: Kind = "async"

    def __init__(self, conn_id: str = CONN_ID, **settings: Any) -> None:
        self.hook = IP1AsyncHook(conn_id, **settings)
        self.runner = asyncio.Runner()

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            return await getattr(self.hook, method)(*args, **kwargs)

        return self.runner.run(call())

    def iterate(self, method: str, *args: Any, **kwargs: Any) -> Steps:
        return _AsyncSteps(self.runner, getattr(self.hook, method)(*args, **kwargs))

    def idle(self, until: Callable[[], object], seconds: float) -> None:
        async def idle() -> None:
            deadline = time.monotonic() + seconds
            while not until() and time.monotonic() < deadline:
                await asyncio.sleep(0.01)

        self.runner.run(idle())

    def close(self) -> None:
        self.runner.run(self.hook.close())
        self.runner.close()


@dataclass
class _AsyncSteps:
    runner: asyncio.Runner
    iterator: AsyncIterator[Any]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        async def step() -> Any:
            return await anext(self.iterator, self)

        item = self.runner.run(step())
        if item is self:
            raise StopIteration
        return item

    def skip_rest(self) -> None:
        self.iterator.skip_rest()  # type: ignore[attr-defined]

    def close(self) -> None:
        self.runner.run(self.iterator.aclose())  # type: ignore[attr-defined]


Client = SyncClient | AsyncClient
CLIENTS: dict[Kind, type[SyncClient] | type[AsyncClient]] = {"sync": SyncClient, "async": AsyncClient}


class RawServer:
    """
    An HTTP server on a free loopback port whose answers a test writes itself.

    :param answer: writes the answer to a request; what it returns does not matter.
    :param tls: the server's certificate, for https.

    ``seen`` holds path and headers of every request.
    """

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], object], tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                # The client may be gone, which is what some tests are about.
                with suppress(OSError):
                    answer(self)

            do_CONNECT = do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Not to stderr."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Broken connections are part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def send(request: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"[]", **headers: str) -> None:
    """Answer a request of a :class:`RawServer`."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
