# SPDX-License-Identifier: Apache-2.0
"""The link from a task to the object that it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow_provider_ip1.compat import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_ip1.compat import BaseOperator, TaskInstanceKey

_CONSOLES = {
    "aws": "https://console.aws.amazon.com",
    "aws-cn": "https://console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}


class S3ObjectLink(BaseOperatorLink):
    """
    Opens the exported object: in the AWS console, or at the endpoint of another S3 store.

    The operator stores the URL as an XCom of the task, so the web server needs neither the connection nor S3.
    """

    name = "S3 object"
    key = "s3_object_url"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the URL, or ``""`` if the task has not written the object.

        :param operator: the task's operator.
        :param ti_key: key of the task instance.
        """
        # On Airflow 3 the task itself stores the link when it ends, and looking for a missing XCom logs an error.
        if hasattr(operator, "object_url"):
            return operator.object_url or ""
        return XCom.get_value(key=self.key, ti_key=ti_key) or ""


def s3_object_url(s3: S3Hook, bucket: str, key: str) -> str:
    """
    Return the URL at which a person can look at an object.

    :param s3: the hook that wrote the object.
    :param bucket: name of the bucket.
    :param key: key of the object.
    :return: the object's page in the AWS console, or its URL at the connection's endpoint if that is not AWS's.
    """
    endpoint = s3.conn_config.get_service_endpoint_url(service_name="s3")
    if endpoint:
        return f"{endpoint.rstrip('/')}/{quote(bucket)}/{quote(key)}"
    meta = s3.get_conn().meta
    console = _CONSOLES.get(meta.partition, _CONSOLES["aws"])
    return f"{console}/s3/object/{quote(bucket)}?{urlencode({'region': meta.region_name, 'prefix': key})}"
