# SPDX-License-Identifier: Apache-2.0
"""The value of the fixture ``ip1_s3``: an S3 server, and buckets that it deletes after the test."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from airflow_provider_ip1.testing.seaweedfs import S3Server


@dataclass(frozen=True)
class S3Bucket:
    """
    A bucket, and what the code under test wrote to it.

    :param name: the bucket's name.
    :param client: a boto3 client of the server.
    """

    name: str
    client: Any

    def keys(self) -> list[str]:
        """Return the keys of the first 1,000 objects, sorted."""
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=self.name).get("Contents", ())]

    def read(self, key: str) -> bytes:
        """
        Return an object's bytes.

        :param key: the object's key.
        :raises KeyError: there is no such object.
        """
        try:
            body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            raise KeyError(f"s3://{self.name}/{key} does not exist. The bucket contains: {self.keys()}") from None
        return body

    def write(self, key: str, body: bytes) -> None:
        """
        Write an object.

        :param key: the object's key.
        :param body: its bytes.
        """
        self.client.put_object(Bucket=self.name, Key=key, Body=body)


class S3Store:
    """
    An S3 server, shared by all tests, and the buckets of one test.

    :param server: the server.
    """

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self._buckets: list[S3Bucket] = []

    def create_bucket(self, name: str | None = None) -> S3Bucket:
        """
        Create an empty bucket that is deleted after the test.

        :param name: the name that the DAG uses. Default: a random name.
        :return: the bucket.
        """
        bucket = S3Bucket(name or f"test-{secrets.token_hex(6)}", self.server.client())
        bucket.client.create_bucket(Bucket=bucket.name)
        self._buckets.append(bucket)
        return bucket

    def delete_buckets(self) -> None:
        """Delete the buckets of this test with all their objects."""
        while self._buckets:
            bucket = self._buckets.pop()
            # SeaweedFS, unlike AWS, also deletes the objects in the bucket.
            bucket.client.delete_bucket(Bucket=bucket.name)
