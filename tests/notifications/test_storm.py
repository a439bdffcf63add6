# SPDX-License-Identifier: Apache-2.0
"""
How many SMS a storm of failing tasks sends, with the figures of docs/internals/measurements.md.

The client's operation runs once per task, on a simulated clock, so that 500 tasks can fail within a second anywhere. A
request to list takes 0.1 s, a request to send 0.3 s, and iP.1 lists a batch some time after it was sent.
"""

from __future__ import annotations

import heapq
import json
import logging
import random
import re
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from airflow_provider_ip1.api.call import Call, Response
from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client import send_once
from airflow_provider_ip1.client.base_client import BaseClient
from dev import PROJECT

REFERENCE = "af-0123456789abcdef-0123456789ab"
SETTINGS = Settings(conn_id="ip1", base_url="https://ip1.example", api_key="key", requests_per_second=0)
LIST_SECONDS, SEND_SECONDS = 0.1, 0.3
LIST_DELAYS = (0.0, 1.0, 5.0)
WORKERS = (16, 500)
ROUNDS = 3
log = logging.getLogger("storm")
log.disabled = True


def storm(tasks: int, within: float, list_delay: float, workers: int, seed: int) -> int:
    """Return how many SMS the tasks send that fail within some seconds, at most ``workers`` of them at a time."""
    draws = random.Random(seed)
    send_once.DRAW = draws.uniform
    listed_at: list[float] = []
    now = [0.0]
    order = count()
    events: list[tuple[float, int, Any, Any]] = []
    waiting = sorted(draws.uniform(0.0, within) for _ in range(tasks))

    def start(moment: float) -> None:
        client = BaseClient(SETTINGS, user_agent="storm", log=log)
        client.clock = lambda: now[0]
        outgoing = OutgoingBatch(recipients="46701740605", body="Failed", sender="iP1", reference=REFERENCE)
        flow = send_once.send_alert(client, outgoing, is_limited=True, deadline=moment + 15.0)
        heapq.heappush(events, (moment, next(order), flow, None))

    def finish(moment: float) -> None:
        if waiting:
            start(max(moment, waiting.pop(0)))

    for _ in range(min(workers, tasks)):
        finish(0.0)
    while events:
        now[0], _, flow, request = heapq.heappop(events)
        outcome = None
        if request is not None and request.method == "POST":
            outcome = Response(201, {}, b'{"id": "b1"}')
        elif request is not None:
            # The list shows what it did when iP.1 began to respond.
            shown = [moment for moment in listed_at if moment <= now[0] - LIST_SECONDS]
            rows = [{"id": f"b{number}", "reference": REFERENCE} for number in range(len(shown))]
            rows.append({"id": "b0000", "reference": "another"})
            start_row = int(dict(request.query)["start"])
            outcome = Response(200, {}, json.dumps(rows[start_row:]).encode())
        try:
            step = flow.send(outcome)
        except StopIteration:
            finish(now[0])
            continue
        if isinstance(step, Call):
            is_post = step.request.method == "POST"
            if is_post:
                listed_at.append(now[0] + SEND_SECONDS / 2 + list_delay)
            moment = now[0] + (SEND_SECONDS if is_post else LIST_SECONDS)
            heapq.heappush(events, (moment, next(order), flow, step.request))
        else:
            heapq.heappush(events, (now[0] + step, next(order), flow, None))
    return len(listed_at)


def figures() -> list[list[str]]:
    """The rows of the table: tasks, seconds, and for each delay the SMS with 16 workers and with many."""
    rows = []
    for tasks in (50, 500):
        for within in (1.0, 60.0):
            row = [f"{tasks}", "a second" if within == 1.0 else "a minute", f"{tasks}"]
            for delay in LIST_DELAYS:
                sent = [
                    round(median(storm(tasks, within, delay, workers, seed) for seed in range(ROUNDS)))
                    for workers in WORKERS
                ]
                row.append(f"{sent[0]} / {sent[1]}")
            rows.append(row)
    return rows


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_once, "DRAW", send_once.DRAW)
    monkeypatch.setattr(send_once, "SPREAD", 5.0)


@pytest.mark.no_cover
def test_the_documentation_has_these_figures(restored: None) -> None:
    text = Path(PROJECT, "docs", "internals", "measurements.md").read_text()
    published = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| (50|500) \| a (second|minute) \|", line)
    ]
    assert published == figures()
