# SPDX-License-Identifier: Apache-2.0
"""Azurite, Microsoft's emulator of Azure Blob Storage, in its own process, and the Airflow connection to it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_ip1.testing.loopback import free_ports, no_proxy
from airflow_provider_ip1.testing.processes import ProgramError, running

_INSTALL = "Install it: npm install azurite, and put node_modules/.bin into PATH, or its azurite-blob into IP1_AZURITE"


def azurite() -> Path | None:
    """Return Azurite's program: what the variable ``IP1_AZURITE`` names, or ``azurite-blob`` from the PATH."""
    found = os.environ.get("IP1_AZURITE") or shutil.which("azurite-blob")
    return Path(found) if found and shutil.which("node") else None


def missing() -> str | None:
    """Return what an emulated Azure needs and is not installed; ``None`` if nothing is missing."""
    if azurite() is None:
        return f"Azurite, an emulator of Azure Blob Storage, and Node.js. {_INSTALL}"
    try:
        import azure.storage.blob  # noqa: F401
    except ImportError:
        return "the SDK of Azure. Install it: pip install airflow-provider-ip1[azure]"
    return None


@dataclass(frozen=True)
class AzureServer:
    """
    A running emulator and the key of its account.

    :param url: the address of the account, ``http://127.0.0.1:<port>/<account>``.
    :param account: the account's name.
    :param key: the account's key, created for this run.
    """

    url: str
    account: str
    key: str

    def client(self) -> Any:
        """Return a ``BlobServiceClient`` that does not repeat requests."""
        from azure.storage.blob import BlobServiceClient

        credential = {"account_name": self.account, "account_key": self.key}
        return BlobServiceClient(self.url, credential=credential, retry_total=0)

    def serves(self) -> bool:
        """Return whether the server accepts the key."""
        from azure.core.exceptions import AzureError

        try:
            next(iter(self.client().list_containers()), None)
        except AzureError:
            return False
        return True


@contextmanager
def azure_server(directory: Path) -> Iterator[AzureServer]:
    """
    Run Azurite in its own process.

    :param directory: the folder for its data and its log, ``azure.log``.
    :return: the server, once it accepts requests.
    :raises ProgramError: Azurite is not installed, or does not start.
    """
    program = azurite()
    if program is None:
        raise ProgramError(f"Azurite is not installed. {_INSTALL}")
    data = directory / "azure"
    data.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    account, key = "ip1test", base64.b64encode(secrets.token_bytes(32)).decode()
    server = AzureServer(f"http://127.0.0.1:{port}/{account}", account, key)
    # The client may be newer than the emulator. An idle connection must not be closed between two requests of a test.
    options = ["--skipApiVersionCheck", "--disableTelemetry", "--silent", "--blobKeepAliveTimeout", "3600"]
    with running(
        "The emulator of Azure (Azurite)",
        [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", data, *options],
        log_path=directory / "azure.log",
        env={**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}", "NO_PROXY": no_proxy()},
    ) as process:
        process.wait_until(server.serves, seconds=120)
        yield server


def wasb_connection(server: AzureServer, **extra: Any) -> str:
    """
    Return an Airflow connection to an emulated Azure.

    :param server: the server.
    :param extra: extra fields of the connection.
    :return: the value for an environment variable ``AIRFLOW_CONN_<ID>``.
    """
    return json.dumps(
        {"conn_type": "wasb", "login": server.account, "password": server.key, "host": server.url, "extra": extra}
    )
