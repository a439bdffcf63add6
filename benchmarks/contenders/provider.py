# SPDX-License-Identifier: Apache-2.0
"""This provider's operator, run as a task runs it."""

from __future__ import annotations

import logging
from importlib import import_module

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from benchmarks.contenders.common import Job, read_job, run

#: The operator imports these when it runs. Like the imports of the other contenders, they are not measured.
IMPORTED_LATER = (
    "airflow.providers.amazon.aws.hooks.s3",
    "boto3.s3.transfer",
    "airflow_provider_ip1.client.sync_client",
    "airflow_provider_ip1.hooks.ip1",
)


def export(job: Job) -> None:
    operator = ConversationToS3Operator(
        task_id="export",
        participant=job.participants,
        s3_bucket=job.bucket,
        s3_key=job.key,
        file_format=job.file_format,  # type: ignore[arg-type]  # text from the command line
        page_size=None if job.has_defaults else job.page_size,
        concurrency=job.concurrency,
    )
    result = operator.execute({})
    assert result["messages"] == job.total, result


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)
    for module in IMPORTED_LATER:
        import_module(module)
    if read_job().file_format == "parquet":
        import_module("pyarrow.parquet")
    run(export)
