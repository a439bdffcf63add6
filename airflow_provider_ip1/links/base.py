# SPDX-License-Identifier: Apache-2.0
"""The link from a task to the object that it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow_provider_ip1.compat import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import BaseOperator, TaskInstanceKey


class BaseObjectLink(BaseOperatorLink):
    """
    Opens the exported object.

    The operator stores the URL as an XCom of the task, so the web server needs neither the connection nor the store.
    """

    key: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the URL, or ``""`` if the task has not written the object, or nothing can show it to people.

        :param operator: the task's operator.
        :param ti_key: key of the task instance.
        """
        # On Airflow 3 the task itself stores the link when it ends, and looking for a missing XCom logs an error.
        if hasattr(operator, "object_url"):
            return operator.object_url or ""
        return XCom.get_value(key=self.key, ti_key=ti_key) or ""
