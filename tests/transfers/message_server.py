# SPDX-License-Identifier: Apache-2.0
"""A server with exactly the messages that a test gives it, for values that the sandbox never sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dev.stack import http_server


def message_server(messages: Sequence[dict[str, Any]]) -> AbstractContextManager[str]:
    """
    Serve one conversation, whatever the participant.

    :param messages: its messages, oldest first.
    :return: the base URL.
    """
    rows = [json.dumps(message).encode() for message in messages]
    return list_server(lambda path: rows)


@contextmanager
def list_server(rows_at: Callable[[str], Sequence[bytes]]) -> Iterator[str]:
    """
    Serve lists.

    :param rows_at: called with a path such as ``/v2/batches``; returns the JSON of each row, oldest first.
    :return: the base URL.
    """

    class Handler(http_server.Handler):
        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            rows = list(rows_at(urlsplit(self.path).path))
            if query.get("order", "ASC") != "ASC":
                rows.reverse()
            start, limit = int(query.get("start", 0)), int(query.get("limit", 50))
            content = b"[" + b",".join(rows[start : start + limit]) + b"]"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with http_server.serving(Handler) as url:
        yield url
