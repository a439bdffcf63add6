# SPDX-License-Identifier: Apache-2.0
"""
Every hour, write one SMS conversation to Azure Blob Storage.

Each run replaces the blob with the entire conversation as it is at that time. Needs the extra azure and the connection
wasb_default. For your own values, set the environment variables, or fill in the form when you trigger the DAG.
"""

from __future__ import annotations

import os

import pendulum

from airflow_provider_ip1.transfers.conversation_to_wasb import ConversationToWasbOperator

try:
    from airflow.sdk import DAG, Param
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.param import Param

with DAG(
    dag_id="ip1_conversation_to_wasb",
    description="One SMS conversation to Azure, every hour",
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
        "container": Param(
            os.environ.get("IP1_AZURE_CONTAINER", "ip1-demo"),
            type="string",
            title="Container",
            description="The container for the conversation. It must exist.",
        ),
        "blob": Param(
            "conversations/customer-000.jsonl.gz",
            type="string",
            title="Blob",
            description="The blob that each run replaces. Use a customer number instead of a phone number, because "
            "names appear in logs and listings.",
        ),
    },
):
    # [START howto_operator_conversation_to_wasb]
    ConversationToWasbOperator(
        task_id="export_conversation",
        participant="{{ params.participant }}",
        container_name="{{ params.container }}",
        blob_name="{{ params.blob }}",
    )
    # [END howto_operator_conversation_to_wasb]
