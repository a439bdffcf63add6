# SPDX-License-Identifier: Apache-2.0
"""
Responses made from the examples in iP.1's documentation, and a small local server that returns them.

The fields, the spelling of their values and the headers come from the documentation. Phone numbers (from a range
reserved for fiction), texts, ids and everything that the documentation leaves out are invented.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PARTICIPANT = "46701740605"
OWN_NUMBER = "46846500499"
BATCH = "5eed00000000000000000001"
MESSAGE = "5eed00000000000000000002"

SUMMARY = {
    "participant": PARTICIPANT,
    "totalMessageCount": 387,
    "totalSmsCount": 774,
    "mobileTerminatedMessages": {
        "101": {"messages": 43, "sms": 86},
        "102": {"messages": 3, "sms": 6},
        "201": {"messages": 142, "sms": 284},
    },
    "mobileOriginatedMessages": {"201": {"messages": 199, "sms": 398}},
}
SINGLE = {
    "id": MESSAGE,
    "batchId": BATCH,
    "owner": "ip1-00000",
    "sender": "iP1",
    "recipient": PARTICIPANT,
    "body": "Hej!",
    "direction": "mt",
    "segments": 1,
    "type": "SMS",
    "datacoding": "ucs",
    "priority": 1,
    "price": 0.0416,
    "currency": "EUR",
    "statuses": [{"created": "2018-10-23T17:43:21Z", "code": 201, "duration": 0}],
    "modified": "2018-10-23T17:43:19Z",
    "mcc": "431",
    "mnc": "20",
}
INCOMING = {
    "id": MESSAGE,
    "batchId": BATCH,
    "owner": "ip1-00000",
    "sender": PARTICIPANT,
    "recipient": OWN_NUMBER,
    "body": "Hej!",
    "direction": "mo",
    "segments": 1,
    "type": "SMS",
    "datacoding": "GSM",
    "priority": 1,
    "statuses": [{"created": "2018-10-23T17:43:21Z", "code": 201, "duration": 1}],
    "modified": "2018-10-23T17:43:19Z",
    "mcc": "431",
    "mnc": "20",
}

_NEXT = "https://api.ip1sms.com/v2/batches?start=201&limit=100&order=ASC"
_LAST = "https://api.ip1sms.com/v2/batches?start=4901&limit=100&order=ASC"
#: name: (header, page with the example). Without the line breaks, which the pages contain only for legibility.
LINKS: Mapping[str, tuple[str, str]] = {
    "link_valid": (
        f'<{_NEXT}>; rel="next", <{_LAST}>; rel="last"',
        "https://ip1sms.com/en/developer/introduction/",
    ),
    "link_without_semicolon": (
        f'<{_NEXT}> rel="next", <{_LAST}> rel="last"',
        "https://www.ip1sms.com/en/developer/docs/sms/",
    ),
    "link_without_urls_load": (
        '; rel="next", ; rel="load"',
        "https://ip1sms.com/en/developer/introduction",
    ),
    "link_without_urls_last": (
        '; rel="next", ; rel="last"',
        "https://rcs-api.com/en/?p=728",
    ),
}


def short_messages(count: int) -> list[dict[str, Any]]:
    """Return messages with few fields. The schema requires none."""
    return [
        {"id": f"5eed{place:020x}", "recipient": PARTICIPANT, "modified": "2018-10-23T17:43:19Z"}
        for place in range(count)
    ]


@dataclass(frozen=True)
class DocumentedServer:
    """
    A server with one response.

    :param content: a list, which the server divides into pages, or an object.
    :param link: the Link header of every page with messages, with numbers that fit the list.
    """

    content: Sequence[Mapping[str, Any]] | Mapping[str, Any] = field(repr=False)
    link: str | None = None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the server until the block ends, and return its base URL."""
        documented = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                start, limit = int(query.get("start", 0)), int(query.get("limit", 50))
                content = documented.content
                page = content if isinstance(content, Mapping) else list(content)[start : start + limit]
                body = json.dumps(page, separators=(",", ":")).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                if documented.link is not None and page:
                    last = (len(content) - 1) // limit * limit
                    # The printed numbers belong to a list of 5,000 batches. These count from 1 as they do.
                    link = documented.link.replace("start=201&", f"start={start + limit + 1}&")
                    self.send_header("Link", link.replace("start=4901&", f"start={last + 1}&"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """Log nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()
