# SPDX-License-Identifier: Apache-2.0
"""
What people write in a PythonOperator: requests, a list, and S3Hook. It reads conversations in a pool of threads.

Parquet files are made by ``pyarrow.Table.from_pylist``, csv files by ``csv.DictWriter``.
"""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from benchmarks.contenders.common import Job, read_job, run

if read_job().file_format == "parquet":
    import pyarrow
    import pyarrow.parquet


def read(job: Job, session: requests.Session, participant: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while True:
        response = session.get(
            job.conversation_url(participant),
            params={"start": str(len(messages)), "limit": str(job.page_size), "order": "ASC"},
            timeout=60,
        )
        if response.status_code == 404:
            return messages
        response.raise_for_status()
        page = response.json()
        messages += page
        if len(page) < job.page_size:
            return messages


def to_csv(messages: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = dict.fromkeys(name for message in messages for name in message)
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for message in messages:
        writer.writerow(message | {"statuses": json.dumps(message["statuses"])})
    return text.getvalue()


def to_parquet(messages: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(messages), file, compression="zstd")
    return file.getvalue()


def export(job: Job) -> None:
    messages: list[dict[str, Any]] = []
    with requests.Session() as session, ThreadPoolExecutor(job.concurrency) as pool:
        session.headers.update(job.headers)
        for conversation in pool.map(lambda participant: read(job, session, participant), job.participants):
            messages += conversation
    assert len(messages) == job.total
    s3 = S3Hook("aws_default")
    if job.file_format == "parquet":
        s3.load_bytes(to_parquet(messages), job.key, job.bucket, replace=True)
        return
    text = (
        to_csv(messages)
        if job.file_format == "csv"
        else "".join(json.dumps(message, ensure_ascii=False) + "\n" for message in messages)
    )
    s3.load_string(text, job.key, job.bucket, replace=True, compression="gzip")


if __name__ == "__main__":
    run(export)
