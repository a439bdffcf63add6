# SPDX-License-Identifier: Apache-2.0
"""An S3 server that fails, or that does not support conditional writes: a proxy in front of the real one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dev import stack
from tests.transfers.store_proxy import (
    CONDITIONS,
    StoreProxy as S3Proxy,
    StoreRequest as S3Request,
    store_proxy,
)

__all__ = ["S3Proxy", "S3Request", "s3_proxy", "use_proxy"]


def use_proxy(monkeypatch: pytest.MonkeyPatch, server: stack.S3Server, proxy: S3Proxy, *, attempts: int) -> None:
    """Let the default AWS connection lead to the proxy, and send each request so often."""
    connection = json.loads(stack.aws_connection(replace(server, endpoint_url=proxy.url)))
    connection["extra"]["config_kwargs"]["retries"] = {"total_max_attempts": attempts}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


def _call(method: str, path: str) -> str:
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    is_object = urlsplit(path).path.strip("/").count("/") > 0
    if method == "PUT" and is_object:
        return "UploadPart" if "partNumber" in query else "PutObject"
    if method == "POST":
        return "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"
    if method == "DELETE" and "uploadId" in query:
        return "AbortMultipartUpload"
    return method


def s3_proxy(server: stack.S3Server) -> AbstractContextManager[S3Proxy]:
    """Run a proxy that signs each request again, so that it may change the headers."""
    credentials = Credentials(server.access_key, server.secret_key)

    def sign(proxy: S3Proxy, method: str, path: str, headers: dict[str, str], body: bytes) -> Mapping[str, str]:
        kept = {
            name: value
            for name, value in headers.items()
            if name.startswith(("x-amz-meta", "x-amz-acl", "x-amz-checksum", "x-amz-sdk", "content-type"))
            or (name in CONDITIONS and not proxy.ignores_conditions)
        }
        signed = AWSRequest(method, server.endpoint_url + path, headers=kept, data=body)
        S3SigV4Auth(credentials, "s3", server.region).add_auth(signed)
        return dict(signed.headers.items())

    return store_proxy(server.endpoint_url, _call, sign)
