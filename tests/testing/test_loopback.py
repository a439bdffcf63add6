# SPDX-License-Identifier: Apache-2.0
"""Free ports: nobody else takes them before the server that asked for them starts."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from airflow_provider_ip1.testing import loopback

ASK = "import json; from airflow_provider_ip1.testing.loopback import free_ports; print(json.dumps(free_ports(10)))"


def test_the_system_gives_none_of_them_to_a_server_that_accepts_any_port() -> None:
    promised = set(loopback.free_ports(40))
    assert len(promised) == 40
    given = set()
    with ExitStack() as stack:
        for _ in range(800):
            server = stack.enter_context(socket.socket())
            server.bind(("127.0.0.1", 0))
            given.add(server.getsockname()[1])
    # A range, because a few hundred of tens of thousands could miss by chance.
    assert max(promised) < min(given)


def test_two_calls_never_return_the_same_port() -> None:
    assert not set(loopback.free_ports(5)) & set(loopback.free_ports(5))


def test_processes_that_start_servers_at_the_same_time_get_different_ports() -> None:
    processes = [subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE) for _ in range(4)]
    ports = [port for process in processes for port in json.loads(process.communicate(timeout=60)[0])]
    assert len(ports) == len(set(ports)) == 40


@pytest.fixture
def in_use(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port in use, where the search starts."""
    (port,) = loopback.free_ports(1)
    monkeypatch.setattr(loopback, "_FIRST_PORT", port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        yield port


def test_a_port_in_use_is_not_returned(in_use: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The ports next to it may be in use, too, by servers of other tests. Two calls for half of them try each.
    monkeypatch.setattr(loopback, "_PORTS", 16)
    found = [*loopback.free_ports(8), *loopback.free_ports(8)]
    assert in_use not in found
    assert {*found} <= {*range(in_use, in_use + 16)}


def test_the_search_ends_when_all_are_in_use(in_use: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "_PORTS", 1)
    with pytest.raises(OSError, match="All loopback ports"):
        loopback.free_ports(1)
