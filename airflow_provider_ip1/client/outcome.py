# SPDX-License-Identifier: Apache-2.0
"""
The outcome of one attempt: the body of the response, decompressed, or why there is no usable one.

The HTTP libraries hand over the bytes as they arrived, because old releases that Airflow's constraints pin decompress a
small body to gigabytes before anyone can stop them. Failures are described without quoting a URL.
"""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Iterator
from typing import Any, Final

from airflow_provider_ip1.api.call import TransportFailure
from airflow_provider_ip1.api.wording import duration_text

#: What :class:`Body` can decode. Each client sends this, because what the libraries send depends on what is installed.
ACCEPT_ENCODING: Final = "gzip"


class UnusableBody(Exception):
    """
    The body is too large or not what its headers say.

    :param failure: why, as the outcome of the request.
    """

    def __init__(self, failure: TransportFailure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Body:
    """
    The body of one response.

    :param coding: the response's ``Content-Encoding``. A body in a coding that was not asked for is left as it is:
        some servers write nonsense into this header, and a body that really is encoded fails to parse.
    :param limit: bytes that the body may have, as it arrived and decompressed.
    """

    def __init__(self, coding: str | None, limit: int) -> None:
        self._coding = (coding or "").strip().lower()
        self._is_packed = self._coding in ("gzip", "x-gzip")
        self._limit = limit
        self._received = 0
        self._bytes = bytearray()
        self._decoder: Any = None

    def add(self, data: bytes) -> None:
        """
        Take the next bytes that arrived.

        :raises UnusableBody: the body is larger than the limit, or cannot be decompressed.
        """
        self._received += len(data)
        if not self._is_packed:
            self._bytes += data
        # Nothing is left to decompress unless the limit was exceeded.
        while self._is_packed and data and len(self._bytes) <= self._limit:
            if self._decoder is None or self._decoder.eof:
                self._decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            try:
                self._bytes += self._decoder.decompress(data, self._limit + 1 - len(self._bytes))
            except zlib.error as error:
                raise UnusableBody(TransportFailure(f"the body is not valid {self._coding}")) from error
            # A file in gzip's format may have several members.
            data = self._decoder.unused_data
        if max(self._received, len(self._bytes)) > self._limit:
            reason = f"the response is larger than {self._limit:,} bytes"
            raise UnusableBody(TransportFailure(reason, kind="response"))

    def finish(self) -> bytes:
        """
        Return the whole body.

        :raises UnusableBody: the compressed body ends early.
        """
        if self._decoder is not None and not self._decoder.eof:
            raise UnusableBody(TransportFailure(f"the {self._coding} body ends early"))
        return bytes(self._bytes)


def transport_failure(error: Exception, *, before_sending: tuple[type[BaseException], ...]) -> TransportFailure:
    """
    Describe an error of an HTTP library, or of :class:`Body`.

    :param error: the error.
    :param before_sending: the library's errors that prove that no byte of the request was sent.
    """
    if isinstance(error, UnusableBody):
        return error.failure
    name = type(error).__name__
    causes = list(_causes(error))
    was_sent = not any(
        isinstance(cause, (*before_sending, ConnectionRefusedError, socket.gaierror)) for cause in causes
    )
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        # aiohttp's error of this type lacks the message.
        reason = next((cause.verify_message for cause in causes if hasattr(cause, "verify_message")), name)
        return TransportFailure(f"the server's certificate is not trusted ({reason})", kind="settings", was_sent=False)
    # The adapter for requests notes the status here if the headers after it could not be read.
    statuses = (getattr(cause, "status", None) for cause in causes)
    status = next((status for status in statuses if isinstance(status, int)), None)
    for cause in causes:
        # The errors of requests are OSErrors, too, but their texts quote the URL.
        if isinstance(cause, OSError) and cause.strerror and not type(cause).__module__.startswith("requests"):
            return TransportFailure(f"{name}: {cause.strerror}", was_sent=was_sent, status=status)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return TransportFailure(f"{name}: the server did not respond in time", was_sent=was_sent, status=status)
    return TransportFailure(name, was_sent=was_sent, status=status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything that led to it. urllib3 keeps that in ``reason`` and in arguments, too."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        # Not __context__: if the caller is handling another error, such as a refused connection to a database, that
        # error is the context of every error here.
        linked = (getattr(cause, "reason", None), *cause.args, cause.__cause__)
        waiting += [link for link in linked if isinstance(link, BaseException)]


def time_is_up(seconds: float) -> TransportFailure:
    """
    Describe an attempt that was given up at a deadline.

    :param seconds: how long the attempt has taken.
    """
    return TransportFailure(f"no response within {duration_text(seconds)}")
