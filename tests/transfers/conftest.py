# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""One S3 bucket, one sandbox, and what tests of the export ask about them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import local_stack
import pytest
from botocore.exceptions import ClientError

from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

MAIN = "46701740605"


class Bucket:
    """What is in a test's bucket, asked for without the code under test."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> bytes | None:
        try:
            body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        return body

    def keys(self) -> list[str]:
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=self.name).get("Contents", ())]

    def unfinished_uploads(self) -> list[str]:
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]


@pytest.fixture
def bucket(s3_server: local_stack.S3Server, s3_bucket: str, aws_connection: str) -> Bucket:
    return Bucket(s3_server.client(), s3_bucket)


@pytest.fixture
def operator(bucket: Bucket) -> Callable[..., ConversationToS3Operator]:
    """Make an operator that exports the sandbox's main conversation, apart from what a test changes."""

    def make(**changes: Any) -> ConversationToS3Operator:
        arguments = {"task_id": "export", "participant": MAIN, "s3_bucket": bucket.name, "s3_key": "out.jsonl"}
        return ConversationToS3Operator(**(arguments | changes))

    return make


@pytest.fixture
def export(operator: Callable[..., ConversationToS3Operator], ip1_connection: str) -> Callable[..., dict[str, Any]]:
    """Export from the sandbox, outside of any DAG run."""
    return lambda **changes: operator(**changes).execute({})


@contextmanager
def connected_sandbox(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[SandboxServer]:
    """A sandbox of a test's own, with a connection that asks it as fast as it answers and sends nothing twice."""
    with SandboxServer(**options) as server:
        connection = local_stack.ip1_connection(server.url, requests_per_second=0, max_attempts=1)
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
        yield server


def from_api(sandbox: SandboxServer, participant: str = MAIN, path: str = "", order: str = "ASC") -> bytes:
    """Ask the sandbox for a whole conversation in one request, without the code under test: a JSON array."""
    request = urllib.request.Request(
        f"{sandbox.url}/v2/conversations/{participant}{path}?limit=10000&order={order}",
        headers={"Authorization": "Bearer sandbox-key"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        body: bytes = answer.read()
    return body


def messages_of(sandbox: SandboxServer, participant: str = MAIN, **how: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(from_api(sandbox, participant, **how))
    return messages
