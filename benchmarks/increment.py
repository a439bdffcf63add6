# SPDX-License-Identifier: Apache-2.0
"""
Count the requests of hourly increments of an account, with a checkpoint.

The server has a clock of its own, which it is told. A run needs one request per batch that is new, that may still get
messages, or that has a message without a final status. The rest is what the list of batches costs. The number of
requests is proportional to the number of batches a day, so a tenth of the account of the target is measured.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiohttp import web

from benchmarks.server import link, serve
from dev import stack

BATCHES_A_DAY = 1000
DAYS_BEFORE, RUNS = 3, 6
#: The first batch. Later than this, the run's clock is iP.1's ``Date``.
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
HOUR, YOUNG = timedelta(hours=1), timedelta(minutes=10)


class Sent(NamedTuple):
    """A batch of one message: when it is created and delivered."""

    created: datetime
    delivered: datetime

    def modified(self, now: datetime) -> datetime:
        return self.delivered if self.delivered <= now else self.created


class Increment(NamedTuple):
    """
    The requests of one run.

    :param batches: the number of batches that are new, young or unsettled.
    """

    requests: int
    batches: int


def batches() -> list[Sent]:
    """Return the batches, oldest first: delivered within minutes, and 1 % within two days."""
    gap = timedelta(days=1) / BATCHES_A_DAY
    count = BATCHES_A_DAY * DAYS_BEFORE + BATCHES_A_DAY * (RUNS + 1) // 24
    found = []
    for number in range(count):
        delay = HOUR * (number % 4800) / 100 if number % 100 == 0 else timedelta(seconds=10 + number * 7 % 290)
        found.append(Sent(BEGINNING + number * gap, BEGINNING + number * gap + delay))
    return found


def needed(now: datetime, last: datetime) -> int:
    """Return how many batches a run has to read: those of which the run before has not seen the end."""
    listed = [batch for batch in batches() if batch.created <= now]
    return sum(
        batch.created > last or batch.delivered > last or last - batch.modified(last) < YOUNG for batch in listed
    )


def application() -> web.Application:
    """Return the server's application."""
    sent, now, served = batches(), BEGINNING, 0

    async def set_clock(request: web.Request) -> web.Response:
        nonlocal now
        now = datetime.fromisoformat(request.query["now"])
        return web.Response()

    def answer(request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        nonlocal served
        served += 1
        start, limit = int(request.query.get("start", 0)), int(request.query.get("limit", 50))
        if request.query.get("order") == "DESC":
            rows.reverse()
        url = f"{request.scheme}://{request.host}{request.path}"
        headers = {"Date": f"{now:%a, %d %b %Y %H:%M:%S} GMT", "Link": link(url, start, limit, len(rows))}
        return web.json_response(rows[start : start + limit], headers=headers)

    async def batch_list(request: web.Request) -> web.Response:
        listed = (number for number, batch in enumerate(sent) if batch.created <= now)
        return answer(request, [{"id": f"{number:024x}", "direction": "MT", "status": 112} for number in listed])

    async def messages(request: web.Request) -> web.Response:
        batch_id = request.match_info["batch"]
        batch = sent[int(batch_id, 16)]
        time = batch.modified(now).isoformat()
        status = {"code": 201 if batch.delivered <= now else 101, "duration": 1, "created": time}
        fields = {"id": f"{batch_id[1:]}0", "batchId": batch_id, "sender": "Salon", "recipient": "46701740605"}
        return answer(request, [{**fields, "direction": "MT", "statuses": [status], "modified": time}])

    async def count(request: web.Request) -> web.Response:
        return web.json_response(served)

    app = web.Application()
    app.router.add_get("/clock", set_clock)
    app.router.add_get("/served", count)
    app.router.add_get("/v2/batches", batch_list)
    app.router.add_get("/v2/batches/{batch}/messages", messages)
    return app


def server(folder: Path) -> AbstractContextManager[str]:
    """Run the server in its own process. Returns its URL."""
    return stack.python_server("The server of the increments", folder, "benchmarks.increment", "serve")


def measure(url: str, bucket: str) -> Iterator[Increment]:
    """
    Run the operator once for the past, and then every hour.

    :param url: of the server.
    :param bucket: gets the objects.
    """
    from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator

    port, last = int(url.rpartition(":")[2]), None
    for number in range(RUNS + 1):
        now = BEGINNING + timedelta(days=DAYS_BEFORE) + number * HOUR
        stack.get(port, f"/clock?now={now.isoformat().replace('+', '%2B')}")
        operator = MessagesToS3Operator(
            task_id="export",
            s3_bucket=bucket,
            s3_key=f"increment/{number}.jsonl.gz",
            checkpoint="increment/checkpoint.json",
        )
        ti = SimpleNamespace(dag_id="bench", task_id="export", map_index=-1, try_number=1, xcom_push=lambda **_: None)
        before = int(stack.get(port, "/served") or 0)
        operator.execute({"ti": ti, "run_id": f"hour{number}"})  # type: ignore[typeddict-item]
        requests = int(stack.get(port, "/served") or 0) - before
        if last is not None:
            yield Increment(requests, needed(now, last))
        last = now


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(application()))
    else:
        logging.getLogger().setLevel(logging.WARNING)
        print("RESULT " + json.dumps(list(measure(*sys.argv[1:]))), flush=True)
