# SPDX-License-Identifier: Apache-2.0
"""
Send an SMS, wait for its delivery, and branch on the outcome: write the conversation to S3, or log the failure.

The wait is deferred, so it does not occupy a worker.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.models.param import Param

with DAG(
    dag_id="ip1_send_and_wait",
    description="Send an SMS, wait for its delivery, then export its conversation to S3",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["ip1", "example"],
    params={
        "recipient": Param(
            os.environ.get("IP1_RECIPIENT", "46701740606"),
            type="string",
            title="Recipient",
            description="Who gets the SMS: phone number with country code, such as 46701740606.",
        ),
        "sender": Param(
            os.environ.get("IP1_SENDER", "Airflow"),
            type="string",
            title="Sender",
            description="What the recipient sees as the sender: a name of 3 to 11 letters (A-Z, a-z) and digits, or a "
            "phone number with country code.",
        ),
        "text": Param(
            "Your order has been shipped.",
            type="string",
            format="multiline",
            title="Text",
            minLength=1,
            maxLength=459,
            description="The text of the SMS. One SMS has room for 160 characters, or 70 if it has any outside the GSM "
            "alphabet; up to three are sent as one.",
        ),
        "bucket": Param(
            os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
            type="string",
            title="S3 bucket",
            description="The bucket for the conversation. It must exist.",
        ),
    },
):
    # [START howto_operator_send_sms]
    send = SendSmsOperator(
        task_id="send",
        recipients="{{ params.recipient }}",
        sender="{{ params.sender }}",
        body="{{ params.text }}",
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
    wait = MessageStatusSensor(
        task_id="wait_for_delivery",
        batch_id="{{ ti.xcom_pull(task_ids='send')['batch_id'] }}",
        expected_count="{{ ti.xcom_pull(task_ids='send')['recipients'] }}",
        on_failure="return",
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(hours=6),
    )
    # [END howto_operator_send_sms]

    # [START howto_operator_send_sms_branch]
    @task.branch
    def choose(statuses: list[dict[str, Any]]) -> str:
        """Return the id of the task to run next."""
        is_delivered = all(status["category"] == "delivered" for status in statuses)
        return "export_conversation" if is_delivered else "report_failure"

    # [END howto_operator_send_sms_branch]

    @task
    def report_failure(statuses: list[dict[str, Any]]) -> None:
        """Log which messages were not delivered. Open a ticket here instead."""
        for status in statuses:
            logging.getLogger(__name__).error("Message %s: %s", status["message_id"], status["category"])

    export = ConversationToS3Operator(
        task_id="export_conversation",
        participant="{{ params.recipient }}",
        s3_bucket="{{ params.bucket }}",
        s3_key="sent/{{ ti.xcom_pull(task_ids='send')['batch_id'] }}.jsonl.gz",
    )
    send >> wait
    choose(wait.output) >> [export, report_failure(wait.output)]
