# SPDX-License-Identifier: Apache-2.0
"""
Ask for approval with an SMS that links to Airflow's form. Needs Airflow 3.1 or later.

The link leads to the login page, so approving takes an Airflow account and not just the phone.
"""

from __future__ import annotations

import pendulum
from airflow.exceptions import AirflowOptionalProviderFeatureException

from airflow_provider_ip1.notifications.ip1 import IP1Notifier

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except (ImportError, AirflowOptionalProviderFeatureException):
    ApprovalOperator = None  # before Airflow 3.1

if ApprovalOperator is not None:
    with DAG(
        dag_id="ip1_approval",
        description="Ask for approval by SMS",
        doc_md=__doc__,
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        tags=["ip1", "example"],
    ):
        # [START howto_notifier_approval]
        approve = ApprovalOperator(
            task_id="approve",
            subject="Send the reminders?",
            notifiers=IP1Notifier(
                body="Send the reminders? {{ task.generate_link_to_ui(task_instance=ti) }}",
                # A failed SMS must not fail the task: its next try would send another one.
                on_error="log",
            ),
        )
        # [END howto_notifier_approval]

        @task
        def send_reminders() -> None:
            """Do what needs approval."""

        approve >> send_reminders()
