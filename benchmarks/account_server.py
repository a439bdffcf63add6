# SPDX-License-Identifier: Apache-2.0
"""A server with an account of batches of one message each, rendered before it starts."""

from __future__ import annotations

import argparse
import asyncio

from aiohttp import web

from benchmarks.server import RenderedMessages, link, serve


def application(batches: int, latency: float) -> web.Application:
    """
    Return the server's application.

    :param batches: the number of batches.
    :param latency: how long each response takes at least, in seconds.
    """
    messages = RenderedMessages(batches)
    served = 0

    async def batch_list(request: web.Request) -> web.Response:
        nonlocal served
        served += 1
        await asyncio.sleep(latency)
        start, limit = int(request.query["start"]), int(request.query["limit"])
        rows = [
            f'{{"id":"{number:024x}","sender":"Salon","body":"Hej!","owner":"ip1-00000","direction":"MT","type":"sms",'
            f'"datacoding":"ucs","priority":1,"templated":false,"deliveryWindows":[],"status":201,"tags":[]}}'
            for number in range(start, min(start + limit, batches))
        ]
        header = link(f"{request.scheme}://{request.host}{request.path}", start, limit, batches)
        body = f"[{','.join(rows)}]".encode()
        return web.Response(body=body, content_type="application/json", headers={"Link": header})

    async def batch_messages(request: web.Request) -> web.Response:
        nonlocal served
        served += 1
        await asyncio.sleep(latency)
        number = int(request.match_info["batch"], 16)
        header = link(f"{request.scheme}://{request.host}{request.path}", 0, int(request.query["limit"]), 1)
        body = messages.array(number, number + 1)
        return web.Response(body=body, content_type="application/json", headers={"Link": header})

    async def count(request: web.Request) -> web.Response:
        return web.json_response(served)

    app = web.Application()
    app.router.add_get("/served", count)
    app.router.add_get("/v2/batches", batch_list)
    app.router.add_get("/v2/batches/{batch}/messages", batch_messages)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args()
    asyncio.run(serve(application(options.batches, options.latency)))


if __name__ == "__main__":
    main()
