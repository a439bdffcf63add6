# SPDX-License-Identifier: Apache-2.0
"""Whatever iP.1 sends in whichever field: an export needs only the ids, and keeps the rest as it was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1ResponseError
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from dev import stack
from tests.formats.odd_messages import USUAL
from tests.transfers.bucket_contents import Bucket
from tests.transfers.message_server import list_server

BATCH: dict[str, bytes] = {
    "sender": b'"46846500499"',
    "body": b'"Hej!"',
    "owner": b'"ip1-00000"',
    "direction": b'"MT"',
    "type": b'"sms"',
    "datacoding": b'"gsm"',
    "priority": b"1",
    "templated": b"false",
    "priceSummary": b'{"total":0.1,"currency":"SEK","average":0.1}',
    "messageSummary": b'{"201":{"messages":1,"sms":1}}',
    "deliveryWindows": b'[{"opens":"2026-10-23T15:00:00Z","closes":"2026-10-23T17:00:00Z"}]',
    "status": b"112",
    "deliveryReportUrl": b"null",
    "reference": b'"ref"',
    "tags": b'["a"]',
}
MESSAGE = {name: json.dumps(value).encode() for name, value in USUAL.items() if name != "id"}
MISSING = b""
VALUES = [
    MISSING,
    *b"null true false 0 1 -1 1.5 -0.0 1e400 -1e-400 4294967296 201 [] {} [null] [[]] [{}] [1] [true]".split(),
    b"9" * 5000,
    *(
        json.dumps(text).encode()
        for text in ("", " ", "a,b", "Delivered", "08:00", "NaN", "0", "1e9", "mt", "\x00", "å")
    ),
    b'"half \\ud83d"',
    b'{"":null}',
    b'{"201":1}',
    b'{"201":{"messages":"many","sms":[]}}',
    b'{"46701740699":{"messages":1}}',
    b'{"total":"NaN","currency":{},"average":1e400}',
    b'{"opens":"08:00"}',
    b'[{"opens":"08:00","closes":17}]',
    b'[{"opens":"0001-01-01T00:00:00+14:00"},{"opens":"9999-12-31T23:59:59-14:00"},null]',
    b'[{"code":"201"},{"code":null},{"duration":{}},"201"]',
    b'[{"code":99999999999999999999,"duration":-1,"created":"yesterday"}]',
]

Export = Callable[..., dict[str, Any]]


def row(row_id: bytes, fields: Mapping[str, bytes]) -> bytes:
    members = {"id": row_id} | fields
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in members.items() if value) + b"}"


def changed(fields: Mapping[str, bytes]) -> list[bytes]:
    """Return a row for each field and each value that it can have."""
    return [
        row(b'"%d"' % number, fields | {name: value})
        for number, (name, value) in enumerate(product(fields, VALUES), start=1)
    ]


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> Export:
    """Export an account with these batches, each of which has the same messages."""

    def export(batches: list[bytes], messages: list[bytes], **arguments: Any) -> dict[str, Any]:
        with list_server(lambda path: batches if path == "/v2/batches" else messages) as url:
            connection = stack.ip1_connection(url, requests_per_second=0, max_attempts=1, concurrency=16)
            monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
            export = MessagesToS3Operator(
                task_id="export", s3_bucket=bucket.name, **({"s3_key": "out.jsonl", "page_size": 1000} | arguments)
            )
            return export.execute({})

    return export


@pytest.mark.parametrize("since", [None, "2026-10-31"])
def test_a_batch_may_have_any_value_in_any_field(export: Export, bucket: Bucket, since: str | None) -> None:
    """With ``since``, the delivery windows decide where the list ends. Odd ones do not end it."""
    batches, messages = changed(BATCH), [row(b'"m"', MESSAGE)]
    result = export(batches, messages, since=since)
    assert (result["batches"], result["messages"]) == (len(batches), len(batches))
    assert bucket.get("out.jsonl") == b"\n".join(messages * len(batches)) + b"\n"


@pytest.mark.parametrize("redact", [None, {"recipient": "mask", "reference": "drop"}])
@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("since", [None, "2026-10-31"])
def test_a_message_may_have_any_value_in_any_field(
    export: Export, bucket: Bucket, file_format: str, since: str | None, redact: dict[str, str] | None
) -> None:
    messages = changed(MESSAGE)
    result = export(
        [row(b'"b"', BATCH)],
        messages,
        s3_key=f"out.{file_format}",
        file_format=file_format,
        since=since,
        redact=redact,
    )
    if since is None:
        assert result["messages"] == len(messages)
    else:
        assert len(messages) > result["messages"] >= len(messages) - len(VALUES), (
            "only those without a time are left out"
        )
    if (file_format, since, redact) == ("jsonl", None, None):
        assert bucket.get("out.jsonl") == b"\n".join(messages) + b"\n"


@pytest.mark.parametrize("value", [MISSING, b"null", b"17", b'""', b'["b"]'])
@pytest.mark.parametrize("of", ["batch", "message"])
def test_only_an_odd_id_fails_the_export(export: Export, bucket: Bucket, of: str, value: bytes) -> None:
    is_batch = of == "batch"
    with pytest.raises(IP1ResponseError, match="id"):
        export([row(value if is_batch else b'"b"', BATCH)], [row(b'"m"' if is_batch else value, MESSAGE)])
    assert bucket.keys() == []
