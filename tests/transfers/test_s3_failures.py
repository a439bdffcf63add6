# SPDX-License-Identifier: Apache-2.0
"""What S3 answers, or does not answer, when something is wrong with it, with the credentials or with a clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from dev import stack
from tests.transfers.bucket_contents import Bucket
from tests.transfers.s3_proxy import S3Proxy, S3Request, use_proxy
from tests.transfers.sandbox_conversations import connected_sandbox

Operator = Callable[..., ConversationToS3Operator]

SMALL = {"participant": SEVEN}
LARGE = {"participant": MAIN, "page_size": 1000}
SIZES = pytest.mark.parametrize("export", [SMALL, LARGE], ids=["one part", "several parts"])
VISIBLE_BY = ("PutObject", "CompleteMultipartUpload")


def context(try_number: int, run_id: str = "manual__2026-11-24T12:00:00+00:00") -> dict[str, Any]:
    names = {"dag_id": "lake", "task_id": "export", "map_index": -1, "try_number": try_number}
    return {"ti": SimpleNamespace(**names, xcom_push=lambda key, value: None), "run_id": run_id}


def count(bucket: Bucket) -> int:
    return len((bucket.get("out.jsonl") or b"").splitlines())


# -- lost responses


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("is_new", [True, False])
def test_an_upload_that_is_gone_because_it_was_completed_has_succeeded(
    monkeypatch: pytest.MonkeyPatch,
    operator: Operator,
    large_sandbox: None,
    bucket: Bucket,
    s3_server: stack.S3Server,
    proxy: S3Proxy,
    attempts: int,
    is_new: bool,
) -> None:
    """As if something on the way, or the client of a user's hook, had repeated the request."""
    if not is_new:
        bucket.put("out.jsonl", b"from yesterday")
    use_proxy(monkeypatch, s3_server, proxy, attempts=attempts)
    proxy.loses_responses_of, proxy.instead = {"CompleteMultipartUpload"}, (404, "NoSuchUpload")
    assert operator(**LARGE).execute({})["messages"] == count(bucket) == 10_000


def test_s3_may_say_that_the_upload_is_gone_before_it_shows_the_object(
    monkeypatch: pytest.MonkeyPatch,
    operator: Operator,
    large_sandbox: None,
    bucket: Bucket,
    s3_server: stack.S3Server,
    proxy: S3Proxy,
) -> None:
    use_proxy(monkeypatch, s3_server, proxy, attempts=4)
    proxy.loses_responses_of, proxy.instead = {"CompleteMultipartUpload"}, (0, "")

    def answer(request: S3Request) -> tuple[int, str] | None:
        completions = proxy.calls().count("CompleteMultipartUpload")
        if request.call == "HEAD":
            return (404, "") if completions == 1 else None
        return (404, "NoSuchUpload") if request.call == "CompleteMultipartUpload" and completions == 2 else None

    proxy.answer = answer
    assert operator(**LARGE).execute({})["messages"] == count(bucket) == 10_000


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_upload_that_somebody_else_aborted_fails(
    monkeypatch: pytest.MonkeyPatch,
    operator: Operator,
    large_sandbox: None,
    bucket: Bucket,
    s3_server: stack.S3Server,
    proxy: S3Proxy,
    attempts: int,
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    use_proxy(monkeypatch, s3_server, proxy, attempts=attempts)

    def abort(request: S3Request) -> None:
        if request.call == "CompleteMultipartUpload":
            for upload in bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", ()):
                bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"])

    proxy.before = abort
    with pytest.raises(ClientError, match="NoSuchUpload"):
        operator(**LARGE).execute({})
    assert bucket.get("out.jsonl") == b"from yesterday"


# -- credentials and clocks

REJECTED = [
    (400, "ExpiredToken", "session token has expired"),
    (400, "TokenRefreshRequired", "session token has expired"),
    (403, "InvalidAccessKeyId", "access key"),
    (403, "SignatureDoesNotMatch", "secret key"),
    (400, "InvalidToken", "session token"),
    (403, "RequestTimeTooSkewed", "clock"),
]


@pytest.mark.parametrize(("status", "code", "advice"), REJECTED, ids=[one[1] for one in REJECTED])
def test_rejected_credentials_are_an_error_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
    operator: Operator,
    bucket: Bucket,
    proxy: S3Proxy,
    status: int,
    code: str,
    advice: str,
) -> None:
    proxy.answer = lambda request: (status, code)
    with connected_sandbox(monkeypatch, messages=10) as sandbox:
        with pytest.raises(ValueError, match=f"^aws_conn_id: .*'aws_default'.*{code}.*{advice}"):
            operator(**SMALL).execute({})
        assert sandbox.requests == []


@SIZES
def test_a_token_that_expires_during_the_export_is_named(
    operator: Operator, large_sandbox: None, bucket: Bucket, proxy: S3Proxy, export: dict[str, Any]
) -> None:
    """HEAD, which looks at the object before the write, has no body that says so."""
    proxy.answer = lambda request: (400, "ExpiredToken") if proxy.calls().count("HEAD") > 1 else None
    with pytest.raises(ClientError, match="ExpiredToken"):
        operator(**export).execute({})
    assert bucket.get("out.jsonl") is None


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_parts_of_a_killed_try_go_whatever_clock_s3_has(
    operator: Operator, ip1_connection: str, bucket: Bucket, proxy: S3Proxy, hours: int
) -> None:
    def shift(content: bytes) -> bytes:
        return re.sub(
            rb"(?<=<Initiated>)[^<]+",
            lambda time: (datetime.fromisoformat(time[0].decode()) + timedelta(hours=hours)).isoformat().encode(),
            content,
        )

    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="out.jsonl")
    proxy.rewrite = shift
    operator(**SMALL).execute(context(2))
    assert bucket.unfinished_uploads() == []
