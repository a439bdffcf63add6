# SPDX-License-Identifier: Apache-2.0
"""A proxy that opens tunnels and records every byte that reaches it in clear."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import Self


class RecordingProxy:
    """
    A proxy on a free loopback port.

    Whatever host a CONNECT asks for, the tunnel leads to the given server. Other requests get a 502.

    :param target: port of the server on this machine.
    :param tls: the proxy's own certificate, for ``https://`` between client and proxy.
    :param status: what the proxy answers to CONNECT; anything but 200 opens no tunnel.

    ``clear`` has all bytes that the proxy could read: everything before a tunnel is open.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None, status: int = 200) -> None:
        self.clear = b""
        self._target = target
        self._tls = tls
        self._status = status
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self._open.append(client)
            request = b""
            while b"\r\n\r\n" not in request:
                received = client.recv(65536)
                self.clear += received
                request += received
                if not received:
                    return
            if not request.startswith(b"CONNECT ") or self._status != 200:
                status = self._status if request.startswith(b"CONNECT ") else 502
                client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open.append(server)
            client.sendall(b"HTTP/1.1 200 Tunnel\r\n\r\n")
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            _copy(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
