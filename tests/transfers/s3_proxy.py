# SPDX-License-Identifier: Apache-2.0
"""An S3 server that fails, or that does not support conditional writes: a proxy in front of the real one."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dev import stack

CONDITIONS = ("if-match", "if-none-match")


@dataclass
class S3Request:
    """
    A request to the proxy.

    :param call: the S3 operation, such as ``PutObject``.
    :param headers: its headers, in lower case.
    """

    call: str
    headers: dict[str, str]

    @property
    def is_conditional(self) -> bool:
        return any(name in self.headers for name in CONDITIONS)


@dataclass
class S3Proxy:
    """
    A running proxy.

    :param url: its endpoint.
    :param answer: called with each request; returns a status, an S3 error code and perhaps more of the error in XML, or
        ``None`` to forward the request. Without a code, the response is empty, and status 0 closes the connection.
    :param before: called with each request that is forwarded.
    :param after: called with each request that S3 has executed, before its response goes to the client.
    :param rewrite: returns the content of a response that goes to the client instead of S3's.
    :param ignores_conditions: whether to forward requests without their conditions.
    :param loses_responses_of: operations whose next response is lost after the server has executed them.
    :param instead: what the client gets instead, as from ``answer``.
    :param requests: all requests, in their order.
    """

    url: str
    answer: Callable[[S3Request], tuple[int, str] | tuple[int, str, str] | None] = lambda request: None
    before: Callable[[S3Request], None] = lambda request: None
    after: Callable[[S3Request], None] = lambda request: None
    rewrite: Callable[[bytes], bytes] = lambda content: content
    ignores_conditions: bool = False
    loses_responses_of: set[str] = field(default_factory=set)
    instead: tuple[int, str] = (500, "InternalError")
    requests: list[S3Request] = field(default_factory=list)

    def calls(self) -> list[str]:
        return [request.call for request in self.requests]


def use_proxy(monkeypatch: pytest.MonkeyPatch, server: stack.S3Server, proxy: S3Proxy, *, attempts: int) -> None:
    """Let the default AWS connection lead to the proxy, and send each request so often."""
    connection = json.loads(stack.aws_connection(replace(server, endpoint_url=proxy.url)))
    connection["extra"]["config_kwargs"]["retries"] = {"total_max_attempts": attempts}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


def _call(method: str, path: str) -> str:
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    is_object = urlsplit(path).path.strip("/").count("/") > 0
    if method == "PUT" and is_object:
        return "UploadPart" if "partNumber" in query else "PutObject"
    if method == "POST":
        return "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"
    if method == "DELETE" and "uploadId" in query:
        return "AbortMultipartUpload"
    return method


@contextmanager
def s3_proxy(server: stack.S3Server) -> Iterator[S3Proxy]:
    """Run a proxy that signs each request again, so that it may change the headers."""
    upstream = urlsplit(server.endpoint_url)
    credentials = Credentials(server.access_key, server.secret_key)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = S3Request(_call(self.command, self.path), headers)
            proxy.requests.append(request)
            if (error := proxy.answer(request)) is not None:
                self.respond_with_error(*error)
                return
            proxy.before(request)
            kept = {
                name: value
                for name, value in headers.items()
                if name.startswith(("x-amz-meta", "x-amz-acl", "x-amz-checksum", "x-amz-sdk", "content-type"))
                or (name in CONDITIONS and not proxy.ignores_conditions)
            }
            signed = AWSRequest(self.command, server.endpoint_url + self.path, headers=kept, data=body)
            S3SigV4Auth(credentials, "s3", server.region).add_auth(signed)
            connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port)
            try:
                connection.request(self.command, self.path, body, dict(signed.headers.items()))
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
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        proxy = S3Proxy(f"http://127.0.0.1:{listener.server_address[1]}")
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            thread.join()
