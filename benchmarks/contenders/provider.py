# SPDX-License-Identifier: Apache-2.0
"""This provider's operator, run as a task runs it."""

from __future__ import annotations

import logging

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from benchmarks.contenders.common import PARTICIPANT, Job, run


def export(job: Job) -> None:
    operator = ConversationToS3Operator(
        task_id="export",
        participant=PARTICIPANT,
        s3_bucket=job.bucket,
        s3_key=job.key,
        file_format=job.file_format,  # type: ignore[arg-type]  # text from the command line
        page_size=job.page_size,
        concurrency=job.concurrency,
    )
    result = operator.execute({})
    assert result["messages"] == job.messages, result


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)
    run(export)
