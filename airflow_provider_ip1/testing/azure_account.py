# SPDX-License-Identifier: Apache-2.0
"""The value of the fixture ``ip1_azure``: an emulated Azure, and containers that it deletes after the test."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from airflow_provider_ip1.testing.azurite import AzureServer


@dataclass(frozen=True)
class AzureContainer:
    """
    A container, and what the code under test wrote to it.

    :param name: the container's name.
    :param client: a ``ContainerClient`` of Azure's SDK.
    """

    name: str
    client: Any

    def names(self) -> list[str]:
        """Return the names of all blobs, sorted."""
        return sorted(self.client.list_blob_names())

    def read(self, name: str) -> bytes:
        """
        Return a blob's bytes.

        :param name: the blob's name.
        :raises KeyError: there is no such blob.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            body: bytes = self.client.download_blob(name).readall()
        except ResourceNotFoundError:
            raise KeyError(f"{name} does not exist. The container {self.name} contains: {self.names()}") from None
        return body

    def write(self, name: str, body: bytes) -> None:
        """
        Write a blob.

        :param name: the blob's name.
        :param body: its bytes.
        """
        self.client.upload_blob(name, body, overwrite=True)


class AzureAccount:
    """
    An emulated Azure, shared by all tests, and the containers of one test.

    :param server: the emulator.
    """

    def __init__(self, server: AzureServer) -> None:
        self.server = server
        self._containers: list[AzureContainer] = []

    def create_container(self, name: str | None = None) -> AzureContainer:
        """
        Create an empty container that is deleted after the test.

        :param name: the name that the DAG uses. Default: a random name.
        :return: the container.
        """
        client = self.server.client().create_container(name or f"test-{secrets.token_hex(6)}")
        container = AzureContainer(client.container_name, client)
        self._containers.append(container)
        return container

    def delete_containers(self) -> None:
        """Delete the containers of this test with all their blobs."""
        while self._containers:
            self._containers.pop().client.delete_container()
