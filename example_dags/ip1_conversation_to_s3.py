# SPDX-License-Identifier: Apache-2.0
"""
Every hour, write one SMS conversation to S3.

Each run replaces the object with the entire conversation as it is at that time. The defaults work with the sandbox. For
your own values, set the environment variables, or fill in the form when you trigger the DAG.
"""

from __future__ import annotations

import os

import pendulum

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

try:
    from airflow.sdk import DAG, Param
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.param import Param

with DAG(
    dag_id="ip1_conversation_to_s3",
    description="One SMS conversation to S3, every hour",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["ip1", "example"],
    params={
        "participant": Param(
            os.environ.get("IP1_PARTICIPANT", "46701740605"),
            type="string",
            title="Participant",
            description="The other side of the conversation: phone number with country code, such as 46701740605, or "
            "sender name.",
        ),
        "bucket": Param(
            os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
            type="string",
            title="S3 bucket",
            description="The bucket for the conversation. It must exist.",
        ),
        "key": Param(
            "conversations/customer-000.jsonl.gz",
            type="string",
            title="S3 key",
            description="The object that each run replaces. Use a customer number instead of a phone number, because "
            "keys appear in logs and listings.",
        ),
    },
):
    # [START howto_operator_conversation_to_s3]
    ConversationToS3Operator(
        task_id="export_conversation",
        participant="{{ params.participant }}",
        s3_bucket="{{ params.bucket }}",
        s3_key="{{ params.key }}",
    )
    # [END howto_operator_conversation_to_s3]
