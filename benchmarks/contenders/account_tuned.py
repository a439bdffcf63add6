# SPDX-License-Identifier: Apache-2.0
"""
The ceiling for the whole account: aiohttp, raw bytes, fast gzip, and boto3's multipart upload.

It knows the number of batches in advance, trusts every offset, never retries, and only splits a page into messages.
"""

from __future__ import annotations

import queue

import aiohttp
import msgspec

from benchmarks.contenders.common import Job, run
from benchmarks.contenders.tuned import bodies, export_with, write


class _Batch(msgspec.Struct):
    id: str


split_batches = msgspec.json.Decoder(list[_Batch]).decode


async def read(job: Job, parts: queue.Queue[bytes | None]) -> int:
    base, size = f"{job.ip1_url}/v2/batches", job.page_size
    async with aiohttp.ClientSession(headers=job.headers) as session:
        lists = (f"{base}?start={start}&limit={size}&order=ASC" for start in range(0, job.total, size))
        batches = [batch.id async for body in bodies(session, lists, job.concurrency) for batch in split_batches(body)]
        urls = (f"{base}/{batch}/messages?start=0&limit={size}&order=ASC" for batch in batches)
        return await write(job, bodies(session, urls, job.concurrency), parts)


def export(job: Job) -> None:
    export_with(job, read)


if __name__ == "__main__":
    run(export)
