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
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
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


async def bodies(session: aiohttp.ClientSession, urls: Iterator[str], in_flight: int) -> AsyncIterator[bytes]:
    """Request the URLs, so many at a time, and return the responses in order."""

    async def fetch(url: str) -> bytes:
        async with session.get(url) as response:
            response.raise_for_status()
            return await response.read()

    async def work(jobs: Iterator[tuple[str, asyncio.Future[bytes]]]) -> None:
        for url, future in jobs:
            try:
                future.set_result(await fetch(url))
            except aiohttp.ClientError as error:
                future.set_exception(error)

    pending: deque[asyncio.Future[bytes]] = deque()

    def jobs() -> Iterator[tuple[str, asyncio.Future[bytes]]]:
        for url in urls:
            pending.append(asyncio.get_running_loop().create_future())
            yield url, pending[-1]

    shared = jobs()
    workers = [asyncio.ensure_future(work(shared)) for _ in range(in_flight)]
    await asyncio.sleep(0)
    while pending:
        yield await pending.popleft()
    await asyncio.gather(*workers)


async def write(job: Job, pages: AsyncIterator[bytes], parts: queue.Queue[bytes | None]) -> int:
    """Encode the messages of the pages, hand the object out in parts, and return the number of messages."""
    count = 0
    buffer = io.BytesIO()
    file = encoder(job.file_format, buffer)
    async for body in pages:
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


async def read(job: Job, parts: queue.Queue[bytes | None]) -> int:
    async with aiohttp.ClientSession(headers=job.headers) as session:
        return await write(job, bodies(session, urls(job), IN_FLIGHT), parts)


def export_with(job: Job, read: Callable[[Job, queue.Queue[bytes | None]], Coroutine[Any, Any, int]]) -> None:
    """Upload in one thread what a coroutine reads in another."""
    parts: queue.Queue[bytes | None] = queue.Queue(3)
    uploader = threading.Thread(target=upload_parts, args=(job, parts), daemon=True)
    uploader.start()
    count = asyncio.run(read(job, parts))
    uploader.join()
    assert count == job.total


def export(job: Job) -> None:
    export_with(job, read)


if __name__ == "__main__":
    if read_job().file_format == "parquet":
        import pyarrow.json
        import pyarrow.parquet  # noqa: F401 - imports are not measured
    run(export)
