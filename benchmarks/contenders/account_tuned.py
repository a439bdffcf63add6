# SPDX-License-Identifier: Apache-2.0
"""
The ceiling for the whole account: aiohttp, raw bytes, fast gzip, and boto3's multipart upload.

It knows the number of batches in advance, trusts every offset, never retries, and only splits a page into messages.
"""

from __future__ import annotations

import asyncio
import io
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator

import aiohttp
import msgspec

from benchmarks.contenders.common import Job, run
from benchmarks.contenders.tuned import PART, split, upload_parts
from benchmarks.contenders.tuned_encoders import encoder


class _Batch(msgspec.Struct):
    id: str


split_batches = msgspec.json.Decoder(list[_Batch]).decode


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


async def read(job: Job, parts: queue.Queue[bytes | None]) -> int:
    count = 0
    buffer = io.BytesIO()
    file = encoder(job.file_format, buffer)
    base, size = f"{job.ip1_url}/v2/batches", job.page_size
    async with aiohttp.ClientSession(headers=job.headers) as session:
        lists = (f"{base}?start={start}&limit={size}&order=ASC" for start in range(0, job.total, size))
        batches = [batch.id async for body in bodies(session, lists, job.concurrency) for batch in split_batches(body)]
        urls = (f"{base}/{batch}/messages?start=0&limit={size}&order=ASC" for batch in batches)
        async for body in bodies(session, urls, job.concurrency):
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
    run(export)
