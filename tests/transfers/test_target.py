# SPDX-License-Identifier: Apache-2.0
"""The object is the one that the arguments name, to the letter."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from airflow_provider_ip1.exceptions import IP1ConnectionError
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN, SINGLE
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.stores.s3_object import S3Object
from tests.hooks.hook_clients import RawServer, send
from tests.transfers.bucket_contents import Bucket

KEYS = [
    "sms/export?customer=1042.jsonl.gz",
    "sms/export?customer=1043.jsonl.gz",
    "sms/#1042.jsonl.gz",
    "sms/100%.jsonl.gz",
    "sms/100%25.jsonl.gz",
    "sms/%2e%2e/a%2Fb.jsonl.gz",
    "sms/a b+c .jsonl.gz",
    " sms/åäö/Ж/🙂.jsonl.gz",
    "sms/a:b;c@d&e=f,g'h\"i(j)[k]{l}m|n^o`p~q<r>s.jsonl.gz",
    "a:b.jsonl.gz",
    "sms/s3:/x.jsonl.gz",
    "?.jsonl.gz",
    "dag_id=sms/run_id=manual__2026-11-24T12:00:00+00:00/1.jsonl.gz",
    "None/None.jsonl.gz",
    "k" * 1015 + ".jsonl.gz",
]


@pytest.mark.parametrize("url", ["", "s3://", "s3a://", "S3://", "s3n://"])
@pytest.mark.parametrize("key", KEYS)
def test_the_key_is_used_as_it_is(key: str, url: str) -> None:
    target = S3Object.from_arguments(None, f"{url}lake/{key}") if url else S3Object.from_arguments("lake", key)
    assert target == S3Object("lake", key)


def test_objects_with_odd_keys_are_written_to_those_keys(export: Callable[..., dict[str, Any]], bucket: Bucket) -> None:
    """And compressed as their endings say."""
    for key in KEYS[:-1]:
        in_url = "1042" in key
        result = export(
            participant=SEVEN,
            s3_bucket=None if in_url else bucket.name,
            s3_key=f"s3://{bucket.name}/{key}" if in_url else key,
        )
        assert result["uri"] == f"s3://{bucket.name}/{key}"
        assert (bucket.get(key) or b"").startswith(b"\x1f\x8b")
        # Once more, which replaces the object.
        assert export(participant=SEVEN, s3_key=key)["messages"] == 7
    assert sorted(bucket.keys()) == sorted(KEYS[:-1])


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        *(
            ("lake", key)
            for key in ("", " ", "None", "a/", "/", "/a", "a//b", "a/./b", "../a", "a/..", "a\\b", "a\nb", "a\n")
        ),
        *(("lake", key) for key in ("a\x00", "k" * 1025, "é" * 513, "\udce9", "{{ ds }}.jsonl", "a{% if x %}")),
        *(("lake", key) for key in ("s3://lake/a", "s3a://lake/a", "s3:/lake/a", "s3:a", "gs://lake/a", "file:/a")),
        *((None, f"{scheme}lake/a") for scheme in ("", "s3:/", "s3:", "gs://", "https://", "s3x://", " s3://")),
        *((None, url) for url in ("s3://", "s3://lake", "s3://lake/", "s3:///a", "s3://lake//a", "s3://la?ke/a")),
        *((None, url) for url in ("s3://lake/None", "s3://None/a", "s3a://lake/ None", "s3://lake/ ")),
        (None, "https://lake.s3.eu-north-1.amazonaws.com/a"),
        *((bucket, "a") for bucket in ("", "None", "{{ x }}", "la ke", "lake/b", "s3://lake", 5.5, "la#ke")),
        ("lake", None),
        ("lake", 5.5),
        ("lake", ["a"]),
    ],
)
def test_what_does_not_name_an_object_is_an_error(bucket: Any, key: Any) -> None:
    with pytest.raises(ValueError, match=r"^s3_(key|bucket)"):
        S3Object.from_arguments(bucket, key)


@pytest.mark.parametrize(
    ("bucket", "key", "message"),
    [
        ("lake", "/m/y", "^s3_key: begins with a slash"),
        (None, "s3://lake//m/y", "^s3_key: begins with a slash"),
        ("s3://my-lake", "a", "^s3_bucket: .*without s3://"),
        ("my-lake/", "a", "^s3_bucket: .*without slashes"),
    ],
)
def test_the_error_says_what_is_wrong_with_the_name(bucket: str | None, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        S3Object.from_arguments(bucket, key)


def test_two_customers_have_two_objects(export: Callable[..., dict[str, Any]], bucket: Bucket) -> None:
    for customer, participant in (("1042", SEVEN), ("1043", SINGLE)):
        export(participant=participant, s3_bucket=None, s3_key=f"s3://{bucket.name}/export?customer={customer}.jsonl")
    assert [len((bucket.get(f"export?customer={each}.jsonl") or b"").splitlines()) for each in (1042, 1043)] == [7, 1]


@pytest.mark.parametrize("is_given", [True, False])
def test_the_key_of_an_ip1_connection_never_reaches_a_store(
    ip1_connection: str, monkeypatch: pytest.MonkeyPatch, is_given: bool
) -> None:
    with RawServer(send) as store:
        connection = {"conn_type": "ip1", "login": "a", "password": "b", "extra": {"endpoint_url": store.url}}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        given: dict[str, Any] = {"s3_hook": S3Hook("lake")} if is_given else {"aws_conn_id": "lake"}
        with pytest.raises(IP1ConnectionError, match="aws_conn_id: connection 'lake' has the type 'ip1'"):
            export_conversations(MAIN, s3_bucket="lake", s3_key="a.jsonl", **given)
    assert store.seen == []
