# SPDX-License-Identifier: Apache-2.0
"""
A server with one long conversation, rendered before it starts, so that a page costs one copy of memory.

The sandbox renders each message for each response. With that, the export would wait for the sandbox, and the benchmark
would measure the sandbox.
"""

from __future__ import annotations

import argparse
import asyncio
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.store import Store
from dev.stack import python_server


class RenderedConversation:
    """
    The sandbox's main conversation as JSON, oldest message first.

    :param count: the number of messages.
    """

    def __init__(self, count: int) -> None:
        conversation = Store(messages=count).conversations[MAIN]
        self.count = count
        self._text = bytearray()
        self._ends = array("Q", [0])
        for row in conversation.rows:
            self._text += conversation.message(row, "integers", 0) + b","
            self._ends.append(len(self._text))

    def page(self, start: int, limit: int) -> bytes:
        """Return a page as the API does: a JSON array."""
        start, stop = min(start, self.count), min(start + limit, self.count)
        return b"[" + self._text[self._ends[start] : self._ends[stop]][:-1] + b"]"

    def link(self, url: str, start: int, limit: int) -> str:
        """Return the Link header of a page."""
        starts = {"first": 0, "next": start + limit, "last": (self.count - 1) // limit * limit}
        if starts["next"] >= self.count:
            del starts["next"]
        return ", ".join(f'<{url}?start={start}&limit={limit}&order=ASC>; rel="{rel}"' for rel, start in starts.items())


def application(conversation: RenderedConversation, latency: float) -> web.Application:
    """
    Return the server's application.

    :param latency: how long each response takes at least, in seconds.
    """
    url = f"/v2/conversations/{MAIN}"

    async def messages(request: web.Request) -> web.Response:
        if latency:
            await asyncio.sleep(latency)
        start, limit = int(request.query["start"]), int(request.query["limit"])
        link = conversation.link(f"{request.scheme}://{request.host}{url}", start, limit)
        body = conversation.page(start, limit)
        return web.Response(body=body, content_type="application/json", headers={"Link": link})

    app = web.Application()
    app.router.add_get(url, messages)
    return app


@contextmanager
def conversation_server(directory: Path, messages: int, latency: float) -> Iterator[str]:
    """
    Run this module in its own process.

    :param directory: for its log; made if it is missing.
    :param messages: the number of messages in the conversation.
    :param latency: how long each response takes at least, in seconds.
    :return: the base URL, once all messages are rendered.
    """
    directory.mkdir(parents=True, exist_ok=True)
    arguments = ("--messages", str(messages), "--latency", str(latency))
    with python_server("The benchmark's server", directory, "benchmarks.server", *arguments, seconds=600) as url:
        yield url


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"ready on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args()
    app = application(RenderedConversation(options.messages), options.latency)
    asyncio.run(_serve(app))


if __name__ == "__main__":
    main()
