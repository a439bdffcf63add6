# SPDX-License-Identifier: Apache-2.0
"""
The ceiling: aiohttp with eight requests in flight, a hand-tuned encoder, and boto3's multipart upload.

It knows the number of messages in advance, trusts every offset, never retries and never looks at a message. It shows
what the hardware allows and is not suitable for real exports.
"""

from __future__ import annotations

import asyncio
import io
import queue
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import boto3
import msgspec
from botocore.config import Config

from benchmarks.contenders.common import Job, read_job, run
from benchmarks.contenders.tuned_encoders import encoder

IN_FLIGHT = 8
PART = 8 * 1024 * 1024
split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def s3_client(job: Job) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=job.s3_url,
        aws_access_key_id=job.s3_access_key,
        aws_secret_access_key=job.s3_secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


def upload_parts(job: Job, parts: queue.Queue[bytes | None]) -> None:
    client = s3_client(job)
    target = {"Bucket": job.bucket, "Key": job.key}
    upload = client.create_multipart_upload(**target)
    done: list[dict[str, object]] = []
    while (part := parts.get()) is not None:
        response = client.upload_part(
            **target, UploadId=upload["UploadId"], PartNumber=len(done) + 1, Body=io.BytesIO(part)
        )
        done.append({"PartNumber": len(done) + 1, "ETag": response["ETag"]})
    client.complete_multipart_upload(**target, UploadId=upload["UploadId"], MultipartUpload={"Parts": done})


def urls(job: Job) -> Iterator[str]:
    """Yield the URL of every page."""
    for participant in job.participants:
        for start in range(0, job.messages, job.page_size):
            yield f"{job.conversation_url(participant)}?start={start}&limit={job.page_size}&order=ASC"


async def read(job: Job, parts: queue.Queue[bytes | None]) -> int:
    count = 0
    buffer = io.BytesIO()
    file = encoder(job.file_format, buffer)
    async with aiohttp.ClientSession(headers=job.headers) as session:

        async def fetch(url: str) -> bytes:
            async with session.get(url) as response:
                response.raise_for_status()
                return await response.read()

        left = urls(job)
        pending = [asyncio.ensure_future(fetch(url)) for _, url in zip(range(IN_FLIGHT), left, strict=False)]
        while pending:
            body = await pending.pop(0)
            if (url := next(left, None)) is not None:
                pending.append(asyncio.ensure_future(fetch(url)))
            rows = split(body)
            count += len(rows)
            file.write(rows)
            if buffer.tell() >= PART:
                await asyncio.to_thread(parts.put, buffer.getvalue())
                buffer.seek(0)
                buffer.truncate()
    file.close()
    parts.put(buffer.getvalue())
    parts.put(None)
    return count


def export(job: Job) -> None:
    parts: queue.Queue[bytes | None] = queue.Queue(3)
    uploader = threading.Thread(target=upload_parts, args=(job, parts), daemon=True)
    uploader.start()
    count = asyncio.run(read(job, parts))
    uploader.join()
    assert count == job.total


if __name__ == "__main__":
    if read_job().file_format == "parquet":
        import pyarrow.json
        import pyarrow.parquet  # noqa: F401 - imports are not measured
    run(export)
