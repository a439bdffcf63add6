# SPDX-License-Identifier: Apache-2.0
"""
Start when iP.1 pushes an incoming SMS, and export the account's incoming messages that are new.

The push only wakes the DAG up, so a forged or repeated one costs a run and nothing else. See docs/push.md for the
receiver and the gateway that it needs, with Airflow 3.1.1 or later.
"""

from __future__ import annotations

import os
from typing import Any

import pendulum

from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator

try:
    from airflow.sdk import DAG, Asset
except ImportError:  # Airflow 2 only loads the DAG: nothing starts it, and runs have no run_after
    from airflow import DAG

    schedule: Any = None
else:
    # [START howto_asset_push]
    # The name of the webhook and the event that the gateway sends.
    schedule = [Asset("ip1/sms")]
    # [END howto_asset_push]

# [START howto_dag_push]
with DAG(
    dag_id="ip1_export_on_push",
    description="Export the new incoming messages when iP.1 pushes one",
    doc_md=__doc__,
    schedule=schedule,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["ip1", "example"],
):
    MessagesToS3Operator(
        task_id="export_incoming",
        direction="mo",
        checkpoint="checkpoints/pushed.json",
        # Where the first run starts.
        since="{{ dag_run.run_after - macros.timedelta(hours=1) }}",
        s3_bucket=os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
        s3_key="pushed/{{ dag_run.run_after.strftime('%Y-%m-%dT%H%M%S.%f') }}.jsonl.gz",
        on_empty="skip",
    )
# [END howto_dag_push]
