# SPDX-License-Identifier: Apache-2.0
"""S3 in memory: one bucket with conditional writes, in the shape of a client of boto3."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError


@cache
def _meta() -> Any:
    client = boto3.client("s3", region_name="eu-north-1", aws_access_key_id="key", aws_secret_access_key="secret")
    return client.meta


@dataclass(frozen=True)
class Stored:
    """
    An object.

    :param number: how many objects were written before it, and by it.
    """

    body: bytes
    metadata: dict[str, str]
    number: int

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


@dataclass
class MemoryS3:
    """
    The client.

    :param around: called before and after each call.
    """

    around: Callable[[], None] = lambda: None
    objects: dict[str, Stored] = field(default_factory=dict)
    writes: int = 0

    @property
    def meta(self) -> Any:
        return _meta()

    def head_bucket(self, **_: Any) -> dict[str, Any]:
        return _response()

    def list_objects_v2(self, *, Prefix: str, **_: Any) -> dict[str, Any]:
        """Only asks whether the bucket can be read."""
        return _response()

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self.around()
        found = self.objects.get(Key)
        if found is None:
            raise _error("HeadObject", 404, "404")
        return _response(ETag=found.etag, ContentLength=len(found.body), Metadata=found.metadata)

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self.around()
        found = self.objects.get(Key)
        if found is None:
            raise _error("GetObject", 404, "NoSuchKey")
        return _response(
            ETag=found.etag, ContentLength=len(found.body), Metadata=found.metadata, Body=io.BytesIO(found.body)
        )

    def put_object(
        self,
        *,
        Key: str,
        Body: bytes,
        Metadata: dict[str, str] | None = None,
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        self.around()
        found = self.objects.get(Key)
        if IfMatch is not None and found is None:
            raise _error("PutObject", 404, "NoSuchKey")
        if (IfMatch is not None and found is not None and found.etag != IfMatch) or (
            IfNoneMatch is not None and found is not None
        ):
            raise _error("PutObject", 412, "PreconditionFailed")
        self.writes += 1
        self.objects[Key] = Stored(bytes(Body), Metadata or {}, self.writes)
        self.around()
        return _response(ETag=self.objects[Key].etag)

    def delete_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self.around()
        self.objects.pop(Key, None)
        return _response()

    def get_paginator(self, name: str) -> Any:
        """No upload has several parts, so none is left behind."""
        assert name == "list_multipart_uploads", name
        return SimpleNamespace(paginate=lambda **_: [])


def _response(**fields: Any) -> dict[str, Any]:
    return {"ResponseMetadata": {"HTTPStatusCode": 200}, **fields}


def _error(operation: str, status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)
