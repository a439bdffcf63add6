# SPDX-License-Identifier: Apache-2.0
"""A worker that dies with SIGKILL while it sends, and the next try of its task, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_ip1.api.sending import default_reference
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import PROJECT
from tests.operators.sent_batches import NUMBER, TEXT, batches_with, posts

pytestmark = pytest.mark.slow
REFERENCE = default_reference([NUMBER], None, "dag", "run", "send")
Serve = Callable[..., SandboxServer]


@contextmanager
def worker(try_number: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.operators.killed_worker", str(try_number)],
        cwd=PROJECT,
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("sent "):
            result: dict[str, Any] = json.loads(line.removeprefix("sent "))
            return result
    raise AssertionError("The worker has ended without a result.")


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def assert_sent_once(server: SandboxServer, *, reused: bool) -> None:
    """Let the next try run to its end."""
    with worker(try_number=2) as process:
        result = result_of(process)
    (batch,) = batches_with(server, REFERENCE)
    assert batch["body"] == TEXT
    assert (result["batch_id"], result["reused"]) == (batch["id"], reused)


def test_killed_before_the_request_left(serve: Serve) -> None:
    # Try 2 looks first; it is killed while it waits for the list.
    server = serve("slow@1:seconds=60")
    with worker(try_number=2) as process:
        wait_until(lambda: server.sandbox.in_flight)
        kill(process)
    assert batches_with(server, REFERENCE) == []
    server.faults.clear()
    assert_sent_once(server, reused=False)
    assert posts(server) == 1


def test_killed_while_iP1_responds(serve: Serve) -> None:
    server = serve("slow@1:seconds=60,accepted=yes,method=POST")
    with worker(try_number=1) as process:
        wait_until(lambda: server.sandbox.in_flight and batches_with(server, REFERENCE))
        kill(process)
    assert_sent_once(server, reused=True)


def test_killed_while_the_request_is_on_its_way(serve: Serve) -> None:
    # iP.1 accepts the batch after the worker has died, while the next try is already looking.
    server = serve("slow@1:seconds=2,method=POST")
    with worker(try_number=1) as process:
        wait_until(lambda: server.sandbox.in_flight)
        kill(process)
    assert batches_with(server, REFERENCE) == []
    assert_sent_once(server, reused=True)


def test_killed_while_it_looks_for_the_outcome(serve: Serve) -> None:
    server = serve("500@1:accepted=yes,method=POST", "list-lag=4")
    with worker(try_number=1) as process:
        wait_until(lambda: any(request.method == "GET" for request in server.requests))
        kill(process)
    assert_sent_once(server, reused=True)
    assert posts(server) == 1


def test_killed_before_airflow_knows_the_result(serve: Serve) -> None:
    server = serve()
    with worker(try_number=1) as process:
        first = result_of(process)
        kill(process)
    assert first["reused"] is False
    assert_sent_once(server, reused=True)
    assert posts(server) == 1
