# SPDX-License-Identifier: Apache-2.0
"""dlt: from its rest_api source to its filesystem destination on S3, as gzipped JSON Lines without nested tables."""

from __future__ import annotations

import os
import tempfile

import dlt
from dlt.destinations import filesystem
from dlt.sources.rest_api import rest_api_source

from benchmarks.contenders.common import Job, run


def export(job: Job) -> None:
    source = rest_api_source(
        {
            "client": {
                "base_url": job.ip1_url,
                "auth": {"type": "bearer", "token": job.ip1_key},
                "paginator": {"type": "header_link"},
            },
            "resources": [
                {
                    "name": "messages",
                    "endpoint": {
                        "path": job.conversation_url.removeprefix(job.ip1_url),
                        "params": {"start": 0, "limit": job.page_size, "order": "ASC"},
                    },
                }
            ],
        },
        max_table_nesting=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            pipeline_name="ip1",
            pipelines_dir=folder,
            dataset_name=job.key.replace("/", "_").replace(".", "_"),
            destination=filesystem(
                bucket_url=f"s3://{job.bucket}",
                credentials={
                    "aws_access_key_id": job.s3_access_key,
                    "aws_secret_access_key": job.s3_secret_key,
                    "endpoint_url": job.s3_url,
                    "region_name": "us-east-1",
                },
            ),
        )
        pipeline.run(source, loader_file_format="jsonl")
        counted = pipeline.last_trace.last_normalize_info.row_counts["messages"]
        assert counted == job.messages, counted


if __name__ == "__main__":
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    run(export)
