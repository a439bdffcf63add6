# SPDX-License-Identifier: Apache-2.0
"""The stores that an export can write to, for tests of what it guarantees in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.testing.azure_account import AzureAccount
from airflow_provider_ip1.testing.azurite import wasb_connection
from airflow_provider_ip1.testing.s3_store import S3Store as S3Fixture
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.conversation_to_wasb import ConversationToWasbOperator
from airflow_provider_ip1.transfers.stores import Store
from airflow_provider_ip1.transfers.to_s3 import S3Options
from airflow_provider_ip1.transfers.to_wasb import WasbOptions
from tests.transfers.bucket_contents import Bucket
from tests.transfers.s3_proxy import s3_proxy, use_proxy
from tests.transfers.store_proxy import StoreProxy, store_proxy


class S3Lake:
    """A bucket of SeaweedFS."""

    argument = "s3_key"
    visible_by = ("PutObject", "CompleteMultipartUpload")
    part = "UploadPart"
    calls: ClassVar = ("HEAD", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "PutObject")
    """The requests of an export, small or large."""
    not_allowed = (403, "AccessDenied")

    def __init__(self, s3: S3Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self._server = s3.server
        self._monkeypatch = monkeypatch
        self._bucket = Bucket(s3.server.client(), s3.create_bucket().name)
        self.get, self.put, self.keys = self._bucket.get, self._bucket.put, self._bucket.keys
        self.place = {"s3_bucket": self._bucket.name}

    def operator(self, **changes: Any) -> Any:
        arguments = {"task_id": "export", "participant": MAIN, "s3_key": "out.jsonl", **self.place}
        return ConversationToS3Operator(**(arguments | changes))

    def store(self, name: str) -> Store:
        return S3Options(s3_key=name, s3_bucket=self._bucket.name).store()

    def delete(self, name: str = "out.jsonl") -> None:
        self._bucket.client.delete_object(Bucket=self._bucket.name, Key=name)

    def metadata(self, name: str = "out.jsonl") -> dict[str, str]:
        found: dict[str, str] = self._bucket.client.head_object(Bucket=self._bucket.name, Key=name)["Metadata"]
        return found

    def has_parts(self) -> bool:
        """Return whether an unfinished write has sent something."""
        return bool(self._bucket.unfinished_uploads())

    def check_clean(self) -> None:
        assert self._bucket.unfinished_uploads() == []

    def proxy(self) -> AbstractContextManager[StoreProxy]:
        return s3_proxy(self._server)

    def use(self, proxy: StoreProxy, *, attempts: int) -> None:
        use_proxy(self._monkeypatch, self._server, proxy, attempts=attempts)


class AzureLake:
    """A container of Azurite."""

    argument = "blob_name"
    visible_by = ("PutBlockList",)
    part = "PutBlock"
    calls: ClassVar = ("HEAD", "PutBlock", "PutBlockList")
    not_allowed = (403, "AuthorizationPermissionMismatch")

    def __init__(self, azure: AzureAccount, monkeypatch: pytest.MonkeyPatch) -> None:
        self._server = azure.server
        self._monkeypatch = monkeypatch
        self._container = azure.create_container()
        self.put, self.keys = self._container.write, self._container.names
        self.place = {"container_name": self._container.name}

    def operator(self, **changes: Any) -> Any:
        arguments = {"task_id": "export", "participant": MAIN, "blob_name": "out.jsonl", **self.place}
        return ConversationToWasbOperator(**(arguments | changes))

    def store(self, name: str) -> Store:
        return WasbOptions(blob_name=name, container_name=self._container.name).store()

    def get(self, name: str) -> bytes | None:
        return self._container.read(name) if name in self.keys() else None

    def delete(self, name: str = "out.jsonl") -> None:
        self._container.client.delete_blob(name)

    def metadata(self, name: str = "out.jsonl") -> dict[str, str]:
        found = self._container.client.get_blob_client(name).get_blob_properties().metadata
        return {key.replace("_", "-"): value for key, value in found.items()}

    def has_parts(self) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return bool(self._container.client.get_blob_client("out.jsonl").get_block_list("uncommitted")[1])
        except ResourceNotFoundError:
            return False

    def check_clean(self) -> None:
        """Nobody sees blocks that were not committed, and Azure deletes them."""

    def proxy(self) -> AbstractContextManager[StoreProxy]:
        def name_call(method: str, path: str) -> str:
            what = parse_qs(urlsplit(path).query).get("comp", [""])[0]
            return {"block": "PutBlock", "blocklist": "PutBlockList"}.get(what, method)

        def keep(proxy: StoreProxy, method: str, path: str, headers: dict[str, str], body: bytes) -> Mapping[str, str]:
            return headers

        # Azure's signatures do not contain the host.
        return store_proxy(self._server.url, name_call, keep, code_header="x-ms-error-code")

    def use(self, proxy: StoreProxy, *, attempts: int) -> None:
        through_proxy = replace(self._server, url=f"{proxy.url}/{self._server.account}")
        connection = wasb_connection(through_proxy, retry_total=attempts - 1)
        self._monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", connection)


Lake = S3Lake | AzureLake

SMALL = {"participant": SEVEN}
LARGE = {"participant": MAIN, "page_size": 1000}
SIZES = pytest.mark.parametrize("export", [SMALL, LARGE], ids=["one part", "several parts"])


class FakeTaskInstance(SimpleNamespace):
    """The parts of a task instance that the operator uses."""

    def __init__(self, try_number: int) -> None:
        super().__init__(dag_id="lake", task_id="export", map_index=-1, try_number=try_number, xcoms={})

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def run_context(try_number: int = 1, run_id: str = "manual__2026-11-24T12:00:00+00:00") -> dict[str, Any]:
    return {"ti": FakeTaskInstance(try_number), "run_id": run_id}
