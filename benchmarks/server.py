# SPDX-License-Identifier: Apache-2.0
"""
A server with conversations that are rendered before it starts, so that a page costs one copy of memory.

The sandbox renders each message for each response. With that, the export would wait for the sandbox, and the benchmark
would measure the sandbox.
"""

from __future__ import annotations

import argparse
import asyncio
from array import array

from aiohttp import web

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.store import Store
from benchmarks.contenders.common import participants_of


class RenderedMessages:
    """
    Messages of the sandbox's main conversation as JSON, oldest first.

    :param count: the number of messages.
    """

    def __init__(self, count: int) -> None:
        conversation = Store(messages=count).conversations[MAIN]
        self._text = bytearray()
        self._ends = array("Q", [0])
        for row in conversation.rows:
            self._text += conversation.message(row, "integers", 0) + b","
            self._ends.append(len(self._text))

    def array(self, start: int, stop: int) -> bytes:
        """Return some of them as a JSON array."""
        return b"[" + self._text[self._ends[start] : self._ends[stop]][:-1] + b"]"


def link(url: str, start: int, limit: int, count: int) -> str:
    """Return the Link header of a page of a conversation with this number of messages."""
    starts = {"first": 0, "next": start + limit, "last": (count - 1) // limit * limit}
    if starts["next"] >= count:
        del starts["next"]
    return ", ".join(f'<{url}?start={start}&limit={limit}&order=ASC>; rel="{rel}"' for rel, start in starts.items())


def application(conversations: int, messages: int, latency: float, *, has_links: bool) -> web.Application:
    """
    Return the server's application.

    :param conversations: the number of conversations; see :func:`participants_of`.
    :param messages: the number of messages in each.
    :param latency: how long each response takes at least, in seconds.
    :param has_links: whether responses have a Link header.
    """
    rendered = RenderedMessages(conversations * messages)
    first_row = {name: number * messages for number, name in enumerate(participants_of(conversations))}
    served = 0

    async def page(request: web.Request) -> web.Response:
        nonlocal served
        served += 1
        if latency:
            await asyncio.sleep(latency)
        start, limit = int(request.query["start"]), int(request.query["limit"])
        first = first_row[request.match_info["participant"]]
        body = rendered.array(first + min(start, messages), first + min(start + limit, messages))
        url = f"{request.scheme}://{request.host}{request.path}"
        headers = {"Link": link(url, start, limit, messages)} if has_links else {}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def count(request: web.Request) -> web.Response:
        return web.json_response(served)

    app = web.Application()
    app.router.add_get("/v2/conversations/{participant}", page)
    app.router.add_get("/served", count)
    return app


async def serve(app: web.Application) -> None:
    """Serve an application on a free port until the process is stopped, and print the URL."""
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
    parser.add_argument("--conversations", type=int, default=1, help="number of conversations (default: 1)")
    parser.add_argument("--messages", type=int, required=True, help="messages in each conversation")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--no-links", action="store_true", help="send no Link header")
    options = parser.parse_args()
    asyncio.run(
        serve(application(options.conversations, options.messages, options.latency, has_links=not options.no_links))
    )


if __name__ == "__main__":
    main()
