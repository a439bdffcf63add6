# SPDX-License-Identifier: Apache-2.0
"""What the sandbox remembers and logs about each request: never the key, and never a whole participant in the log."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from urllib.parse import urlencode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """
    One API request as the sandbox saw it.

    :param number: counts from 1.
    :param status: 0 if the connection was closed without a complete response.
    :param received_at: in seconds of ``time.monotonic()``.
    :param answered_at: likewise.
    :param in_flight: requests that were in progress when this one arrived, including this one.
    :param had_key: whether the request had an Authorization header.
    :param headers: the other headers.
    """

    number: int
    method: str
    path: str
    query: dict[str, str]
    status: int
    received_at: float
    answered_at: float
    in_flight: int
    had_key: bool
    headers: dict[str, str]

    def log(self) -> None:
        """Log the request with its participant masked."""
        # Any other parameter may be personal.
        safe = [
            (name, text)
            for name, text in self.query.items()
            if name in ("start", "limit", "order") and re.fullmatch(r"[0-9]{1,8}|ASC|DESC", text)
        ]
        log.info(
            "%s %s %s -> %s, %.0f ms",
            self.method,
            mask_path(self.path),
            urlencode(safe),
            self.status or "connection closed",
            (self.answered_at - self.received_at) * 1000,
        )


_PERSONAL = re.compile(r"(/v2/conversations|/v2/me/senders|/v2/blacklist)/([^/]+)(/mt|/mo|/summary)?(/?)")
_IMPERSONAL = re.compile(
    r"(/v2/batches(/[0-9a-f]{24}(/messages(/[0-9a-f]{24})?)?)?|/v2/me/senders|/v2/blacklist"
    r"|/api/me(/account|/children)?)/?"
)


def mask_path(path: str) -> str:
    """Mask the participant, sender or number in a request's path, as in ``/v2/conversations/46***05/mt``."""
    match = _PERSONAL.fullmatch(path)
    if match is None:
        return path if _IMPERSONAL.fullmatch(path) else "(other path)"
    head, text, tail, slash = match.groups(default="")
    return (
        f"{head}/{text[:2]}***{text[-2:]}{tail}{slash}"
        if text.isdigit() and len(text) > 6
        else f"{head}/***{tail}{slash}"
    )
