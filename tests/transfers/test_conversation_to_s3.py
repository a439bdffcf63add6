# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
import io
import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pyarrow.parquet
import pytest
import zstandard

from airflow_provider_ip1.compat import AirflowOptionalProviderFeatureException, AirflowSkipException
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1NoMessagesError,
    IP1PagingError,
    IP1ParticipantError,
    IP1ResponseError,
    IP1ServerError,
)
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from dev import stack
from tests.hooks.hook_clients import RawServer, send
from tests.transfers.bucket_contents import Bucket
from tests.transfers.message_server import message_server
from tests.transfers.sandbox_conversations import connected_sandbox, from_api, messages_of

Export = Callable[..., dict[str, Any]]


def ids(lines: bytes | None) -> list[str]:
    assert lines is not None
    return [json.loads(line)["id"] for line in lines.splitlines()]


def timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# -- the object


def test_the_object_contains_each_message_once_byte_for_byte(
    export: Export, sandbox: SandboxServer, bucket: Bucket
) -> None:
    result = export(s3_key="daily/out.jsonl.gz")
    stored = bucket.get("daily/out.jsonl.gz")
    assert stored is not None
    lines = gzip.decompress(stored).split(b"\n")
    assert lines.pop() == b"", "the last line ends with a newline"
    assert len(lines) == 5000
    assert b"[" + b",".join(lines) + b"]" == from_api(sandbox)
    assert result["messages"] == 5000


def test_the_result_describes_the_object(export: Export, sandbox: SandboxServer, bucket: Bucket) -> None:
    result = export(s3_key="daily/out.jsonl.gz", page_size=1000)
    messages = messages_of(sandbox)
    times = sorted(timestamp(message["modified"]) for message in messages)

    assert 0 < result.pop("seconds") < 600
    assert result == {
        "uri": f"s3://{bucket.name}/daily/out.jsonl.gz",
        "messages": 5000,
        "participants": 1,
        "empty": 0,
        "pages": 6,
        "bytes": len(bucket.get("daily/out.jsonl.gz") or b""),
        "first_modified": times[0].isoformat(),
        "last_modified": times[-1].isoformat(),
        "pending": 0,
        "oldest_pending": None,
        "since": None,
    }
    json.dumps(result)


@pytest.mark.parametrize("since", ["2026-10-20T02:00:00+02:00", datetime(2026, 10, 20, tzinfo=UTC)])
def test_the_result_contains_the_start_of_the_window(export: Export, since: Any) -> None:
    assert export(since=since)["since"] == "2026-10-20T00:00:00+00:00"
    assert export(since=" ", until="2030-01-01", replace="always")["since"] is None


def read_ids(key: str, stored: bytes) -> list[str]:
    plain = stored
    if key.endswith(".gz"):
        plain = gzip.decompress(stored)
    elif key.endswith(".zst"):
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(stored)
    if ".parquet" in key:
        return pyarrow.parquet.read_table(io.BytesIO(stored)).column("id").to_pylist()
    if ".csv" in key:
        return [row["id"] for row in csv.DictReader(io.StringIO(plain.decode(), newline=""))]
    return ids(plain)


@pytest.mark.parametrize(
    "key",
    [
        "out.jsonl",
        "out.jsonl.gz",
        "out.jsonl.zst",
        "out.csv",
        "out.csv.gz",
        "out.csv.zst",
        "out.parquet",
        "out.snappy.parquet",
        "out.gz.parquet",
    ],
)
def test_every_format_can_be_read_and_is_reproducible(
    monkeypatch: pytest.MonkeyPatch, operator: Callable[..., ConversationToS3Operator], bucket: Bucket, key: str
) -> None:
    file_format = next(name for name in ("jsonl", "csv", "parquet") if name in key)
    with connected_sandbox(monkeypatch, messages=1500) as sandbox:
        first = operator(s3_key=key, file_format=file_format).execute({})
        stored = bucket.get(key)
        assert stored is not None
        assert read_ids(key, stored) == [message["id"] for message in messages_of(sandbox)]
        # The same conversation in other pages.
        second = operator(s3_key=key, file_format=file_format, page_size=77, concurrency=2).execute({})
    assert bucket.get(key) == stored
    assert first["bytes"] == second["bytes"] == len(stored)


@pytest.mark.parametrize("direction", ["mt", "mo", "MO"])
def test_one_direction(export: Export, sandbox: SandboxServer, bucket: Bucket, direction: str) -> None:
    export(direction=direction)
    expected = messages_of(sandbox, path=f"/{direction.lower()}")
    assert ids(bucket.get("out.jsonl")) == [message["id"] for message in expected]
    assert 0 < len(expected) < 5000


@pytest.mark.parametrize(
    "participants",
    [
        [SEVEN, EMPTY, SINGLE],
        (SEVEN, EMPTY, SINGLE),
        [int(SEVEN), EMPTY, SINGLE],  # native rendering of a template makes integers
        [SEVEN, EMPTY, f"+{SEVEN}", SINGLE, SEVEN],  # duplicates are read once
    ],
)
def test_several_conversations_one_after_the_other(
    export: Export, sandbox: SandboxServer, bucket: Bucket, participants: Any
) -> None:
    result = export(participant=participants)
    expected = [message["id"] for who in (SEVEN, SINGLE) for message in messages_of(sandbox, who)]
    assert ids(bucket.get("out.jsonl")) == expected
    assert result["messages"] == len(expected) == 8
    assert result["participants"] == 3


def test_a_url_as_the_key(export: Export, bucket: Bucket) -> None:
    result = export(participant=SEVEN, s3_key=f"s3://{bucket.name}/from/url.jsonl", s3_bucket=None)
    assert result["uri"] == f"s3://{bucket.name}/from/url.jsonl"
    assert bucket.keys() == ["from/url.jsonl"]


@pytest.mark.parametrize("size", ["one part", "several parts"])
def test_extra_args_are_sent_to_s3(
    operator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, bucket: Bucket, s3_events: Any, size: str
) -> None:
    """Each operation gets those that it knows."""
    extra_args = {
        "ServerSideEncryption": "AES256",
        "ACL": "bucket-owner-full-control",
        "StorageClass": "STANDARD",
        "RequestPayer": "requester",
        "Metadata": {"team": "lake"},
    }
    sent: dict[str, dict[str, str]] = {}
    with connected_sandbox(monkeypatch, messages=10_000):
        export = operator(participant=SEVEN if size == "one part" else MAIN, page_size=5000, extra_args=extra_args)
        s3_events.register(
            "before-call.s3", lambda model, params, **_: sent.update({model.name: dict(params["headers"])})
        )
        export.execute({})
    write = sent["PutObject" if size == "one part" else "CreateMultipartUpload"]
    assert write["x-amz-server-side-encryption"] == "AES256"
    assert write["x-amz-acl"] == "bucket-owner-full-control"
    assert write["x-amz-storage-class"] == "STANDARD"
    assert bucket.client.head_object(Bucket=bucket.name, Key="out.jsonl")["Metadata"]["team"] == "lake"
    payers = {call for call, headers in sent.items() if headers.get("x-amz-request-payer") == "requester"}
    assert payers >= ({"PutObject"} if size == "one part" else {"UploadPart", "CompleteMultipartUpload"})


@pytest.mark.parametrize("extra_args", [{"Bucket": "other"}, {"IfMatch": "*"}, {"Encryption": "AES256"}])
def test_an_unknown_extra_argument_is_an_error(
    operator: Callable[..., Any], sandbox: SandboxServer, ip1_connection: str, extra_args: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=f"^extra_args: .*{next(iter(extra_args))}"):
        operator(extra_args=extra_args).execute({})
    assert sandbox.requests == []
    with pytest.raises(ValueError, match="^extra_args: "):
        operator(extra_args="ACL")


# -- no messages


@pytest.mark.parametrize(
    ("key", "file_format", "plain"),
    [
        ("out.jsonl", "jsonl", b""),
        ("out.jsonl.gz", "jsonl", b""),
        ("out.csv.gz", "csv", b"id,batch_id,"),
        ("out.parquet", "parquet", None),
    ],
)
def test_an_empty_conversation_gives_an_empty_object(
    export: Export, bucket: Bucket, key: str, file_format: str, plain: bytes | None
) -> None:
    result = export(participant=EMPTY, s3_key=key, file_format=file_format)
    assert (result["messages"], result["pages"], result["first_modified"]) == (0, 0, None)
    stored = bucket.get(key)
    assert stored is not None and len(stored) == result["bytes"]
    if plain is None:
        assert pyarrow.parquet.read_table(io.BytesIO(stored)).num_rows == 0
    else:
        text = gzip.decompress(stored) if key.endswith(".gz") else stored
        assert text.startswith(plain) and text.count(b"\n") == (file_format == "csv")


@pytest.mark.parametrize(("on_empty", "error"), [("skip", AirflowSkipException), ("fail", IP1NoMessagesError)])
def test_an_empty_conversation_can_skip_or_fail(
    export: Export, bucket: Bucket, on_empty: str, error: type[Exception]
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    with pytest.raises(error, match="on_empty"):
        export(participant=EMPTY, on_empty=on_empty)
    assert bucket.get("out.jsonl") == b"from yesterday"
    assert export(participant=SEVEN, on_empty=on_empty)["messages"] == 7


def test_a_window_without_messages_counts_as_empty(export: Export, bucket: Bucket) -> None:
    with pytest.raises(AirflowSkipException):
        export(since="2030-01-01", on_empty="skip")
    assert export(since="2030-01-01")["messages"] == 0
    assert bucket.get("out.jsonl") == b""


# -- windows


def test_a_window_contains_what_was_modified_in_it_and_takes_few_requests(
    export: Export, sandbox: SandboxServer, bucket: Bucket
) -> None:
    everything = messages_of(sandbox, order="DESC")
    latest = max(timestamp(message["modified"]) for message in everything)
    since, until = latest - timedelta(days=2), latest - timedelta(hours=12)
    expected = [message["id"] for message in everything if since <= timestamp(message["modified"]) < until]
    sandbox.requests.clear()
    result = export(since=since, until=until, status_lookback=timedelta(days=1))
    assert ids(bucket.get("out.jsonl")) == expected
    assert 20 < len(expected) < 200
    assert result["pages"] <= 2
    # Two pages, and at most four that were requested ahead. The entire conversation takes 26.
    assert len(sandbox.requests) <= 6
    assert {request.query["order"] for request in sandbox.requests} == {"DESC"}
    first, last = timestamp(result["first_modified"]), timestamp(result["last_modified"])
    assert since <= first <= last < until


@pytest.mark.parametrize(
    "write",
    [
        lambda time: time,
        lambda time: pendulum.instance(time).in_timezone("Europe/Stockholm"),
        lambda time: time.isoformat(),
        lambda time: str(time),
        lambda time: time.replace(tzinfo=None).isoformat(),
    ],
)
def test_windows_in_every_notation(
    export: Export, sandbox: SandboxServer, bucket: Bucket, write: Callable[[datetime], Any]
) -> None:
    since = datetime(2026, 10, 30, tzinfo=UTC)
    export(since=write(since), until="", s3_key="since.jsonl")
    expected = [m["id"] for m in messages_of(sandbox, order="DESC") if timestamp(m["modified"]) >= since]
    assert ids(bucket.get("since.jsonl")) == expected
    assert expected


def test_until_alone_keeps_the_order_and_reads_everything(
    export: Export, sandbox: SandboxServer, bucket: Bucket
) -> None:
    until = datetime(2026, 9, 1, tzinfo=UTC)
    export(until=until, since="")
    expected = [m["id"] for m in messages_of(sandbox) if timestamp(m["modified"]) < until]
    assert ids(bucket.get("out.jsonl")) == expected


def test_adjacent_windows_contain_each_message_once(export: Export, sandbox: SandboxServer, bucket: Bucket) -> None:
    edges = ["", "2026-06-01", "2026-10-01", "2026-10-31T12:00:00Z", ""]
    exported: list[str] = []
    for since, until in zip(edges, edges[1:], strict=False):
        export(since=since, until=until, s3_key=f"from {since}.jsonl")
        exported += ids(bucket.get(f"from {since}.jsonl"))
    assert sorted(exported) == sorted(message["id"] for message in messages_of(sandbox))


def test_without_lookback_the_entire_conversation_is_read(export: Export, sandbox: SandboxServer) -> None:
    result = export(since="2026-10-31", status_lookback=None, page_size=1000)
    assert result["pages"] == 6
    assert 0 < result["messages"] < 100


def test_no_message_is_lost_if_the_server_ignores_the_order(
    export: Export, sandbox: SandboxServer, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add("ignore-order")
    since = datetime(2026, 10, 30, tzinfo=UTC)
    with caplog.at_level(logging.WARNING):
        export(since=since, page_size=1000)
    expected = [m["id"] for m in messages_of(sandbox) if timestamp(m["modified"]) >= since]
    assert ids(bucket.get("out.jsonl")) == expected
    assert expected
    assert "newest first" in caplog.text


def test_each_conversation_of_a_list_ends_independently(export: Export, sandbox: SandboxServer, bucket: Bucket) -> None:
    since = datetime(2026, 10, 31, tzinfo=UTC)
    export(participant=[MAIN, SEVEN], since=since)
    expected = [
        m["id"]
        for who in (MAIN, SEVEN)
        for m in messages_of(sandbox, who, order="DESC")
        if timestamp(m["modified"]) >= since
    ]
    assert ids(bucket.get("out.jsonl")) == expected


def message(number: int, modified: str, code: int = 201, **changes: Any) -> dict[str, Any]:
    statuses = [{"code": code, "duration": 1, "created": modified}]
    usual = {"id": f"id-{number}", "sender": "Salon", "recipient": MAIN, "statuses": statuses, "modified": modified}
    return usual | changes


@pytest.mark.parametrize("impossible", ["0001-01-01T00:00:00", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_message_with_an_impossible_time_does_not_end_the_reading(
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    impossible: str,
) -> None:
    newest_last = [message(number, f"2026-10-{1 + number // 24:02}T{number % 24:02}:00:00Z") for number in range(300)]
    newest_last[180]["modified"] = impossible
    with message_server(newest_last) as url:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(url))
        result = operator(since="2026-10-01", page_size=50).execute({})
    assert result["messages"] == 299
    assert ids(bucket.get("out.jsonl")) == [f"id-{number}" for number in reversed(range(300)) if number != 180]
    assert result["first_modified"] == "2026-10-01T00:00:00+00:00"
    log = "".join(capfd.readouterr())
    assert "Left out 1 message:" in log
    assert log.count("before the year 2000 or more than a day ahead for 1 message.") == 1


@pytest.mark.parametrize("impossible", ["0001-01-01T00:00:00", "9999-12-31T23:59:59Z"])
def test_an_impossible_time_is_not_in_the_result(
    operator: Callable[..., ConversationToS3Operator], bucket: Bucket, monkeypatch: pytest.MonkeyPatch, impossible: str
) -> None:
    messages = [message(0, "2026-10-01T00:00:00Z"), message(1, impossible, code=102)]
    with message_server(messages) as url:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(url))
        result = operator().execute({})
    assert result["messages"] == 2, "without a window, the export contains every message"
    assert result["first_modified"] == result["last_modified"] == "2026-10-01T00:00:00+00:00"
    assert (result["pending"], result["oldest_pending"]) == (1, None)


# -- counts


def test_pending_counts_sent_messages_that_can_still_change(
    operator: Callable[..., ConversationToS3Operator], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [
        message(0, "2026-10-01T00:00:00Z", code=112),
        message(1, "2026-10-02T00:00:00Z", code=201),
        message(2, "2026-10-03T00:00:00Z", code=102, sender=MAIN, recipient="Salon"),  # received
        message(3, "2026-10-04T00:00:00Z", statuses=None),
        message(4, "2026-10-05T00:00:00Z", statuses="odd"),
        message(5, "2026-10-06T00:00:00Z", code=114),
        # The latest report counts, not the last one.
        message(
            6,
            "2026-10-07T00:00:00Z",
            statuses=[
                {"code": 201, "created": "2026-10-07T00:00:01Z"},
                {"code": 110, "created": "2026-10-07T00:00:00Z"},
            ],
        ),
    ]
    with message_server(messages) as url:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(url))
        everything = operator().execute({})
        recent = operator(since="2026-10-06", status_lookback=timedelta(days=30), s3_key="recent.jsonl").execute({})
    assert (everything["pending"], everything["oldest_pending"]) == (2, "2026-10-01T00:00:00+00:00")
    assert recent["messages"] == 2
    # Messages before the window count too, because they show what a shorter lookback would miss.
    assert (recent["pending"], recent["oldest_pending"]) == (2, "2026-10-01T00:00:00+00:00")


def test_empty_conversations_are_counted_without_naming_them(
    export: Export, bucket: Bucket, capfd: pytest.CaptureFixture[str]
) -> None:
    assert export(participant=[EMPTY, SEVEN])["empty"] == 1
    log = "".join(capfd.readouterr())
    assert "iP.1 has no messages for 1 of 2 conversations." in log
    assert EMPTY not in log
    # A conversation with messages, but none in the window, is not empty.
    assert export(participant=SEVEN, since="2026-11-20", s3_key="window.jsonl")["empty"] == 0
    assert "no messages for" not in "".join(capfd.readouterr())


def test_verify_total_accepts_complete_conversations_and_new_messages(
    export: Export, sandbox: SandboxServer, bucket: Bucket
) -> None:
    assert export(verify_total=True, participant=[SEVEN, EMPTY, SINGLE])["messages"] == 8
    assert export(verify_total=True, direction="mo", page_size=1000, s3_key="mo.jsonl")["messages"] < 5000
    sandbox.faults.add("insert@6:count=3,at=tail")
    sandbox.requests.clear()
    assert export(verify_total=True, page_size=1000, s3_key="more.jsonl")["messages"] in (5000, 5003)


def test_verify_total_fails_if_messages_are_missing(export: Export, sandbox: SandboxServer, bucket: Bucket) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    # Request 1 is the summary.
    sandbox.faults.add("delete@2:count=5,at=head")
    with pytest.raises(IP1PagingError, match=r"read 4995 messages, but iP.1's summary counted 5000") as error:
        export(verify_total=True, page_size=1000)
    assert MAIN not in str(error.value)
    assert bucket.get("out.jsonl") == b"from yesterday"


SUMMARIES = {
    "a list that is a 404": ({"totalMessageCount": 5}, None, IP1PagingError, "read 0 messages, .* counted 5"),
    "no total": ({}, None, IP1ResponseError, "cannot be verified"),
    "no counts of the direction": ({"totalMessageCount": 5}, "mt", IP1ResponseError, "cannot be verified"),
}


@pytest.mark.parametrize(("summary", "direction", "error", "text"), SUMMARIES.values(), ids=SUMMARIES)
def test_verify_total_compares_an_empty_list_or_says_that_it_cannot(
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    summary: dict[str, int],
    direction: str | None,
    error: type[Exception],
    text: str,
) -> None:
    def answer(request: Any) -> None:
        if "/summary" in request.path:
            send(request, 200, json.dumps(summary).encode())
        else:
            send(request, 404 if "/conversations/" in request.path else 200, b"[]")

    with RawServer(answer) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url))
        with pytest.raises(error, match=text):
            operator(verify_total=True, direction=direction).execute({})
    assert bucket.keys() == []


def test_verify_total_needs_entire_conversations(operator: Callable[..., ConversationToS3Operator]) -> None:
    with pytest.raises(ValueError, match="^verify_total: .*status_lookback=None"):
        operator(verify_total=True, since="2026-11-01")
    operator(verify_total=True, since="2026-11-01", status_lookback=None)


# -- personal data


def test_redaction_uses_the_key_from_the_connection(
    export: Export, sandbox: SandboxServer, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    redact = {"body": "drop", "sender": "hash", "recipient": "mask"}
    with pytest.raises(IP1ConnectionError, match="redact_key"):
        export(redact=redact)
    assert bucket.keys() == []
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(sandbox.url, redact_key="kept secret"))
    export(redact=redact, participant=SEVEN)
    stored = bucket.get("out.jsonl")
    assert stored is not None and SEVEN.encode() not in stored
    sender = messages_of(sandbox, SEVEN)[0]["sender"]
    first = json.loads(stored.splitlines()[0])
    assert first["sender"] == hmac.new(b"kept secret", sender.encode(), hashlib.sha256).hexdigest()
    assert "body" not in first


@pytest.mark.parametrize(
    "key",
    ["46701740605.jsonl", "a/46701740605/b.jsonl", "0701740605.jsonl", "46-70-174 06 05.jsonl", "x46701740605x.jsonl"],
)
def test_a_key_that_contains_the_number_is_rejected(
    export: Export, sandbox: SandboxServer, bucket: Bucket, key: str
) -> None:
    with pytest.raises(ValueError, match="^s3_key: .*phone number") as error:
        export(s3_key=key)
    assert "701740605" not in str(error.value)
    assert sandbox.requests == []
    assert bucket.keys() == []


def test_nothing_personal_is_logged(
    export: Export,
    sandbox: SandboxServer,
    bucket: Bucket,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        export(participant=[MAIN, SEVEN], page_size=1000)
    # Outside a DAG run, Airflow 3 prints the task's log to standard output.
    log = caplog.text + "".join(capfd.readouterr())
    messages = messages_of(sandbox) + messages_of(sandbox, SEVEN)
    assert "Wrote 5,007 messages of 2 conversations" in log
    for number in (MAIN, SEVEN, *{message["sender"] for message in messages if message["sender"].isdigit()}):
        assert number not in log
    for body in {message["body"] for message in messages}:
        assert body not in log
    assert stack.SANDBOX_KEY not in log


# -- the log


@pytest.mark.parametrize(
    ("changes", "start", "end"),
    [
        (
            {"participant": SINGLE},
            "Exporting 1 conversation, without redaction, as jsonl to s3://{}/out.jsonl",
            r"Wrote 1 message of 1 conversation, [\d,]+ bytes, in [\d.]+ s( \([\d,]+ messages?/s\))? to s3://{}/out.jsonl",
        ),
        (
            {
                "participant": [SEVEN, SINGLE],
                "direction": "mo",
                "since": "2026-01-01",
                "until": "2026-11-01T12:00+01:00",
                "redact": {"body": "drop", "sender": "mask"},
            },
            "Exporting 2 conversations, received messages only, modified from 2026-01-01T00:00:00+00:00, modified "
            "before 2026-11-01T11:00:00+00:00, redacting body (drop), sender (mask), as jsonl to s3://{}/out.jsonl",
            r"Wrote \d+ messages? of 2 conversations, [\d,]+ bytes?, in .* to s3://{}/out.jsonl",
        ),
    ],
)
def test_the_log_has_a_start_line_and_a_final_line(
    export: Export,
    bucket: Bucket,
    capfd: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    start: str,
    end: str,
) -> None:
    export(**changes)
    log = "".join(capfd.readouterr())
    assert start.format(bucket.name) in log
    # Airflow 3 appends the logger's name.
    (final,) = set(re.findall(r"(Wrote .*?)(?: +\[airflow.*)?$", log, re.MULTILINE))
    assert re.fullmatch(end.replace("{}", bucket.name), final)


def test_undocumented_fields_are_logged_once(
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    messages = [message(number, f"2026-10-01T00:00:{number:02}Z", tags=["a"], **{MAIN: 1}) for number in range(60)]
    with message_server(messages) as url:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(url))
        operator(page_size=20).execute({})
    log = "".join(capfd.readouterr())
    assert log.count("iP.1 sent fields that it does not document: 46***05, tags.") == 1


def test_a_redaction_rule_without_a_match_is_logged_once(
    operator: Callable[..., ConversationToS3Operator],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with message_server([message(number, f"2026-10-01T00:00:{number:02}Z") for number in range(60)]) as url:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(url))
        operator(redact={"sender": "drop", "reference": "mask"}, page_size=20).execute({})
        log = "".join(capfd.readouterr())
        assert log.count("No message had a value to redact in: reference.") == 1
        operator(redact={"reference": "mask"}, s3_key="no.jsonl", until="2026-01-01").execute({})
    assert "No message had" not in "".join(capfd.readouterr()), "without messages there is nothing to say"


# -- errors


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"participant": ""}, "participant"),
        ({"participant": "None"}, "participant"),
        ({"participant": []}, "participant"),
        ({"participant": [MAIN, None]}, "participant"),
        ({"participant": {"a": 1}}, "participant"),
        ({"participant": {MAIN, SEVEN}}, "participant"),
        ({"participant": f"['{MAIN}', '{SEVEN}']"}, "participant: .*render_template_as_native_obj"),
        ({"direction": "out"}, "direction"),
        ({"file_format": "xml"}, "file_format"),
        ({"compression": "lzma"}, "compression"),
        ({"s3_key": "out.json"}, "s3_key.*json"),
        ({"s3_key": "out.xlsx"}, "s3_key.*xlsx"),
        ({"s3_key": "out.json.gz"}, "s3_key.*json.gz"),
        ({"compression": "zstd", "s3_key": "out.jsonl.gz"}, "compression"),
        ({"since": "tomorrow"}, "since"),
        ({"until": 5}, "until"),
        ({"since": "2026-11-01", "until": "2026-10-01"}, "until"),
        ({"status_lookback": 3}, "status_lookback"),
        ({"status_lookback": timedelta(days=-1)}, "status_lookback"),
        ({"on_empty": "ignore"}, "on_empty"),
        ({"redact": {"sendr": "drop"}}, "redact: .*sendr"),
        ({"redact": {"sender": "encode"}}, "redact: .*encode"),
        ({"s3_key": ""}, "s3_key"),
        ({"s3_key": "folder/"}, "s3_key"),
        ({"s3_bucket": None}, "s3_bucket"),
        ({"s3_key": "s3://other/key"}, "s3_bucket.*s3_key"),
        ({"s3_bucket": None, "s3_key": "s3://bucket-only"}, "s3_key"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": "many"}, "page_size"),
        ({"concurrency": 65}, "concurrency"),
    ],
)
def test_the_error_for_an_invalid_argument_names_it(
    export: Export, sandbox: SandboxServer, bucket: Bucket, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        export(**changes)
    assert sandbox.requests == []
    assert bucket.keys() == []


def test_templates_are_not_checked_before_they_are_rendered(operator: Callable[..., Any]) -> None:
    operator(
        participant="{{ params.who }}",
        s3_key="{{ params.key }}",
        s3_bucket="{{ params.bucket }}",
        direction="{{ params.direction }}",
        since="{{ data_interval_start }}",
        until="{{ data_interval_end }}",
    )
    assert set(ConversationToS3Operator.template_fields) == {
        "participant", "s3_key", "s3_bucket", "direction", "since", "until", "checkpoint", "ip1_conn_id", "aws_conn_id"
    }  # fmt: skip
    assert ConversationToS3Operator.template_ext == ()


def test_a_rejected_api_key_leaves_the_old_object(
    export: Export, sandbox: SandboxServer, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("out.jsonl", b"from yesterday")
    sandbox.key = "another"
    with pytest.raises(IP1AuthError):
        export()
    assert bucket.get("out.jsonl") == b"from yesterday"
    assert len(sandbox.requests) == 1


def test_a_participant_that_ip1_rejects(export: Export, bucket: Bucket) -> None:
    with pytest.raises(IP1ParticipantError):
        export(participant="no such participant name")
    assert bucket.keys() == []


def test_a_missing_bucket_is_reported_before_anything_is_read(export: Export, sandbox: SandboxServer) -> None:
    with pytest.raises(ValueError, match="^s3_bucket: .*'no-such-bucket-here'"):
        export(s3_bucket="no-such-bucket-here")
    assert sandbox.requests == []


def test_a_missing_aws_connection_is_named(
    export: Export, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ValueError, match="^aws_conn_id: .*'no_such_connection'"):
        export(aws_conn_id="no_such_connection")
    assert sandbox.requests == []


def test_a_missing_pyarrow_is_reported_when_the_dag_is_parsed(
    operator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_ip1.formats.encode.find_spec", lambda name: None)
    with pytest.raises(AirflowOptionalProviderFeatureException, match=r"airflow-provider-ip1\[parquet\]"):
        operator(file_format="parquet")


def test_an_unreachable_api_leaves_no_object(
    operator: Callable[..., Any], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = stack.free_ports(1)
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(f"http://127.0.0.1:{port}", max_attempts=1))
    with pytest.raises(IP1ServerError):
        operator().execute({})
    assert bucket.keys() == []


def test_an_object_that_must_not_be_replaced_is_reported_before_anything_is_read(
    export: Export, sandbox: SandboxServer, bucket: Bucket
) -> None:
    assert export(participant=SEVEN, replace=False)["messages"] == 7
    stored = bucket.get("out.jsonl")
    sandbox.requests.clear()
    with pytest.raises(ValueError, match="^s3_key: .*replace"):
        export(participant=SINGLE, replace=False)
    assert sandbox.requests == []
    assert bucket.get("out.jsonl") == stored
    assert export(participant=SEVEN)["messages"] == 7
