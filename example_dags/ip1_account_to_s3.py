# SPDX-License-Identifier: Apache-2.0
"""
Every night, write to S3 the SMS of the whole account that are new or have a new status.

No list of participants is needed, and no phone number reaches Airflow's database. Each run writes one object. A message
that changes again appears again in a later object. See docs/incremental.md.
"""

from __future__ import annotations

import os

import pendulum

from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator

try:
    from airflow.sdk import DAG, Param
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.param import Param

with DAG(
    dag_id="ip1_account_to_s3",
    description="New SMS of the whole account to S3, every night",
    doc_md=__doc__,
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["ip1", "example"],
    params={
        "since": Param(
            os.environ.get("IP1_SINCE"),
            type=["null", "string"],
            format="date-time",
            title="First export from",
            description="The first run exports what was created or changed from this time on; if empty, the whole "
            "account. Later runs continue where the last one ended and ignore this time.",
        )
    },
):
    # [START howto_operator_messages_to_s3]
    MessagesToS3Operator(
        task_id="export_account",
        s3_bucket=os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
        s3_key="account/{{ run_id | replace(':', '') | replace('+', '') }}.jsonl.gz",
        # Remembers how far the runs got, under every schedule.
        checkpoint="checkpoints/account.json",
        # Where the first run starts.
        since="{{ params.since or '' }}",
        on_empty="skip",
    )
    # [END howto_operator_messages_to_s3]
