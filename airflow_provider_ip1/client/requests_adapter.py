# SPDX-License-Identifier: Apache-2.0
"""
The adapter for requests: verifies the server as the connection says, and has one deadline for a whole response.

The timeouts of requests hold for each read from the socket. A server that sends a byte now and then, or an endless
series of ``100 Continue``, would keep a worker busy forever.
"""

from __future__ import annotations

import io
import re
import socket
import time
from functools import partial
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any, Final

import urllib3
from requests.adapters import HTTPAdapter

from airflow_provider_ip1.client.tls import Trust

# RFC 9110, 5.1 and 5.5.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# A line break followed by white space continues the line, an obsolete form that still has to be read.
_HEADER_VALUE: Final = re.compile(r"(?:[^\0\r\n]|\r?\n(?=[ \t]))*")

#: Interim responses before the final one. aiohttp has no such limit and is limited in bytes.
_MAX_INTERIM: Final = 100


class Adapter(HTTPAdapter):
    """
    An adapter whose responses arrive completely within a deadline, from a server that the connection trusts.

    ``verify`` of a request has no effect.

    :param connections: most connections to keep.
    :param seconds: from the time when the request was sent.
    :param trust: which certificates the server may have.
    """

    def __init__(self, connections: int, *, seconds: float, trust: Trust) -> None:
        self._pool_classes: dict[str, Any] = {
            "http": partial(_HTTPPool, seconds=seconds),
            "https": partial(_HTTPSPool, seconds=seconds, trust=trust),
        }
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> urllib3.ProxyManager:
        """Make the pools of connections through a proxy."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager


class _HTTPPool(urllib3.HTTPConnectionPool):
    def __init__(self, *args: Any, seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seconds = seconds

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.response_class = partial(_DeadlineResponse, seconds=self._seconds)
        return connection


class _HTTPSPool(_HTTPPool, urllib3.HTTPSConnectionPool):
    def __init__(self, *args: Any, trust: Trust, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Of the pool's own class, because vcrpy puts another one there.
        self.ConnectionCls = type("_Connection", (_TrustingConnection, self.ConnectionCls), {"trust": trust})


class _TrustingConnection:
    trust: Trust

    def connect(self: Any) -> None:
        """Connect, also once more after the server has closed the connection."""
        context = self.trust.context()
        self.ssl_context, self.cert_reqs = context, context.verify_mode
        # requests has put certifi's file here, and the context would trust it as well.
        self.ca_certs = self.ca_cert_dir = None
        if self.proxy_config is not None:
            self.proxy_config = self.proxy_config._replace(ssl_context=context)
        super().connect()  # type: ignore[misc]  # the connection of the pool


class _DeadlineResponse(HTTPResponse):
    """
    http.client's response, read through :class:`_DeadlineReader`.

    It is as strict about headers as aiohttp. Ambiguous ones make clients and proxies disagree on where a response ends
    (RFC 9112, 6.3), and urllib3 would log the URL, with the participant, when it meets a malformed one.
    """

    def __init__(self, sock: socket.socket, *args: Any, seconds: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp, sock, time.monotonic() + seconds))

    def begin(self) -> None:
        """Read the status line and the headers."""
        try:
            self._read_head()
        except (HTTPException, OSError) as error:
            # A 2xx says that a POST has taken effect, even if the rest cannot be read.
            error.status = self.status  # type: ignore[union-attr]
            raise

    def _read_head(self) -> None:
        super().begin()
        if self.headers.defects or not all(
            _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in self.headers.raw_items()
        ):
            raise HTTPException("malformed header")
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            raise HTTPException("ambiguous Content-Length")
        if lengths and self.headers.get("Transfer-Encoding"):
            raise HTTPException("Content-Length and Transfer-Encoding")

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MAX_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # http.client itself skips 100 only, and any number of them.
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException(f"more than {_MAX_INTERIM} interim responses")

    def _read_and_discard_trailer(self) -> None:
        # http.client itself would read trailers without end. This limits them like headers.
        parse_headers(self.fp)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline, whatever the socket's own timeout allows."""

    def __init__(self, file: Any, sock: socket.socket, deadline: float) -> None:
        # The socket stays open until the last of its files is closed.
        self._file = file
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response did not arrive in time")
        timeout = left if self._timeout is None else min(left, self._timeout)
        self._sock.settimeout(timeout)
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
