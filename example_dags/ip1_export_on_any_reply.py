# SPDX-License-Identifier: Apache-2.0
"""
Start when anyone sends an SMS to the account, and export the incoming messages that are new.

The event only wakes the DAG up. The checkpoint remembers how far the exports got, so that no message is left out even
if one run serves several events, and an event that is repeated costs a run. Asset watchers need Airflow 3.
"""

from __future__ import annotations

import os
from typing import Any

import pendulum

from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

schedule: Any = None
# [START howto_trigger_any_incoming_sms]
try:
    from airflow.sdk import Asset, AssetWatcher
except ImportError:
    pass  # Airflow 2 has no watchers: the DAG runs only when someone triggers it
else:
    trigger = IncomingSmsTrigger(participant=None)
    schedule = [Asset("ip1://replies/all", watchers=[AssetWatcher(name="anyone", trigger=trigger)])]

with DAG(
    dag_id="ip1_export_on_any_reply",
    description="Export the account's new incoming messages when anyone sends an SMS",
    doc_md=__doc__,
    schedule=schedule,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["ip1", "example"],
):
    MessagesToS3Operator(
        task_id="export_new_replies",
        direction="mo",
        s3_bucket=os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
        s3_key="any-reply/{{ run_id | replace(':', '') | replace('+', '') }}.jsonl.gz",
        checkpoint="checkpoints/any-reply.json",
        on_empty="skip",
    )
# [END howto_trigger_any_incoming_sms]
