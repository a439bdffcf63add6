# SPDX-License-Identifier: Apache-2.0
"""
Wait until a batch of SMS is delivered, then export the conversation with its recipient to S3.

The wait is deferred, so it does not occupy a worker. Trigger the DAG with the id of a batch that you have sent. The
default is a batch of the sandbox.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_ip1.exceptions import IP1AuthError, IP1NotFoundError, IP1ParticipantError
from airflow_provider_ip1.sensors.message_status import IP1DeliveryError, MessageStatusSensor
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

try:
    from airflow.sdk import DAG, Param
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.param import Param


# [START howto_sensor_message_status_on_failure]
def tell_what_failed(context: Any) -> None:
    """Log which messages were not delivered. Send an e-mail or open a ticket here instead."""
    error = context.get("exception")
    if isinstance(error, IP1DeliveryError):
        for message in error.messages:
            logging.getLogger(__name__).error("Message %s: %s", message["message_id"], message["category"])


# [END howto_sensor_message_status_on_failure]

# Retry after an outage of more than an hour, which the sensor does not wait out. After a failed message,
# IP1DeliveryError fails the task at once, whatever "retries" is.
retrying: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(minutes=10)}
# [START howto_sensor_message_status_retry_policy]
try:
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
except ImportError:
    pass  # before Airflow 3.3
else:
    # Do not retry with a wrong key, number or id either: only a person can correct it.
    never_retried = [
        RetryRule(exception=error, action=RetryAction.FAIL, reason="needs a person")
        for error in (IP1AuthError, IP1ParticipantError, IP1NotFoundError)
    ]
    retrying["retry_policy"] = ExceptionRetryPolicy(rules=never_retried)
# [END howto_sensor_message_status_retry_policy]

with DAG(
    dag_id="ip1_wait_for_delivery",
    description="Wait for the delivery of a batch, then export its conversation to S3",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["ip1", "example"],
    params={
        "batch_id": Param(
            os.environ.get("IP1_BATCH_ID", "69000000c000000000000001"),
            type="string",
            title="Batch",
            description="The id that iP.1 returned when the batch was sent: 24 letters and digits.",
        ),
        "participant": Param(
            os.environ.get("IP1_BATCH_PARTICIPANT", "46701740609"),
            type="string",
            title="Recipient",
            description="The recipient whose conversation is exported: phone number with country code, such as "
            "46701740609.",
        ),
        "bucket": Param(
            os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
            type="string",
            title="S3 bucket",
            description="The bucket for the conversation. It must exist.",
        ),
    },
):
    # [START howto_sensor_message_status]
    wait = MessageStatusSensor(
        task_id="wait_for_delivery",
        batch_id="{{ params.batch_id }}",
        expected="delivered",
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(hours=6),
        on_failure_callback=tell_what_failed,
        **retrying,
    )
    # [END howto_sensor_message_status]
    export = ConversationToS3Operator(
        task_id="export_conversation",
        participant="{{ params.participant }}",
        s3_bucket="{{ params.bucket }}",
        s3_key="deliveries/{{ params.batch_id }}.jsonl.gz",
    )
    wait >> export
