# SPDX-License-Identifier: Apache-2.0
"""
Measure the processor time that a page takes in the operator and in the hand-tuned ceiling, by stage.

Each stage processes the same pages, alone and in one thread. The results are therefore lower bounds: in an export, the
threads, the server and the S3 server compete for the cores.
"""

from __future__ import annotations

import asyncio
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
from isal import igzip

from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.page_body import read_link, split_page
from airflow_provider_ip1.api.paging.listing import Listing
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.pager import Pager
from airflow_provider_ip1.api.requests import conversation_request
from airflow_provider_ip1.formats.compression import compress
from airflow_provider_ip1.formats.encode import write_jsonl
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.transfers.report import Report
from dev.stack import SANDBOX_KEY

PAGE_SIZE = 200
PAGES = 150
ROUNDS = 5


def microseconds(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Return this thread's processor time per item in microseconds, the median of several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        for item in items:
            work(item)
        rounds.append((time.thread_time() - began) / len(items) * 1e6)
    return statistics.median(rounds)


def microseconds_with_aiohttp(headers: dict[str, str], urls: Sequence[str]) -> float:
    """Return the same for requests, sent eight at a time as the ceiling does."""

    async def fetch_all(_: object) -> None:
        left = iter(urls)
        async with aiohttp.ClientSession(headers=headers) as session:

            async def fetch() -> None:
                for url in left:
                    async with session.get(url) as response:
                        await response.read()

            await asyncio.gather(*[fetch() for _ in range(8)])

    return microseconds(lambda _: asyncio.run(fetch_all(_)), [None]) / len(urls)


def measure(conversation_url: str) -> list[tuple[str, float, float]]:
    """
    Measure the stages with the connection ``ip1_default``.

    :param conversation_url: a conversation on a server without latency, with at least ``PAGE_SIZE * PAGES`` messages.
    :return: the name of each stage, and the microseconds per page for the operator and for the ceiling.
    """
    urls = [
        f"{conversation_url}?start={number * (PAGE_SIZE - 1)}&limit={PAGE_SIZE}&order=ASC" for number in range(PAGES)
    ]
    hook = IP1Hook()
    headers = {"Authorization": f"Bearer {SANDBOX_KEY}"}
    listing = Listing(conversation_request(conversation_url.rpartition("/")[2]))

    def send(url: str) -> Response:
        call = hook.client.new_call(listing.request, lambda response: response, None)
        call.url = url
        response = hook.client._send(call)
        assert isinstance(response, Response)
        return response

    responses = [send(url) for url in urls]
    bodies = [response.body for response in responses]
    split = [split_page(body) for body in bodies]
    pages = [
        Page(
            participant=None,
            direction=None,
            number=0,
            start=0,
            ids=tuple(page.ids),
            raws=tuple(page.raws),
            total_hint=None,
            modified_values=tuple(page.modified),
            status_codes=tuple(page.status_codes),
        )
        for page in split
    ]
    lines = [b"".join(write_jsonl([page])) for page in pages]
    raw_pages = msgspec.json.Decoder(list[msgspec.Raw])

    def page_through(_: object) -> None:
        pager = Pager(listing, page_size=PAGE_SIZE)
        for page in split:
            request = pager.next_request()
            assert request is not None
            pager.receive(request, page)
            assert pager.next_page() is not None

    def count(_: object) -> None:
        report = Report()
        # Pages remember the times that they have parsed.
        for page in map(replace, pages):
            report.add(page, page)

    def join(raws: Sequence[Any]) -> bytes:
        return b"\n".join(raws) + b"\n"

    def gzip_fast(_: object) -> None:
        with igzip.IGzipFile(fileobj=io.BytesIO(), mode="wb", compresslevel=1, mtime=0) as file:
            for text in lines:
                file.write(text)

    def gzip_as_exported(_: object) -> None:
        for _chunk in compress(lines, "gzip"):
            pass

    stages = [
        ("request and response", microseconds(send, urls), microseconds_with_aiohttp(headers, urls)),
        (
            "JSON to messages, with their ids, times and status codes",
            microseconds(split_page, bodies),
            microseconds(raw_pages.decode, bodies),
        ),
        ("`Link` header", microseconds(read_link, [response.headers.get("link") for response in responses]), 0.0),
        ("paging", microseconds(page_through, [None]) / PAGES, 0.0),
        ("counts for the result", microseconds(count, [None]) / PAGES, 0.0),
        (
            "lines",
            microseconds(lambda page: list(write_jsonl([page])), pages),
            microseconds(join, [page.raws for page in split]),
        ),
        ("gzip", microseconds(gzip_as_exported, [None]) / PAGES, microseconds(gzip_fast, [None]) / PAGES),
    ]
    hook.close()
    return stages


if __name__ == "__main__":
    print("RESULT " + json.dumps(measure(sys.argv[1])))
