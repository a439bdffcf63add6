# SPDX-License-Identifier: Apache-2.0
"""
Report a failed task by SMS and, on Airflow 3.1 and later, a run that takes too long.

The numbers are in the connection, in its extras ``sender`` and ``recipients``. Trigger the DAG with ``fail`` to receive
an SMS.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_ip1.notifications.ip1 import IP1Notifier

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.models.param import Param

# [START howto_notifier_failure]
tell_who_is_on_call = IP1Notifier(
    body="{{ dag.dag_id }}: {{ ti.task_id }} has failed on try {{ ti.try_number }}.",
    limit="run",  # one SMS, however many tasks fail
)
# [END howto_notifier_failure]

deadline: dict[str, Any] = {}
# [START howto_notifier_deadline]
try:
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
except ImportError:
    pass  # before Airflow 3.1
else:
    deadline["deadline"] = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        callback=AsyncCallback(IP1Notifier, kwargs={"body": "{{ dag_run.dag_id }} has not finished within an hour."}),
    )
# [END howto_notifier_deadline]

with DAG(
    dag_id="ip1_notify_failure",
    description="An SMS when a task fails or a run takes too long",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["ip1", "example"],
    default_args={"on_failure_callback": tell_who_is_on_call},
    params={
        "fail": Param(
            False,
            type="boolean",
            title="Let the task fail",
            description="Switch it on to get the SMS: it goes to the recipients of the connection.",
        )
    },
    **deadline,
):

    @task
    def load(params: dict[str, Any]) -> None:
        """Do the work that may fail."""
        if params["fail"]:
            raise RuntimeError("The source cannot be reached.")

    load()
