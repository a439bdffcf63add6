# SPDX-License-Identifier: Apache-2.0
"""An exception that arrives anywhere in the task's thread during an upload, as Airflow's timeouts raise them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_ip1.transfers.stores import ObjectState
from airflow_provider_ip1.transfers.stores.s3 import S3Store, s3_hook
from airflow_provider_ip1.transfers.stores.s3_object import S3Object
from dev import stack
from tests.transfers.interruptions import TimeIsUp, interrupted_at

MIB = 1024 * 1024


class Server:
    """Stands in for S3 where a real one would take minutes: it executes what the client sends it, and nothing else."""

    def __init__(self) -> None:
        self.stored: bytes | None = None
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.calls: list[str] = []

    def execute(self, model: Any, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        """Answer a call instead of sending it, as botocore's ``before-call`` allows."""
        self.calls.append(model.name)
        response: dict[str, Any] = {}
        query, body = params["query_string"], params["body"]
        if hasattr(body, "read"):
            body = body.read()
        if model.name == "HeadObject":
            response = {"ETag": '"1"', "ContentLength": 1} if self.stored is not None else {"Error": {"Code": "404"}}
        elif model.name == "PutObject":
            response = {"ETag": '"1"'}
            self.stored = body
        elif model.name == "CreateMultipartUpload":
            response = {"UploadId": str(len(self.uploads))}
            self.uploads[response["UploadId"]] = {}
        elif model.name == "ListMultipartUploads":
            response = {"Uploads": [{"Key": "out", "UploadId": name, "Initiated": self.now()} for name in self.uploads]}
        elif model.name == "UploadPart":
            response = {"ETag": '"part"'}
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
        elif model.name == "CompleteMultipartUpload":
            response = {"ETag": '"1"'}
            parts = self.uploads.pop(query["uploadId"])
            self.stored = b"".join(parts[number] for number in sorted(parts))
        elif model.name == "AbortMultipartUpload":
            if self.uploads.pop(query["uploadId"], None) is None:
                response = {"Error": {"Code": "NoSuchUpload"}}
        status = 404 if "Error" in response else 200
        headers = {"date": format_datetime(self.now(), usegmt=True)}
        response["ResponseMetadata"] = {"HTTPStatusCode": status, "RetryAttempts": 0, "HTTPHeaders": headers}
        return _Response(status), response

    def now(self) -> datetime:
        """The clock of the server, which is behind that of the worker."""
        return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


class _Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


CONTENTS = {"one part": b"0123456789" * 10, "several parts": bytes(11 * MIB)}


def is_ours(filename: str) -> bool:
    return filename.endswith(("stores/s3.py", "stores/__init__.py"))


@pytest.mark.no_cover
@pytest.mark.timeout(120)
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_an_exception_anywhere_ends_the_upload(
    content: bytes, aws_connection: str, s3_server: stack.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits forever, no upload goes on, and the object is there as a whole or not at all."""
    hook = s3_hook(aws_connection)
    servers = [Server()]
    hook.get_conn().meta.events.register("before-call.s3", lambda **call: servers[-1].execute(**call))
    store = S3Store(hook, S3Object("lake", "out"))

    def write() -> None:
        chunks = [content[start : start + MIB] for start in range(0, len(content), MIB)]
        store.write(chunks, replaces=ObjectState(), metadata=lambda is_whole: {})

    write()
    assert servers[0].stored == content
    place, outcomes = 0, {None: 0, content: 0}
    while True:
        servers.append(server := Server())
        try:
            interrupted_at(place, write, is_ours)
        except TimeIsUp:
            outcomes[server.stored] += 1
            assert server.uploads == {}
            place += 1
        else:
            break
    assert server.stored == content
    assert outcomes[None] > 10
