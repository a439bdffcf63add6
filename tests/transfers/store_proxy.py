# SPDX-License-Identifier: Apache-2.0
"""A store that fails: a proxy in front of a real one."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from dev.stack import http_server

CONDITIONS = ("if-match", "if-none-match")


@dataclass
class StoreRequest:
    """
    A request to the proxy.

    :param call: the store's operation, such as ``PutObject``.
    :param headers: its headers, in lower case.
    """

    call: str
    headers: dict[str, str]

    @property
    def is_conditional(self) -> bool:
        return any(name in self.headers for name in CONDITIONS)


Answer = tuple[int, str] | tuple[int, str, str] | None


@dataclass
class StoreProxy:
    """
    A running proxy.

    :param url: its endpoint.
    :param answer: called with each request; returns a status, the store's error code and perhaps more of the error in
        XML, or ``None`` to forward the request. Without a code, the response is empty, and status 0 closes the
        connection.
    :param before: called with each request that is forwarded.
    :param after: called with each request that the store has executed, before its response goes to the client.
    :param rewrite: returns the content of a response that goes to the client instead of the store's.
    :param ignores_conditions: whether to forward requests without their conditions.
    :param loses_responses_of: operations whose next response is lost after the server has executed them.
    :param instead: what the client gets instead, as from ``answer``.
    :param requests: all requests, in their order.
    """

    url: str
    answer: Callable[[StoreRequest], Answer] = lambda request: None
    before: Callable[[StoreRequest], None] = lambda request: None
    after: Callable[[StoreRequest], None] = lambda request: None
    rewrite: Callable[[bytes], bytes] = lambda content: content
    ignores_conditions: bool = False
    loses_responses_of: set[str] = field(default_factory=set)
    instead: tuple[int, str] = (500, "InternalError")
    requests: list[StoreRequest] = field(default_factory=list)

    def calls(self) -> list[str]:
        return [request.call for request in self.requests]


@contextmanager
def store_proxy(
    upstream: str,
    name_call: Callable[[str, str], str],
    sign: Callable[[StoreProxy, str, str, dict[str, str], bytes], Mapping[str, str]],
    code_header: str | None = None,
) -> Iterator[StoreProxy]:
    """
    Run a proxy.

    :param upstream: the address of the store.
    :param name_call: returns the operation of a method and a path.
    :param sign: returns the headers with which a request goes to the store.
    :param code_header: the header of a response that contains the error code.
    """
    target = urlsplit(upstream)

    class Handler(http_server.Handler):
        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = StoreRequest(name_call(self.command, self.path), headers)
            proxy.requests.append(request)
            if (error := proxy.answer(request)) is not None:
                self.respond_with_error(*error)
                return
            proxy.before(request)
            connection = http.client.HTTPConnection(str(target.hostname), target.port)
            try:
                connection.request(
                    self.command, self.path, body, dict(sign(proxy, self.command, self.path, headers, body))
                )
                response = connection.getresponse()
                content = proxy.rewrite(response.read())
                proxy.after(request)
                if request.call in proxy.loses_responses_of:
                    proxy.loses_responses_of.discard(request.call)
                    self.respond_with_error(*proxy.instead)
                    return
                self.send_response(response.status)
                for name, value in response.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                size = response.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", size or "0")
                self.end_headers()
                self.wfile.write(content)
            finally:
                connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815 - names of the standard library

        def respond_with_error(self, status: int, code: str, more: str = "") -> None:
            if not status:
                self.close_connection = True
                return
            has_content = code and self.command != "HEAD"
            content = f"<Error><Code>{code}</Code>{more}</Error>".encode() if has_content else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            if code and code_header:
                self.send_header(code_header, code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with http_server.serving(Handler) as url:
        proxy = StoreProxy(url)
        yield proxy
