# SPDX-License-Identifier: Apache-2.0
"""What people write in a PythonOperator: requests, a list, and S3Hook.load_string. It gzips keys with .gz."""

from __future__ import annotations

import json

import requests
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from benchmarks.contenders.common import Job, run


def export(job: Job) -> None:
    messages: list[object] = []
    with requests.Session() as session:
        session.headers.update(job.headers)
        while True:
            response = session.get(
                job.conversation_url,
                params={"start": str(len(messages)), "limit": str(job.page_size), "order": "ASC"},
                timeout=60,
            )
            if response.status_code == 404:
                break
            response.raise_for_status()
            page = response.json()
            messages += page
            if len(page) < job.page_size:
                break
    assert len(messages) == job.messages
    lines = "".join(json.dumps(message, ensure_ascii=False) + "\n" for message in messages)
    compression = "gzip" if job.key.endswith(".gz") else None
    S3Hook("aws_default").load_string(lines, job.key, job.bucket, replace=True, compression=compression)


if __name__ == "__main__":
    run(export)
