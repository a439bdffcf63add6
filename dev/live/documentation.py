# SPDX-License-Identifier: Apache-2.0
"""The examples in iP.1's documentation (``documentation.yaml``), and a small local server that returns one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from dev.live.cassettes import Call
from dev.stack import http_server

_PARTICIPANT = "46701740605"
# For the examples of a header. The schema requires no field.
_MESSAGES = [
    {"id": f"5eed{place:020x}", "recipient": _PARTICIPANT, "modified": "2018-10-23T17:43:19Z"} for place in range(103)
]
_READ_MESSAGES = {"method": "iter_messages", "arguments": {"participant": _PARTICIPANT}, "hook": {"page_size": 100}}


@dataclass(frozen=True)
class Example:
    """
    An example.

    :param about: what it shows, in a sentence.
    :param page: the page of the documentation.
    :param call: the call that requests it.
    :param content: a list, which the server divides into pages, or an object.
    :param link: the Link header of every page with messages, with numbers that fit the list.
    """

    about: str
    page: str
    call: Call
    content: Any
    link: str | None = None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run a server with the example until the block ends, and return its base URL."""
        content, header = self.content, self.link

        class Handler(http_server.Handler):
            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                start, limit = int(query.get("start", 0)), int(query.get("limit", 50))
                page = content[start : start + limit] if isinstance(content, list) else content
                body = json.dumps(page, separators=(",", ":")).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                if header is not None and page:
                    last = (len(content) - 1) // limit * limit
                    # The printed numbers belong to a list of 5,000 batches. These count from 1 as they do.
                    link = header.replace("start=201&", f"start={start + limit + 1}&")
                    self.send_header("Link", link.replace("start=4901&", f"start={last + 1}&"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        with http_server.serving(Handler) as url:
            yield url


def examples() -> Mapping[str, Example]:
    """Return the examples by the names of their recordings."""
    found = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return {
        name: Example(
            each.get("about") or f"The example of a Link header: {each['link'].partition(',')[0]}, ...",
            each["page"],
            Call(**each.get("call", _READ_MESSAGES)),
            json.loads(each["body"]) if "body" in each else _MESSAGES,
            each.get("link"),
        )
        for name, each in found.items()
    }
