# SPDX-License-Identifier: Apache-2.0
"""
Every hour, write to S3 the messages of one SMS conversation that are new or have a new status.

Each run writes one object. A message that changes again appears again in a later object. See docs/incremental.md.
"""

from __future__ import annotations

import os

import pendulum

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

with DAG(
    dag_id="ip1_new_messages_to_s3",
    description="New messages of one SMS conversation to S3, every hour",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["ip1", "example"],
):
    # [START howto_operator_conversation_to_s3_new]
    ConversationToS3Operator(
        task_id="export_new_messages",
        participant=os.environ.get("IP1_PARTICIPANT", "46701740605"),
        s3_bucket=os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
        s3_key="new-messages/customer-000/{{ run_id | replace(':', '') | replace('+', '') }}.jsonl.gz",
        # Remembers how far the runs got, under every schedule.
        checkpoint="checkpoints/customer-000.json",
        on_empty="skip",
    )
    # [END howto_operator_conversation_to_s3_new]
