# SPDX-License-Identifier: Apache-2.0
"""A bucket for each test, and an operator that exports the sandbox's main conversation to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.stores import s3
from dev import stack
from tests.transfers.bucket_contents import Bucket
from tests.transfers.lakes import AzureLake, Lake, S3Lake
from tests.transfers.s3_proxy import S3Proxy, s3_proxy, use_proxy
from tests.transfers.sandbox_conversations import connected_sandbox
from tests.transfers.store_proxy import StoreProxy


@pytest.fixture
def bucket(s3_server: stack.S3Server, s3_bucket: str, aws_connection: str) -> Bucket:
    return Bucket(s3_server.client(), s3_bucket)


@pytest.fixture
def operator(bucket: Bucket) -> Callable[..., ConversationToS3Operator]:
    """Make an operator that exports the sandbox's main conversation, with the test's changes to its arguments."""

    def make(**changes: Any) -> ConversationToS3Operator:
        arguments = {"task_id": "export", "participant": MAIN, "s3_bucket": bucket.name, "s3_key": "out.jsonl"}
        return ConversationToS3Operator(**(arguments | changes))

    return make


@pytest.fixture
def export(operator: Callable[..., ConversationToS3Operator], ip1_connection: str) -> Callable[..., dict[str, Any]]:
    """Run the operator outside a DAG run."""
    return lambda **changes: operator(**changes).execute({})


@pytest.fixture
def s3_events(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> Any:
    """The events of the client with which the operator writes."""
    hook = s3.s3_hook("aws_default")
    monkeypatch.setattr(s3, "s3_hook", lambda aws_conn_id: hook)
    return hook.get_conn().meta.events


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, s3_server: stack.S3Server, bucket: Bucket) -> Iterator[S3Proxy]:
    """Put a proxy between the operator and S3. Requests are not repeated."""
    with s3_proxy(s3_server) as proxy:
        use_proxy(monkeypatch, s3_server, proxy, attempts=1)
        yield proxy


@pytest.fixture
def large_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with connected_sandbox(monkeypatch, messages=10_000):
        yield


@pytest.fixture(params=["s3", "azure"])
def lake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Each store. The tests with Azure are skipped where its emulator is not installed."""
    if request.param == "s3":
        return S3Lake(request.getfixturevalue("ip1_s3"), monkeypatch)
    return AzureLake(request.getfixturevalue("ip1_azure"), monkeypatch)


@pytest.fixture
def lake_proxy(lake: Lake) -> Iterator[StoreProxy]:
    """Put a proxy between the operator and the store. Requests are not repeated."""
    with lake.proxy() as proxy:
        lake.use(proxy, attempts=1)
        yield proxy
