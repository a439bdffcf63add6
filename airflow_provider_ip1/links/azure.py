# SPDX-License-Identifier: Apache-2.0
"""The link from a task to the Azure blob that it wrote."""

from __future__ import annotations

from airflow_provider_ip1.links.base import BaseObjectLink


class AzureBlobLink(BaseObjectLink):
    """
    Opens the exported blob in the Azure portal.

    The operator stores the URL as an XCom of the task, so the web server needs neither the connection nor Azure.
    """

    name = "Azure blob"
    key = "azure_blob_url"
