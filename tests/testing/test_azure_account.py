# SPDX-License-Identifier: Apache-2.0
"""The emulator behaves like Azure where the other tests depend on it. Skipped where it is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_ip1.testing.azure_account import AzureAccount
from airflow_provider_ip1.testing.azurite import AzureServer, azure_server
from airflow_provider_ip1.testing.processes import ProgramError


def test_a_container_shows_its_blobs(ip1_azure: AzureAccount) -> None:
    container = ip1_azure.create_container()
    assert container.names() == []
    container.write("b", b"2")
    container.write("a", b"1")
    assert container.names() == ["a", "b"]
    assert container.read("b") == b"2"
    with pytest.raises(KeyError, match=f"c does not exist. The container {container.name} contains: .*'a', 'b'"):
        container.read("c")


def test_the_containers_of_a_test_end_with_it(ip1_azure_server: AzureServer) -> None:
    account = AzureAccount(ip1_azure_server)
    account.create_container("my-lake").write("a/b", b"1")
    account.delete_containers()
    assert "my-lake" not in [found.name for found in ip1_azure_server.client().list_containers()]


def test_a_commit_discards_the_blocks_of_other_writers(ip1_azure: AzureAccount) -> None:
    from azure.core import MatchConditions
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobBlock

    blob = ip1_azure.create_container().client.get_blob_client("out")
    blob.stage_block("ours", b"1")
    blob.stage_block("them", b"2")
    blob.commit_block_list([BlobBlock("them")], match_condition=MatchConditions.IfMissing)
    assert blob.get_block_list("uncommitted")[1] == []
    with pytest.raises(HttpResponseError, match="InvalidBlockList"):
        blob.commit_block_list([BlobBlock("ours")])
    with pytest.raises(HttpResponseError, match="BlobAlreadyExists"):
        blob.commit_block_list([BlobBlock("ours")], match_condition=MatchConditions.IfMissing)
    assert blob.download_blob().readall() == b"2"


def test_without_azurite_the_server_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("IP1_AZURITE", raising=False)
    with pytest.raises(ProgramError, match="npm install azurite"), azure_server(tmp_path):
        pass
