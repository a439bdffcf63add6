# SPDX-License-Identifier: Apache-2.0
"""
Every night, write many SMS conversations to S3, with one task and one object per conversation.

Airflow distributes the mapped tasks over its workers. To keep all of them together below iP.1's rate limit, run them in
a pool: together they send at most the pool's slots times the connection's ``requests_per_second``. Create the pool with
``airflow pools set ip1 4 "iP.1"`` and set ``IP1_POOL=ip1``.
"""

from __future__ import annotations

import os

import pendulum

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

# Replace this with your list of customers. These are numbers of the sandbox, all from ranges reserved for fiction.
NUMBERS = [*range(46701740610, 46701740700), *range(46313900600, 46313900700), *range(46406280400, 46406280500)]
CUSTOMERS = {
    f"customer-{index:03}": str(number)
    for index, number in enumerate(NUMBERS[: int(os.environ.get("IP1_CONVERSATIONS", "20"))], start=1)
}

with DAG(
    dag_id="ip1_many_conversations",
    description="Many SMS conversations to S3, every night",
    doc_md=__doc__,
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["ip1", "example"],
):
    # [START howto_operator_conversation_to_s3_mapped]
    ConversationToS3Operator.partial(
        task_id="export_conversation",
        s3_bucket=os.environ.get("IP1_S3_BUCKET", "ip1-demo"),
        pool=os.environ.get("IP1_POOL", "default_pool"),
        # The web interface shows customer-001 instead of a number.
        map_index_template="{{ task.s3_key.split('/')[-1].split('.')[0] }}",
    ).expand_kwargs(
        [
            # The key contains a customer id, not the phone number, because keys appear in logs and listings.
            {"participant": number, "s3_key": f"conversations/{customer}.jsonl.gz"}
            for customer, number in CUSTOMERS.items()
        ]
    )
    # [END howto_operator_conversation_to_s3_mapped]
