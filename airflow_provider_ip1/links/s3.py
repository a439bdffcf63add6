# SPDX-License-Identifier: Apache-2.0
"""The link from a task to the S3 object that it wrote."""

from __future__ import annotations

from airflow_provider_ip1.links.base import BaseObjectLink


class S3ObjectLink(BaseObjectLink):
    """
    Opens the exported object in the AWS console. Objects in another S3 store have no button.

    The operator stores the URL as an XCom of the task, so the web server needs neither the connection nor S3.
    """

    name = "S3 object"
    key = "s3_object_url"
