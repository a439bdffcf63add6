# SPDX-License-Identifier: Apache-2.0
"""A worker that dies with SIGKILL while it sends, and the next try of its task, each in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_ip1.api.sending import default_reference
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.forks import FORKS
from tests.operators.killed_worker import work
from tests.operators.sent_batches import NUMBER, TEXT, batches_with, posts

pytestmark = pytest.mark.slow
REFERENCE = default_reference([NUMBER], None, "dag", "run", "send")
Serve = Callable[..., SandboxServer]


class Worker:
    """
    A worker that runs one try.

    :param try_number: which try.
    """

    def __init__(self, try_number: int) -> None:
        self._results, results = FORKS.Pipe(duplex=False)
        self.process = FORKS.Process(target=work, args=(try_number, dict(os.environ), results), daemon=True)
        self.process.start()
        results.close()

    def result(self) -> dict[str, Any]:
        """Wait for the result. It is an error (EOFError) if the worker ends without one."""
        result: dict[str, Any] = self._results.recv()
        return result

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -signal.SIGKILL


@contextmanager
def worker(try_number: int) -> Iterator[Worker]:
    running = Worker(try_number)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.join()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_sent_once(server: SandboxServer, *, reused: bool) -> None:
    """Let the next try run to its end."""
    with worker(try_number=2) as running:
        result = running.result()
    (batch,) = batches_with(server, REFERENCE)
    assert batch["body"] == TEXT
    assert (result["batch_id"], result["reused"]) == (batch["id"], reused)


def test_killed_before_the_request_left(serve: Serve) -> None:
    # Try 2 looks first; it is killed while it waits for the list.
    server = serve("slow@1:seconds=60")
    with worker(try_number=2) as running:
        wait_until(lambda: server.sandbox.in_flight)
        running.kill()
    assert batches_with(server, REFERENCE) == []
    server.faults.clear()
    assert_sent_once(server, reused=False)
    assert posts(server) == 1


def test_killed_while_iP1_responds(serve: Serve) -> None:
    server = serve("slow@1:seconds=60,accepted=yes,method=POST")
    with worker(try_number=1) as running:
        wait_until(lambda: server.sandbox.in_flight and batches_with(server, REFERENCE))
        running.kill()
    assert_sent_once(server, reused=True)


def test_killed_while_the_request_is_on_its_way(serve: Serve) -> None:
    # iP.1 accepts the batch after the worker has died, while the next try is already looking.
    server = serve("slow@1:seconds=2,method=POST")
    with worker(try_number=1) as running:
        wait_until(lambda: server.sandbox.in_flight)
        running.kill()
    assert batches_with(server, REFERENCE) == []
    assert_sent_once(server, reused=True)


def test_killed_while_it_looks_for_the_outcome(serve: Serve) -> None:
    server = serve("500@1:accepted=yes,method=POST", "list-lag=4")
    with worker(try_number=1) as running:
        wait_until(lambda: any(request.method == "GET" for request in server.requests))
        running.kill()
    assert_sent_once(server, reused=True)
    assert posts(server) == 1


def test_killed_before_airflow_knows_the_result(serve: Serve) -> None:
    server = serve()
    with worker(try_number=1) as running:
        first = running.result()
        running.kill()
    assert first["reused"] is False
    assert_sent_once(server, reused=True)
    assert posts(server) == 1
