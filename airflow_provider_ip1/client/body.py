# SPDX-License-Identifier: Apache-2.0
"""
Collects the body of a response, decompressed, up to a limit.

The HTTP libraries hand over the bytes as they arrived, because old releases that Airflow's constraints pin decompress a
small body to gigabytes before anyone can stop them.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from airflow_provider_ip1.api.call import TransportFailure

#: What :class:`Body` can decode. Each client sends this, because what the libraries send depends on what is installed.
ACCEPT_ENCODING: Final = "gzip, deflate"


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
        self._is_packed = self._coding in ("gzip", "x-gzip", "deflate")
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
                self._decoder = self._new_decoder(data)
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

    def _new_decoder(self, data: bytes) -> Any:
        if self._coding != "deflate":
            return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        # "deflate" means zlib's format (RFC 9110, 8.4.1.2), which begins with 8 in these bits. Some servers leave out
        # its header and trailer.
        return zlib.decompressobj(wbits=zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS)
