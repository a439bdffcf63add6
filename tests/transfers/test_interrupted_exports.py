# SPDX-License-Identifier: Apache-2.0
"""In every store, an export that is interrupted leaves the whole object, or what was there before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1AuthError
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.transfers.export import UploadCancelled
from airflow_provider_ip1.transfers.stores import ObjectState, Store
from tests.transfers.interruptions import TimeIsUp
from tests.transfers.lakes import SIZES, Lake, run_context
from tests.transfers.sandbox_conversations import connected_sandbox, from_api
from tests.transfers.store_proxy import StoreProxy, StoreRequest

MIB = 1024 * 1024


def write(store: Store, chunks: Iterable[bytes]) -> int:
    """Write a new object."""
    return store.write(chunks, replaces=ObjectState(), metadata=lambda is_whole: {"ip1-try": "1"})


@pytest.mark.parametrize("size", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 12 * MIB])
def test_sizes_around_the_size_of_a_part(lake: Lake, size: int) -> None:
    block = bytes(range(256)) * 400
    content = (block * (size // len(block) + 1))[:size]
    chunks = [content[start : start + 300_007] for start in range(0, size, 300_007)]
    assert write(lake.store("out.jsonl"), iter(chunks)) == size
    assert lake.get("out.jsonl") == content
    assert lake.metadata()["ip1-try"] == "1"


def test_an_error_from_ip1_during_the_upload_leaves_the_old_object(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("out.jsonl", b"from yesterday")
    with connected_sandbox(monkeypatch, messages=30_000, faults=["403@25"]):
        with pytest.raises(IP1AuthError):
            lake.operator(page_size=1000).execute({})
    assert lake.get("out.jsonl") == b"from yesterday"
    lake.check_clean()


# An exception that a signal handler raises while coverage holds its lock would leave the lock held for good.
@pytest.mark.no_cover
@pytest.mark.parametrize("is_executed", [False, True], ids=["before the store wrote", "after the store wrote"])
@SIZES
def test_a_timeout_during_the_last_request_leaves_a_whole_object_and_the_next_try_succeeds(
    lake: Lake, large_sandbox: None, lake_proxy: StoreProxy, export: dict[str, Any], is_executed: bool
) -> None:
    expected = lake.operator(**export).execute(run_context(1))["messages"]
    written = lake.get("out.jsonl")
    lake.delete()

    def interrupt(request: StoreRequest) -> None:
        if request.call in lake.visible_by:
            lake_proxy.before = lake_proxy.after = lambda request: None
            os.kill(os.getpid(), signal.SIGUSR1)

    def stop(*_: Any) -> None:
        raise TimeIsUp

    if is_executed:
        lake_proxy.after = interrupt
    else:
        # The request never reaches the store.
        lake_proxy.answer = lambda request: (  # type: ignore[func-returns-value]
            interrupt(request) or (0, "") if request.call in lake.visible_by else None
        )
    handler = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(TimeIsUp):
            lake.operator(**export).execute(run_context(1))
    finally:
        signal.signal(signal.SIGUSR1, handler)
    lake_proxy.answer = lambda request: None
    assert lake.get("out.jsonl") == (written if is_executed else None)
    lake.check_clean()
    assert lake.operator(**export).execute(run_context(2))["messages"] == expected
    assert lake.get("out.jsonl") == written


@pytest.mark.no_cover
@pytest.mark.parametrize("by", ["on_kill", "exception"])
def test_a_task_stopped_during_the_upload_leaves_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Airflow 3 calls on_kill from its SIGTERM handler and lets the task continue. A timeout raises in its thread."""
    lake.put("out.jsonl", b"from yesterday")
    export = lake.operator(page_size=1000)
    sent = threading.Event()

    def stop(*_: Any) -> None:
        if by == "exception":
            raise TimeIsUp
        export.on_kill()

    def after(request: StoreRequest) -> None:
        if request.call == lake.part and not sent.is_set():
            sent.set()
            os.kill(os.getpid(), signal.SIGUSR1)

    handler = signal.signal(signal.SIGUSR1, stop)
    try:
        # Far more than the task can read before it is stopped.
        with connected_sandbox(monkeypatch, messages=5_000_000), lake.proxy() as proxy:
            lake.use(proxy, attempts=1)
            proxy.after = after
            with pytest.raises(TimeIsUp if by == "exception" else UploadCancelled):
                export.execute({})
    finally:
        signal.signal(signal.SIGUSR1, handler)
    assert sent.is_set()
    assert lake.get("out.jsonl") == b"from yesterday"
    lake.check_clean()


WORKER = """
    import json, sys
    from importlib import import_module

    module, name = sys.argv[1:3]
    getattr(import_module(module), name)(task_id="export", **json.load(sys.stdin)).execute({})
"""


@pytest.mark.slow
def test_a_killed_worker_leaves_the_old_object_and_the_next_try_succeeds(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.put("out.jsonl", b"from yesterday")
    operator = type(lake.operator())
    arguments = {"participant": MAIN, lake.argument: "out.jsonl", "page_size": 1000, **lake.place}
    with connected_sandbox(monkeypatch, messages=5_000_000), lake.proxy() as proxy:
        lake.use(proxy, attempts=1)
        sent = threading.Event()
        proxy.after = lambda request: sent.set() if request.call == lake.part else None
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), operator.__module__, operator.__name__],
            stdin=subprocess.PIPE,
        ) as worker:
            try:
                assert worker.stdin is not None
                worker.stdin.write(json.dumps(arguments).encode())
                worker.stdin.close()
                while not sent.wait(0.1):
                    assert worker.poll() is None
            finally:
                worker.kill()
        assert worker.returncode == -signal.SIGKILL
        assert lake.get("out.jsonl") == b"from yesterday"
        assert lake.has_parts()
        with connected_sandbox(monkeypatch, messages=10_000) as sandbox:
            lake.operator(page_size=5000).execute(run_context(2))
            stored = lake.get("out.jsonl")
            assert stored is not None
            assert b"[" + b",".join(stored.splitlines()) + b"]" == from_api(sandbox)
    lake.check_clean()
    assert not lake.has_parts()
