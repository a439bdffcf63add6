# SPDX-License-Identifier: Apache-2.0
"""Ports and HTTP on 127.0.0.1."""

from __future__ import annotations

import errno
import http.client
import itertools
import os
import socket
from collections.abc import Mapping

# Systems take the ports of connections, and of servers that accept any port, from a range above these.
_FIRST_PORT, _PORTS = 16384, 16384
_PORTS_PER_PROCESS = 64
_calls = itertools.count()


def free_ports(count: int) -> list[int]:
    """
    Find loopback ports that are free.

    Between this call and a server's start, tests that run at the same time open thousands of ports. So the result
    contains no port that a system chooses on its own, and processes search in different places.

    :param count: the number of ports.
    :return: different port numbers. Another program may take a port before you use it, so check which server responds.
    """
    found: list[int] = []
    for _ in range(_PORTS):
        port = _FIRST_PORT + (_PORTS_PER_PROCESS * os.getpid() + next(_calls)) % _PORTS
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                found.append(port)
        if len(found) == count:
            return found
    raise OSError(errno.EADDRINUSE, "All loopback ports for local servers are in use.")


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
