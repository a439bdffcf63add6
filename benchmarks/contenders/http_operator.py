# SPDX-License-Identifier: Apache-2.0
"""
Airflow's HttpOperator: it follows the Link header, and its response_filter writes one object with S3Hook.

The operator reads one conversation. With many, each would be a mapped task with a start of seconds. Amazon's
HttpToS3Operator cannot read pages.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.http.operators.http import HttpOperator
from requests import Response

from benchmarks.contenders.common import Job, run


def export(job: Job) -> None:
    (participant,) = job.participants

    def next_page(response: Response) -> dict[str, Any] | None:
        url = response.links.get("next", {}).get("url")
        return {"endpoint": url.removeprefix(job.ip1_url), "data": {}} if url else None

    def write(responses: list[Response]) -> int:
        messages = [message for response in responses for message in response.json()]
        lines = "".join(json.dumps(message, ensure_ascii=False) + "\n" for message in messages)
        S3Hook("aws_default").load_string(lines, job.key, job.bucket, replace=True, compression="gzip")
        return len(messages)

    operator = HttpOperator(
        task_id="export",
        http_conn_id="http_default",
        method="GET",
        endpoint=f"v2/conversations/{participant}?start=0&limit={job.page_size}&order=ASC",
        headers=job.headers,
        pagination_function=next_page,
        response_filter=write,
    )
    written = operator.execute({})
    assert written == job.total, written


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)
    run(export)
