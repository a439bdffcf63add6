# SPDX-License-Identifier: Apache-2.0
"""This provider's export of the whole account, run as a task runs it. A batch has one message."""

from __future__ import annotations

import logging
from importlib import import_module

from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from benchmarks.contenders.common import Job, run
from benchmarks.contenders.provider import IMPORTED_LATER


def export(job: Job) -> None:
    operator = MessagesToS3Operator(
        task_id="export", s3_bucket=job.bucket, s3_key=job.key, page_size=job.page_size, concurrency=job.concurrency
    )
    result = operator.execute({})
    assert result["messages"] == result["batches"] == job.total, result


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)
    for module in IMPORTED_LATER:
        import_module(module)
    run(export)
