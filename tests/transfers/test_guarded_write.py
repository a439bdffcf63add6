# SPDX-License-Identifier: Apache-2.0
"""Exports that must not replace an object: races, resumed workers, empty results, and stores without conditions."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from airflow_provider_ip1.exceptions import IP1NoMessagesError
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.replacing import ObjectChangedError
from dev import stack
from tests.transfers.bucket_contents import Bucket
from tests.transfers.s3_proxy import S3Proxy, S3Request, use_proxy
from tests.transfers.sandbox_conversations import connected_sandbox

Operator = Callable[..., ConversationToS3Operator]

SMALL = {"participant": SEVEN}
LARGE = {"participant": MAIN, "page_size": 1000}
SIZES = pytest.mark.parametrize("export", [SMALL, LARGE], ids=["one part", "several parts"])
VISIBLE_BY = ("PutObject", "CompleteMultipartUpload")


def context(try_number: int = 1, run_id: str = "manual__2026-11-24T12:00:00+00:00") -> dict[str, Any]:
    ti = SimpleNamespace(try_number=try_number, xcom_push=lambda key, value: None)
    return {"ti": ti, "run_id": run_id}


def metadata(bucket: Bucket, key: str = "out.jsonl") -> dict[str, str]:
    found: dict[str, str] = bucket.client.head_object(Bucket=bucket.name, Key=key)["Metadata"]
    return found


def before_write(act: Callable[[], Any]) -> Callable[[S3Request], None]:
    """Act once, immediately before the request that would make the object visible."""
    is_done = False

    def before(request: S3Request) -> None:
        nonlocal is_done
        if request.call in VISIBLE_BY and not is_done:
            is_done = True
            act()

    return before


# -- races


LOST = {"error": (500, "InternalError"), "closed": (0, ""), "empty": (200, ""), "late error": (200, "InternalError")}


@SIZES
def test_a_response_without_an_etag_is_not_taken_for_success(
    operator: Operator, large_sandbox: None, bucket: Bucket, proxy: S3Proxy, export: dict[str, Any]
) -> None:
    """Something between the task and S3 answered, and S3 got nothing."""
    proxy.answer = lambda request: (200, "") if request.call in VISIBLE_BY else None
    with pytest.raises(HTTPClientError, match="has no ETag"):
        operator(**export).execute({})
    assert bucket.get("out.jsonl") is None


def test_an_object_that_the_credentials_show_only_now_has_appeared(
    operator: Operator, ip1_connection: str, bucket: Bucket, proxy: S3Proxy
) -> None:
    """Without s3:ListBucket, S3 returns 403 for an object that does not exist."""

    def answer(request: S3Request) -> tuple[int, str] | None:
        return (403, "AccessDenied") if request.call == "HEAD" and bucket.get("out.jsonl") is None else None

    proxy.answer = answer
    assert operator(**SMALL).execute({})["messages"] == 7
    bucket.client.delete_object(Bucket=bucket.name, Key="out.jsonl")
    heads = 0

    def appear_before_the_write(request: S3Request) -> tuple[int, str] | None:
        nonlocal heads
        heads += request.call == "HEAD"
        if heads == 2 and request.call == "HEAD":
            bucket.put("out.jsonl", b"newer")
        return answer(request)

    proxy.answer = appear_before_the_write
    with pytest.raises(ObjectChangedError):
        operator(**SMALL).execute({})
    assert bucket.get("out.jsonl") == b"newer"


def test_a_store_without_conditions_is_not_written_to_blindly(
    operator: Operator, ip1_connection: str, bucket: Bucket, proxy: S3Proxy
) -> None:
    """Neither a condition nor a comparison would protect the object."""
    bucket.put("out.jsonl", b"from yesterday")
    proxy.answer = lambda request: (
        (403, "AccessDenied") if request.call == "HEAD" else NOT_IMPLEMENTED[0] if request.is_conditional else None
    )
    with pytest.raises(ClientError, match="NotImplemented"):
        operator(**SMALL, replace=False).execute({})
    assert bucket.get("out.jsonl") == b"from yesterday"


# -- stores without conditional writes


NOT_IMPLEMENTED = [
    (501, "NotImplemented"),
    (400, "InvalidArgument", "<ArgumentName>If-Match</ArgumentName><Message>If-None-Match is not supported</Message>"),
]


@SIZES
@pytest.mark.parametrize("error", NOT_IMPLEMENTED)
def test_a_store_that_rejects_conditions_is_written_with_a_warning(
    operator: Operator,
    large_sandbox: None,
    bucket: Bucket,
    proxy: S3Proxy,
    caplog: pytest.LogCaptureFixture,
    export: dict[str, Any],
    error: tuple[int, str] | tuple[int, str, str],
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    proxy.answer = lambda request: error if request.is_conditional else None
    result = operator(**export).execute({})
    assert len((bucket.get("out.jsonl") or b"").splitlines()) == result["messages"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([text for text in warnings if f"conditional writes ({error[1]})" in text]) == 1


@SIZES
@pytest.mark.parametrize("may_replace", [True, False])
def test_a_store_that_ignores_conditions_is_compared_before_the_write(
    operator: Operator,
    large_sandbox: None,
    bucket: Bucket,
    proxy: S3Proxy,
    export: dict[str, Any],
    may_replace: bool,
) -> None:
    proxy.ignores_conditions = True
    heads = 0

    def appear_after_the_start(request: S3Request) -> None:
        nonlocal heads
        heads += request.call == "HEAD"
        # The object at the start, then the object before the write.
        if heads == 2 and request.call == "HEAD":
            bucket.put("out.jsonl", b"newer")

    proxy.before = appear_after_the_start
    with pytest.raises((ObjectChangedError, ValueError), match=r"changed during|replace is False"):
        operator(**export, replace=may_replace).execute({})
    assert bucket.get("out.jsonl") == b"newer"
    assert bucket.unfinished_uploads() == []


ONCE = [
    (400, "BadDigest"),
    (400, "IncompleteBody"),
    (400, "ExpiredToken"),
    (400, "InvalidRequest"),
    (400, "RequestTimeout"),
    (400, "InvalidArgument", "<ArgumentName>x-amz-acl</ArgumentName>"),
    (400, "InvalidDigest", "<Resource>/lake/if-match/out.jsonl</Resource>"),
    (403, "AccessDenied"),
    (500, "InternalError"),
    (501, "InternalError"),
    (503, "SlowDown"),
    *NOT_IMPLEMENTED,
]


@pytest.mark.parametrize("ignores_conditions", [False, True])
@pytest.mark.parametrize("error", ONCE, ids=[f"{one[0]} {one[1]}" for one in ONCE])
def test_a_write_that_fails_once_does_not_replace_a_newer_object(
    monkeypatch: pytest.MonkeyPatch,
    operator: Operator,
    ip1_connection: str,
    bucket: Bucket,
    s3_server: stack.S3Server,
    proxy: S3Proxy,
    error: tuple[int, str] | tuple[int, str, str],
    ignores_conditions: bool,
) -> None:
    """Whatever S3 answers, and however often the write is repeated."""
    bucket.put("out.jsonl", b"from yesterday")
    use_proxy(monkeypatch, s3_server, proxy, attempts=4)
    proxy.ignores_conditions = ignores_conditions

    def answer(request: S3Request) -> tuple[int, str] | tuple[int, str, str] | None:
        if request.call != "PutObject" or proxy.calls().count("PutObject") > 1:
            return None
        bucket.put("out.jsonl", b"newer")
        return error

    proxy.answer = answer
    with pytest.raises((ObjectChangedError, ClientError)):
        operator(**SMALL).execute({})
    assert bucket.get("out.jsonl") == b"newer"


@pytest.mark.parametrize("error", ONCE[:7], ids=[one[1] for one in ONCE[:7]])
def test_a_write_keeps_its_condition(
    operator: Operator, ip1_connection: str, bucket: Bucket, proxy: S3Proxy, error: tuple[int, str]
) -> None:
    proxy.answer = lambda request: error if request.call == "PutObject" else None
    with pytest.raises(ClientError, match=error[1]):
        operator(**SMALL).execute({})
    writes = [request for request in proxy.requests if request.call == "PutObject"]
    assert writes and all(request.is_conditional for request in writes)


# -- on_empty="protect"


@pytest.mark.parametrize(
    ("key", "file_format"),
    [("out.jsonl", "jsonl"), ("out.jsonl.gz", "jsonl"), ("o.csv", "csv"), ("o.parquet", "parquet")],
)
def test_protect_keeps_an_object_that_contains_messages(
    operator: Operator, ip1_connection: str, bucket: Bucket, key: str, file_format: str
) -> None:
    arguments = {"participant": SEVEN, "s3_key": key, "file_format": file_format, "replace": "always"}
    nothing = {"since": "2030-01-01"}
    empty = operator(**arguments | nothing)
    assert empty.execute({})["messages"] == 0, "there is no object yet"
    assert empty.execute({})["messages"] == 0, "the object is empty"
    operator(**arguments).execute({})
    stored = bucket.get(key)
    with pytest.raises(IP1NoMessagesError, match="on_empty"):
        empty.execute({})
    assert bucket.get(key) == stored
    operator(**arguments | nothing, on_empty="write").execute({})
    assert metadata(bucket, key)["ip1-messages"] == "0"


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_protect_recognizes_objects_of_other_writers_by_their_size(
    operator: Operator, ip1_connection: str, bucket: Bucket, file_format: str
) -> None:
    key = f"out.{file_format}"
    empty = operator(participant=EMPTY, s3_key=key, file_format=file_format)
    empty.execute({})
    empty_file = bucket.get(key)
    assert empty_file is not None
    bucket.put(key, empty_file)
    assert metadata(bucket, key) == {}
    assert empty.execute({})["messages"] == 0
    for archive in (empty_file + b"x", b"{}\n"):
        bucket.put(key, archive)
        with pytest.raises(IP1NoMessagesError):
            empty.execute({})
        assert bucket.get(key) == archive


def test_protect_trusts_the_count_in_the_metadata_before_the_size(
    operator: Operator, ip1_connection: str, bucket: Bucket
) -> None:
    """An empty file of another version may be larger."""
    bucket.client.put_object(Bucket=bucket.name, Key="out.csv", Body=b"x" * 1000, Metadata={"ip1-messages": "0"})
    empty = operator(participant=EMPTY, s3_key="out.csv", file_format="csv")
    assert empty.execute({})["messages"] == 0
    bucket.client.put_object(Bucket=bucket.name, Key="out.csv", Body=b"x", Metadata={"ip1-messages": "1"})
    with pytest.raises(IP1NoMessagesError):
        empty.execute({})


def test_protect_keeps_an_object_of_several_parts(operator: Operator, large_sandbox: None, bucket: Bucket) -> None:
    """Its metadata contains no count, because S3 takes the metadata first."""
    assert operator(**LARGE).execute({})["messages"] == 10_000
    assert "ip1-messages" not in metadata(bucket)
    with pytest.raises(IP1NoMessagesError):
        operator(participant=EMPTY, replace="always").execute({})


# -- metadata


def test_the_metadata_describes_the_run(operator: Operator, ip1_connection: str, bucket: Bucket) -> None:
    operator(participant=SEVEN).execute(context(try_number=3, run_id="manual__2026-11-24T12:00:00+00:00 å"))
    found = metadata(bucket)
    assert [len(found.pop(f"ip1-{name}")) for name in ("upload", "run")] == [16, 16]
    assert re.fullmatch("v2/conversations#[0-9a-f]{4}", found.pop("ip1-source"))
    assert found == {
        "ip1-messages": "7",
        "ip1-run-id": "manual__2026-11-24T12:00:00+00:00%20%C3%A5",
        "ip1-try": "3",
    }


def test_the_metadata_contains_no_phone_number(operator: Operator, ip1_connection: str, bucket: Bucket) -> None:
    operator(participant=SEVEN).execute(context(run_id=f"export of +{SEVEN[:2]} {SEVEN[2:]}"))
    assert "ip1-run-id" not in metadata(bucket)


# -- S3 fails


def test_an_error_in_the_middle_of_an_upload_ends_the_reading(
    monkeypatch: pytest.MonkeyPatch, operator: Operator, bucket: Bucket, proxy: S3Proxy
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    parts = 0

    def fail_third_part(request: S3Request) -> tuple[int, str] | None:
        nonlocal parts
        parts += request.call == "UploadPart"
        return (503, "SlowDown") if request.call == "UploadPart" and parts >= 3 else None

    proxy.answer = fail_third_part
    with connected_sandbox(monkeypatch, messages=200_000) as sandbox:
        with pytest.raises(Exception, match="SlowDown"):
            operator(**LARGE).execute({})
        assert len(sandbox.requests) < 150
    assert bucket.get("out.jsonl") == b"from yesterday"
    assert bucket.unfinished_uploads() == []
