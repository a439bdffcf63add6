# SPDX-License-Identifier: Apache-2.0
"""The name of an Azure blob, which is checked without loading what only a running task needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from airflow_provider_ip1.template_values import required_text, text_or_none
from airflow_provider_ip1.transfers.stores import check_name

#: ``wasb://container/blob``, or as Spark and Hadoop write it: ``abfss://container@account.dfs.core.windows.net/blob``.
AZURE_URL: Final = re.compile(
    r"(?P<scheme>wasb|abfs)s?://((?P<container>[^/@]+)@)?(?P<place>[^/@]+)/(?P<name>.*)", re.IGNORECASE | re.DOTALL
)
_LIKE_A_URL: Final = re.compile(r"\s*([a-z][a-z0-9+.-]*:/|(wasb|abfs)s?:)", re.IGNORECASE)
# https://learn.microsoft.com/en-us/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
_CONTAINER: Final = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class AzureBlob:
    """
    The name of a blob.

    :param container: name of the container.
    :param name: name of the blob.
    :param scheme: the scheme of its URI, ``wasbs`` or ``abfss``.
    :param host: the host of the storage account; ``None`` for the connection's.
    """

    container: str
    name: str
    scheme: str = "wasbs"
    host: str | None = None

    @classmethod
    def from_arguments(cls, container_name: Any, blob_name: Any, argument: str = "blob_name") -> AzureBlob:
        """
        Read the operator's arguments.

        :param container_name: name of the container; not set if ``blob_name`` is a URL.
        :param blob_name: name of the blob, used exactly as it is written, or its ``wasb://``, ``wasbs://``, ``abfs://``
            or ``abfss://`` URL.
        :param argument: name of the argument that gives the name, for errors.
        :raises ValueError: the arguments do not name a blob. The message names the argument.
        """
        name, scheme, host = required_text(blob_name, argument), "wasbs", None
        container = text_or_none(container_name, "container_name")
        if url := AZURE_URL.fullmatch(name):
            if container is not None:
                raise ValueError(
                    f"container_name, {argument}: set container_name, or make {argument} a URL, but not both."
                )
            container, host = (url["container"], url["place"].lower()) if url["container"] else (url["place"], None)
            name, scheme = required_text(url["name"], argument), f"{url['scheme'].lower()}s"
        elif _LIKE_A_URL.match(name):
            raise ValueError(
                f"{argument}: is a URL, but not of the form wasb://container/blob or "
                "abfss://container@account.dfs.core.windows.net/blob."
            )
        elif container is None:
            raise ValueError(
                f"container_name: is not set, and {argument} is not a wasb:// or abfss:// URL that includes it."
            )
        if not _CONTAINER.fullmatch(container):
            raise ValueError(
                "container_name: is not the name of a container, which has 3 to 63 lowercase letters, digits and "
                "single hyphens. Give the name alone, without wasb:// and without slashes."
            )
        check_name(name, argument)
        if re.search(r"\.(/|$)", name):
            raise ValueError(f"{argument}: a part between slashes ends with a dot, which Azure may remove.")
        return cls(container, name, scheme, host)

    def beside(self, address: str, argument: str) -> AzureBlob:
        """
        Return another blob.

        :param address: its name in the same container, or its URL.
        :param argument: name of the argument that gives the address, for errors.
        :raises ValueError: the address does not name a blob.
        """
        if AZURE_URL.fullmatch(address):
            return AzureBlob.from_arguments(None, address, argument)
        return replace(self, name=AzureBlob.from_arguments(self.container, address, argument).name)
