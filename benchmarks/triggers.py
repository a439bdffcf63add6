# SPDX-License-Identifier: Apache-2.0
"""
Run many triggers in one event loop, as a triggerer does: ``python -m benchmarks.triggers deliveries`` or ``replies``.

``deliveries`` runs MessageStatusTriggers, ``replies`` IncomingSmsTriggers (asset watchers) of 489 conversations. The
sandbox runs in its own process. Its message is never delivered and nobody replies, so all triggers poll until the
measurement ends.
The report shows the longest time that the loop was blocked, the memory per trigger, and the requests per second.

A watchdog task measures how late it wakes up, which is the time of all callbacks in one iteration of the loop. On a
busy machine, this includes the time that the thread waits for a processor. "Own work" is therefore the processor time
that the thread used in the longest iteration. "Collector" is the longest pass of Python's garbage collector, which is
part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import tempfile
import time
from bisect import bisect_left
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from airflow_provider_ip1.sandbox.participants import GENERATED
from dev import stack

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

BATCH, MESSAGE = "69000000c000000000000005", "69000000d000005000000000"
TICK = 0.005
MIB = 1024 * 1024


@dataclass
class Watchdog:
    """Measures how late the loop wakes it up."""

    blocked: float = 0.0
    own_work: float = 0.0

    async def watch(self) -> None:
        while True:
            began, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK)
            self.blocked = max(self.blocked, time.perf_counter() - began - TICK)
            self.own_work = max(self.own_work, time.thread_time() - used)


class Collector:
    """Measures the longest pass of the garbage collector."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def __call__(self, phase: str, info: object) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.longest = max(self.longest, time.thread_time() - self._began)


@dataclass
class Result:
    """The measurements of one setting."""

    starting: Watchdog
    running: Watchdog
    collector: float
    memory_per_trigger: float
    busiest_second: int
    sockets: int


def rss() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


def sockets() -> int:
    return len(psutil.Process().net_connections(kind="tcp"))


def moments(log: Path) -> list[float]:
    """Return the times of the sandbox's responses, in seconds since 1970."""
    return [
        datetime.fromisoformat(line[:23].replace(",", ".")).timestamp()
        for line in log.read_text().splitlines()
        if " -> 200" in line
    ]


def make_trigger(kind: str, index: int, poke_interval: float) -> BaseTrigger:
    from airflow_provider_ip1.api.watching.status_watch import StatusWatch
    from airflow_provider_ip1.api.watching.wait import Wait
    from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger
    from airflow_provider_ip1.triggers.message_status import MessageStatusTrigger

    if kind == "replies":
        return IncomingSmsTrigger(participant=GENERATED[index % len(GENERATED)], poke_interval=poke_interval)
    now = time.time()
    watch = StatusWatch(batch_id=BATCH, message_id=MESSAGE)
    wait = Wait(watch=watch, started_at=now, deadline=now + 86400, poke_interval=poke_interval)
    return MessageStatusTrigger(wait=wait.to_dict())


async def measure(log: Path, kind: str, triggers: int, seconds: float, poke_interval: float) -> Result:
    """
    Run triggers and measure them.

    :param log: the sandbox's log, with one line per request.
    :param kind: ``deliveries`` or ``replies``.
    :param triggers: the number of triggers.
    :param seconds: how long to measure once all triggers have started.
    :param poke_interval: the poll interval of each trigger, in seconds.
    """

    async def run(trigger: BaseTrigger) -> None:
        async for _ in trigger.run():
            raise RuntimeError("a trigger fired, although nothing changed")

    # Airflow imports its secrets backends when a process first resolves a connection. Keep that out of the measurement.
    warm_up = asyncio.create_task(run(make_trigger(kind, 0, poke_interval)))
    while not moments(log):
        await asyncio.wait([warm_up], timeout=0.1)
        if warm_up.done():
            warm_up.result()
    warm_up.cancel()
    await asyncio.wait([warm_up])
    # The same applies to the garbage collector's passes over Airflow's objects, which take longer than all else here.
    # It still scans the objects of the triggers.
    gc.freeze()
    memory = rss()
    starting, running, collector = Watchdog(), Watchdog(), Collector()
    gc.callbacks.append(collector)
    watching = asyncio.create_task(starting.watch())
    tasks = []
    for index in range(triggers):
        tasks.append(asyncio.create_task(run(make_trigger(kind, index, poke_interval))))
        await asyncio.sleep(0)  # The triggerer does the same.
    # All triggers are due at once, as after a restart of the triggerer. After this, each has polled or is queued.
    await asyncio.sleep(15)
    watching.cancel()
    watching = asyncio.create_task(running.watch())
    await asyncio.sleep(seconds)
    watching.cancel()
    gc.callbacks.remove(collector)
    grown, open_sockets = rss() - memory, sockets()
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if not isinstance(end, asyncio.CancelledError):
            raise RuntimeError("a trigger failed") from end
    asked = moments(log)[1:]
    busiest = max(bisect_left(asked, moment + 1.0) - index for index, moment in enumerate(asked))
    return Result(starting, running, collector.longest, grown / triggers, busiest, open_sockets)


def measure_in_this_process(log: Path, url: str, options: argparse.Namespace, limit: float) -> Result:
    os.environ.update(stack.airflow_environment(log.parent / "airflow"))
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    os.environ["AIRFLOW_CONN_IP1_DEFAULT"] = stack.ip1_connection(url, requests_per_second=limit)
    return asyncio.run(measure(log, options.kind, options.triggers, options.seconds, options.poke_interval))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("kind", choices=["deliveries", "replies"], help="what the triggers wait for")
    parser.add_argument(
        "--triggers", type=int, default=2000, help="number of triggers in one event loop (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=40, help="time to measure per setting (default: %(default)s)")
    parser.add_argument(
        "--poke-interval", type=float, default=20, help="poll interval of each trigger (default: %(default)s)"
    )
    parser.add_argument(
        "--limits", type=float, nargs="+", default=[20, 100], help="requests_per_second to try (default: 20 100)"
    )
    options = parser.parse_args()
    stack.stop_on_signals()
    print(
        f"{options.triggers} triggers for {options.kind} in one event loop, poke_interval {options.poke_interval:.0f} s"
    )
    sandbox = ["--messages", "0", "--delivery-seconds", "864000", "--conversations", str(len(GENERATED))]
    print("limit   blocked, starting / running     own work, same   collector     per trigger   requests/s   sockets")
    for limit in options.limits:
        with tempfile.TemporaryDirectory(prefix="ip1-bench-") as name:
            directory = Path(name)
            with stack.sandbox(directory, *sandbox) as url:
                # In its own process, because memory left over from another setting would hide this one's memory.
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    arguments = directory / "sandbox.log", url, options, limit
                    result = process.submit(measure_in_this_process, *arguments).result()
        blocked, work = (
            f"{getattr(result.starting, name) * 1000:.0f} / {getattr(result.running, name) * 1000:.0f} ms"
            for name in ("blocked", "own_work")
        )
        print(
            f"{limit or 'none':>5}{blocked:>28}{work:>21}{result.collector * 1000:9.0f} ms"
            f"{result.memory_per_trigger / 1024:13.1f} KiB{result.busiest_second:13}{result.sockets:10}",
            flush=True,
        )


if __name__ == "__main__":
    main()
