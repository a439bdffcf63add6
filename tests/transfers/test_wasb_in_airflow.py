# SPDX-License-Identifier: Apache-2.0
"""An export to Azure in Airflow. Skipped where Azurite is not installed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.testing.azure_account import AzureAccount
from dev import stack
from tests.airflow_runs import dags_test


@pytest.mark.slow
def test_the_example_dag_exports_to_azure(airflow_db: Path, ip1_azure: AzureAccount) -> None:
    container = ip1_azure.create_container()
    with SandboxServer(messages=300) as sandbox:
        log = dags_test(
            "ip1_conversation_to_wasb",
            AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
            IP1_AZURE_CONTAINER=container.name,
        )
        exported = gzip.decompress(container.read("conversations/customer-000.jsonl.gz"))
        assert exported.splitlines() == sandbox.conversation_bytes(MAIN)
    assert f"to wasbs://{container.name}@" in log
    assert MAIN not in log
    assert ip1_azure.server.key not in log
