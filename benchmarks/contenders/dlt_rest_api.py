# SPDX-License-Identifier: Apache-2.0
"""dlt: from its rest_api source to its filesystem destination on S3, gzipped and without nested tables."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.destinations import filesystem
from dlt.sources.rest_api import rest_api_source

from benchmarks.contenders.common import Job, read_job, run


def resources(job: Job) -> list[Any]:
    """One endpoint, or one per participant, several of which dlt reads at once."""
    params = {"start": 0, "limit": job.page_size, "order": "ASC"}
    if len(job.participants) == 1:
        path = f"/v2/conversations/{job.participants[0]}"
        return [{"name": "messages", "endpoint": {"path": path, "params": params}}]

    @dlt.resource(name="participants", selected=False)  # type: ignore[untyped-decorator]
    def participants() -> Iterator[list[dict[str, str]]]:
        # One item each, because dlt reads the conversations of an item one after the other.
        for participant in job.participants:
            yield [{"participant": participant}]

    path = "/v2/conversations/{resources.participants.participant}"
    return [
        participants(),
        {"name": "messages", "parallelized": True, "endpoint": {"path": path, "params": params}},
    ]


def export(job: Job) -> None:
    source = rest_api_source(
        {
            "client": {
                "base_url": job.ip1_url,
                "auth": {"type": "bearer", "token": job.ip1_key},
                "paginator": {"type": "header_link"},
            },
            "resources": resources(job),
        },
        max_table_nesting=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            pipeline_name="ip1",
            pipelines_dir=folder,
            dataset_name=job.key.replace("/", "_").replace(".", "_").replace("-", "_"),
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
        pipeline.run(source, loader_file_format=job.file_format, write_disposition="replace")
        # The counts of the normalize step are wrong for csv.
        steps = pipeline.last_trace.last_extract_info.metrics.values()
        tables = [metrics["table_metrics"].get("messages") for step in steps for metrics in step]
        counted = sum(table.items_count for table in tables if table)
        assert counted == job.total, counted


if __name__ == "__main__":
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["EXTRACT__WORKERS"] = str(read_job().concurrency)
    run(export)
