# SPDX-License-Identifier: Apache-2.0
"""Uploads that iP.1, S3, Airflow or the operating system interrupts."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from airflow_provider_ip1.exceptions import IP1AuthError
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.export import UploadCancelled
from airflow_provider_ip1.transfers.stores import ObjectState
from airflow_provider_ip1.transfers.stores.s3 import S3Store, s3_hook
from airflow_provider_ip1.transfers.stores.s3_object import S3Object
from dev import stack
from tests.transfers.bucket_contents import Bucket
from tests.transfers.sandbox_conversations import connected_sandbox, from_api

MIB = 1024 * 1024


def connect_s3(monkeypatch: pytest.MonkeyPatch, server: stack.S3Server, **transfer: int) -> None:
    """Connect to S3 without retries, with settings for boto3's managed upload."""
    connection = json.loads(stack.aws_connection(server))
    connection["extra"]["config_kwargs"]["retries"] = {"total_max_attempts": 1}
    connection["extra"]["service_config"] = {"s3": {"transfer_config_args": transfer}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


@pytest.fixture
def impatient_s3(monkeypatch: pytest.MonkeyPatch, bucket: Bucket, s3_server: stack.S3Server) -> None:
    connect_s3(monkeypatch, s3_server)


@pytest.fixture
def store(impatient_s3: None, bucket: Bucket) -> S3Store:
    return S3Store(s3_hook("aws_default"), S3Object(bucket.name, "out"))


def write(store: S3Store, chunks: Iterable[bytes]) -> int:
    """Write a new object."""
    return store.write(
        chunks,
        replaces=ObjectState(),
        metadata=lambda is_whole: {"whole": str(is_whole)},
    )


@pytest.fixture
def calls(impatient_s3: None, s3_events: Any) -> list[str]:
    """Record the operator's S3 calls."""
    calls: list[str] = []
    s3_events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    return calls


def wait_until(ready: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


# -- complete uploads


def test_a_large_object_is_uploaded_in_parts(
    monkeypatch: pytest.MonkeyPatch,
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    calls: list[str],
) -> None:
    with connected_sandbox(monkeypatch, messages=40_000) as sandbox:
        result = operator(page_size=2000).execute({})
        stored = bucket.get("out.jsonl")
        assert stored is not None
        assert len(stored) == result["bytes"] > 25_000_000
        assert calls.count("UploadPart") == -(-len(stored) // (5 * MIB))
        lines = stored.splitlines()
        assert len(lines) == result["messages"] == 40_000
        assert b"[" + b",".join(lines[:10_000]) + b"]" == from_api(sandbox)
        assert len(set(lines)) == 40_000
    assert bucket.unfinished_uploads() == []


@pytest.mark.parametrize("size", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 12 * MIB])
def test_sizes_around_the_part_size(store: S3Store, bucket: Bucket, size: int) -> None:
    block = bytes(range(256)) * 400
    content = (block * (size // len(block) + 1))[:size]
    chunks = [content[start : start + 300_007] for start in range(0, size, 300_007)]
    assert write(store, iter(chunks)) == size
    assert bucket.get("out") == content
    metadata = bucket.client.head_object(Bucket=bucket.name, Key="out")["Metadata"]
    assert metadata["whole"] == str(size < 5 * MIB)


@pytest.mark.parametrize(("configured", "parts"), [(None, 3), (7 * MIB, 2), (1024, 3)])
def test_the_connection_sets_the_size_of_a_part(
    monkeypatch: pytest.MonkeyPatch, bucket: Bucket, s3_server: stack.S3Server, configured: int | None, parts: int
) -> None:
    """S3 accepts no smaller parts than 5 MiB."""
    connect_s3(monkeypatch, s3_server, **{} if configured is None else {"multipart_chunksize": configured})
    store = S3Store(s3_hook("aws_default"), S3Object(bucket.name, "out"))
    assert write(store, [b"x" * MIB] * 13) == 13 * MIB
    assert bucket.client.head_object(Bucket=bucket.name, Key="out")["ETag"].endswith(f'-{parts}"')


def test_an_object_too_large_for_s3_is_rejected(
    monkeypatch: pytest.MonkeyPatch, store: S3Store, bucket: Bucket
) -> None:
    monkeypatch.setattr("airflow_provider_ip1.transfers.stores.s3._MAX_PARTS", 2)
    with pytest.raises(ValueError, match="10485760 bytes.*multipart_chunksize"):
        write(store, (b"x" * MIB for _ in range(50)))
    assert bucket.keys() == bucket.unfinished_uploads() == []


def test_the_object_is_reported_to_the_lineage_of_hooks(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    collector = SimpleNamespace(add_output_asset=lambda **asset: reported.append(asset))
    monkeypatch.setattr("airflow_provider_ip1.compat.get_hook_lineage_collector", lambda: collector)
    write(store, [b"x"])
    (asset,) = reported
    assert (asset["scheme"], asset["asset_kwargs"]["key"]) == ("s3", "out")


# -- iP.1 fails


def test_an_error_from_ip1_during_the_upload_leaves_the_old_object(
    monkeypatch: pytest.MonkeyPatch,
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    calls: list[str],
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    with connected_sandbox(monkeypatch, messages=30_000, faults=["403@25"]):
        with pytest.raises(IP1AuthError):
            operator(page_size=1000).execute({})
    assert "UploadPart" in calls
    assert calls[-1] == "AbortMultipartUpload"
    assert bucket.get("out.jsonl") == b"from yesterday"
    assert bucket.unfinished_uploads() == []


# -- S3 fails


class Proxy:
    """Forwards to S3 until it is killed. Tests then look at S3 directly."""

    def __init__(self, server: stack.S3Server) -> None:
        target = urlsplit(server.endpoint_url)
        self._target = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.forwarded = 0
        self.die_after: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._pairs += [client, server]
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                for readable in select.select([client, server], [], [])[0]:
                    data = readable.recv(65536)
                    if not data:
                        return
                    if readable is client:
                        self.forwarded += len(data)
                        if self.die_after is not None and self.forwarded > self.die_after:
                            self.die()
                            return
                    (server if readable is client else client).sendall(data)
        except (OSError, ValueError):
            return
        finally:
            client.close()
            server.close()

    def die(self) -> None:
        # Without a shutdown, the thread in accept() would keep the listener open.
        for one in (self._listener, *self._pairs):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


@pytest.fixture
def proxy(s3_server: stack.S3Server) -> Iterator[Proxy]:
    proxy = Proxy(s3_server)
    yield proxy
    proxy.die()


def test_if_s3_dies_during_an_upload_the_old_object_stays_and_the_next_try_cleans_up(
    monkeypatch: pytest.MonkeyPatch,
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    s3_server: stack.S3Server,
    proxy: Proxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    through_proxy = replace(s3_server, endpoint_url=proxy.url)
    connect_s3(monkeypatch, through_proxy)
    proxy.die_after = 12 * MIB
    with connected_sandbox(monkeypatch, messages=200_000) as sandbox:
        with pytest.raises((BotoCoreError, ClientError)):
            operator(page_size=1000).execute({})
        assert len(sandbox.requests) < 100, "reading stops soon after S3 died"
        assert bucket.get("out.jsonl") == b"from yesterday"
        assert bucket.unfinished_uploads() == ["out.jsonl"], "S3 was not there to abort it"
        assert "could not be removed" in caplog.text
    connect_s3(monkeypatch, s3_server)
    with connected_sandbox(monkeypatch, messages=10_000) as sandbox:
        operator(page_size=5000).execute({"ti": FakeTaskInstance(try_number=2)})
        stored = bucket.get("out.jsonl")
        assert stored is not None
        assert b"[" + b",".join(stored.splitlines()) + b"]" == from_api(sandbox)
    assert bucket.unfinished_uploads() == []


def test_wrong_credentials_fail_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    s3_server: stack.S3Server,
) -> None:
    connect_s3(monkeypatch, replace(s3_server, secret_key="wrong"))
    with connected_sandbox(monkeypatch, messages=200_000) as sandbox:
        with pytest.raises(ValueError, match="^aws_conn_id: .*SignatureDoesNotMatch.*secret key"):
            operator(page_size=1000).execute({})
        assert sandbox.requests == []
    assert bucket.keys() == []


# -- Airflow stops the task


def test_a_task_stopped_before_it_started_writes_nothing(
    operator: Callable[..., ConversationToS3Operator], ip1_connection: str, bucket: Bucket
) -> None:
    export = operator()
    export.on_kill()
    with pytest.raises(UploadCancelled):
        export.execute({})
    assert bucket.keys() == []


# An exception that a signal handler raises while coverage holds its lock would leave the lock held for good.
@pytest.mark.no_cover
def test_a_task_stopped_while_it_waits_for_ip1_stops_at_once(
    monkeypatch: pytest.MonkeyPatch,
    impatient_s3: None,
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
) -> None:
    """A few seconds after SIGTERM, Airflow kills the task, which then could not remove its upload."""
    export = operator(page_size=1000)
    before = signal.signal(signal.SIGUSR1, lambda *_: export.on_kill())

    def stop_once_a_part_is_there() -> None:
        wait_until(lambda: bucket.unfinished_uploads() == ["out.jsonl"])
        os.kill(os.getpid(), signal.SIGUSR1)

    watcher = threading.Thread(target=stop_once_a_part_is_there)
    try:
        with connected_sandbox(monkeypatch, messages=40_000, faults=["slow@25:seconds=300"]):
            watcher.start()
            started = time.monotonic()
            with pytest.raises(UploadCancelled):
                export.execute({})
            assert time.monotonic() - started < 250
    finally:
        watcher.join()
        signal.signal(signal.SIGUSR1, before)
    assert bucket.keys() == bucket.unfinished_uploads() == []


# -- the operating system kills the worker


class FakeTaskInstance(SimpleNamespace):
    """The parts of a task instance that the operator uses."""

    def __init__(self, try_number: int) -> None:
        super().__init__(try_number=try_number, xcoms={})

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


WORKER = """
    import sys
    from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
    ConversationToS3Operator(
        task_id="export", participant="46701740605", s3_bucket=sys.argv[1], s3_key="out.jsonl", page_size=1000
    ).execute({})
"""


@pytest.mark.slow
def test_a_killed_worker_leaves_the_old_object_and_the_next_try_cleans_up(
    monkeypatch: pytest.MonkeyPatch,
    impatient_s3: None,
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    other = bucket.client.create_multipart_upload(Bucket=bucket.name, Key="out.jsonl.of.another.task")
    with connected_sandbox(monkeypatch, messages=5_000_000):
        worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WORKER), bucket.name])
        try:
            wait_until(lambda: "out.jsonl" in bucket.unfinished_uploads() or worker.poll() is not None)
            worker.kill()
        finally:
            assert worker.wait(60) == -signal.SIGKILL
    assert bucket.get("out.jsonl") == b"from yesterday"
    assert sorted(bucket.unfinished_uploads()) == ["out.jsonl", "out.jsonl.of.another.task"]
    with connected_sandbox(monkeypatch, messages=10_000) as sandbox:
        operator(page_size=5000).execute({"ti": FakeTaskInstance(try_number=2)})
        stored = bucket.get("out.jsonl")
        assert stored is not None
        assert b"[" + b",".join(stored.splitlines()) + b"]" == from_api(sandbox)
    assert bucket.unfinished_uploads() == ["out.jsonl.of.another.task"]
    bucket.client.abort_multipart_upload(
        Bucket=bucket.name, Key="out.jsonl.of.another.task", UploadId=other["UploadId"]
    )


def test_a_first_try_keeps_other_uploads(
    operator: Callable[..., ConversationToS3Operator], ip1_connection: str, bucket: Bucket
) -> None:
    other = bucket.client.create_multipart_upload(Bucket=bucket.name, Key="out.jsonl")
    operator().execute({"ti": FakeTaskInstance(try_number=1)})
    assert bucket.unfinished_uploads() == ["out.jsonl"]
    bucket.client.abort_multipart_upload(Bucket=bucket.name, Key="out.jsonl", UploadId=other["UploadId"])


def test_cleaning_up_without_permission_logs_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    bucket: Bucket,
    s3_server: stack.S3Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect_s3(monkeypatch, replace(s3_server, secret_key="wrong"))
    S3Store(s3_hook("aws_default"), S3Object(bucket.name, "out")).remove_leftovers()
    assert "s3:ListBucketMultipartUploads" in caplog.text
