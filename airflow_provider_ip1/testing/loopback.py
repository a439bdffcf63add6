# SPDX-License-Identifier: Apache-2.0
"""Ports and HTTP on 127.0.0.1."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Mapping


def free_ports(count: int) -> list[int]:
    """
    Find loopback ports that are free.

    :param count: the number of ports.
    :return: different port numbers. Another program may take a port before you use it, so check which server responds.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def get(port: int, path: str) -> bytes | None:
    """
    Send a GET request to a local server, without a proxy.

    :param port: the server's port on 127.0.0.1.
    :param path: the path to request, starting with a slash.
    :return: the body of a 200 response; ``None`` in all other cases.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read() if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def no_proxy(env: Mapping[str, str] = os.environ) -> str:
    """
    Extend ``NO_PROXY``, so that clients reach this machine without a proxy.

    :param env: the environment with the current value. Default: this process's.
    :return: the new value.
    """
    return ",".join(filter(None, [env.get("NO_PROXY") or env.get("no_proxy"), "127.0.0.1,localhost"]))
