# SPDX-License-Identifier: Apache-2.0
"""A server with exactly the messages that a test gives it, for values that the sandbox never sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@contextmanager
def message_server(messages: Sequence[dict[str, Any]]) -> Iterator[str]:
    """
    Serve one conversation, whatever the participant.

    :param messages: its messages, oldest first.
    :return: the base URL.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            rows = list(messages) if query.get("order", "ASC") == "ASC" else list(reversed(messages))
            start, limit = int(query.get("start", 0)), int(query.get("limit", 50))
            content = json.dumps(rows[start : start + limit]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}"
        finally:
            listener.shutdown()
            thread.join()
