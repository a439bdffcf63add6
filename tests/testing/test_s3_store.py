# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from airflow_provider_ip1.testing.s3_store import S3Store
from airflow_provider_ip1.testing.seaweedfs import S3Server


def test_a_bucket_shows_its_objects(ip1_s3: S3Store) -> None:
    bucket = ip1_s3.create_bucket()
    assert bucket.keys() == []
    bucket.write("b", b"2")
    bucket.write("a", b"1")
    assert bucket.keys() == ["a", "b"]
    assert bucket.read("b") == b"2"
    with pytest.raises(KeyError, match=f"s3://{bucket.name}/c does not exist.*'a', 'b'"):
        bucket.read("c")


def test_the_buckets_of_a_test_end_with_it(ip1_s3_server: S3Server) -> None:
    store = S3Store(ip1_s3_server)
    buckets = [store.create_bucket("my-lake"), store.create_bucket()]
    buckets[0].write("a/b", b"1")
    store.delete_buckets()
    for bucket in buckets:
        with pytest.raises(ClientError, match="NoSuchBucket"):
            bucket.keys()
    assert store.create_bucket("my-lake").keys() == []
    store.delete_buckets()
