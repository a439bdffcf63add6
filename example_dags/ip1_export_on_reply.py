# SPDX-License-Identifier: Apache-2.0
"""
Start when an SMS arrives, and export the conversation with the new message.

The event only wakes the DAG up. The export reads the conversation, so the object contains each message exactly once,
even if one run serves several events or an event is repeated. Asset watchers need Airflow 3.
"""

from __future__ import annotations

import os
from typing import Any

import pendulum

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

PARTICIPANT = os.environ.get("IP1_PARTICIPANT", "46701740605")
schedule: Any = None
# [START howto_trigger_incoming_sms]
try:
    from airflow.sdk import Asset, AssetWatcher
except ImportError:
    pass  # Airflow 2 has no watchers: the DAG runs only when someone triggers it
else:
    trigger = IncomingSmsTrigger(participant=PARTICIPANT, poke_interval=10)
    schedule = [Asset("ip1://replies/customer-000", watchers=[AssetWatcher(name="customer-000", trigger=trigger)])]

with DAG(
    dag_id="ip1_export_on_reply",
    description="Export a conversation when an SMS arrives",
    doc_md=__doc__,
    schedule=schedule,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["ip1", "example"],
):
    ConversationToS3Operator(
        task_id="export_conversation",
        participant=PARTICIPANT,
        s3_bucket=os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
        s3_key="replies/customer-000.jsonl.gz",
    )
# [END howto_trigger_incoming_sms]
