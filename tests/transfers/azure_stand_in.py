# SPDX-License-Identifier: Apache-2.0
"""
Stands in for Azure where the emulator cannot run, or does not show an error.

It executes the requests of an export and checks their conditions. The tests with the emulator show what Azure does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs, unquote, urlsplit

from dev.stack import http_server

Error = tuple[int, str]


@dataclass
class StandIn:
    """
    A running server.

    :param url: the address of its account.
    :param blobs: name -> content, ETag and metadata of what readers see.
    :param answer: called with the operation of each request; returns a status and an error code, or ``None`` to execute
        the request.
    :param loses_responses_of: operations whose next response is lost after the request was executed.
    :param calls: the operations of all requests.
    """

    url: str
    blobs: dict[str, tuple[bytes, str, dict[str, str]]] = field(default_factory=dict)
    answer: Callable[[str], Error | None] = lambda call: None
    loses_responses_of: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    blocks: dict[str, bytes] = field(default_factory=dict)
    writes: int = 0

    def connection(self, **extra: object) -> str:
        """Return an Airflow connection to this server, with a SAS token unless ``extra`` says otherwise."""
        extras = {"sas_token": "?sv=2024-08-04&sig=SECRETSIGNATURE%3D", "retry_total": 0, **extra}
        return json.dumps({"conn_type": "wasb", "login": "account", "host": self.url, "extra": extras})

    def execute(self, call: str, name: str, headers: dict[str, str], query: dict[str, list[str]], body: bytes) -> Error:
        """Execute a request that changes something."""
        if call == "PutBlock":
            self.blocks[query["blockid"][0]] = body
            return 201, ""
        found = self.blobs.get(name)
        if headers.get("if-none-match") == "*" and found:
            return 409, "BlobAlreadyExists"
        if "if-match" in headers and (found is None or found[1] != headers["if-match"]):
            return 412, "ConditionNotMet"
        listed = re.findall(rb"<Latest>([^<]*)</Latest>", body)
        content = b"".join(self.blocks[one.decode()] for one in listed)
        # The blocks that are not in the list are gone, those of other writers included.
        self.blocks.clear()
        self.writes += 1
        metadata = {key: value for key, value in headers.items() if key.startswith("x-ms-meta-")}
        self.blobs[name] = (content, f'"{self.writes}"', metadata)
        return 201, ""


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run the server."""

    class Handler(http_server.Handler):
        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = parse_qs(urlsplit(self.path).query)
            _, _, container, name = unquote(urlsplit(self.path).path).split("/", 3)
            what = query.get("comp", [""])[0]
            call = {"block": "PutBlock", "blocklist": "PutBlockList"}.get(what, self.command)
            server.calls.append(call)
            server.headers.append(headers)
            content, extra = b"", {}
            error = (404, "ContainerNotFound") if container != "lake" else server.answer(call)
            if error is None and call.startswith("Put"):
                error = server.execute(call, name, headers, query, body)
            elif error is None:
                found = server.blobs.get(name)
                error = (404, "BlobNotFound") if found is None else (200, "")
                content = b"" if found is None else found[0]
                extra = {} if found is None else found[2]
            status, code = error
            if call in server.loses_responses_of:
                server.loses_responses_of.discard(call)
                status, code = 0, ""
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            if code:
                self.send_header("x-ms-error-code", code)
                content = f"<Error><Code>{code}</Code><Message>No {escape(self.path)}.</Message></Error>".encode()
            elif name in server.blobs:
                self.send_header("ETag", server.blobs[name][1])
            for key, value in extra.items():
                self.send_header(key, value)
            self.send_header("x-ms-request-id", "1")
            self.send_header("x-ms-blob-type", "BlockBlob")
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(content)))
            if self.command == "GET":
                self.send_header("Content-Range", f"bytes 0-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = handle_request  # noqa: N815 - names of the standard library

    with http_server.serving(Handler) as url:
        server = StandIn(f"{url}/account")
        yield server
