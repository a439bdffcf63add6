# SPDX-License-Identifier: Apache-2.0
"""The job of a contender, and its measurements."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_ip1.sandbox.participants import MAIN


@dataclass(frozen=True)
class Job:
    """
    One export: its source, its target and its settings.

    :param conversations: how many conversations to read.
    :param messages: messages in each conversation.
    :param concurrency: the number of requests in flight, for contenders that can send several at once.
    :param has_defaults: whether the operator chooses the size of its pages.
    """

    ip1_url: str
    ip1_key: str
    conversations: int
    messages: int
    s3_url: str
    s3_access_key: str
    s3_secret_key: str
    bucket: str
    key: str
    page_size: int
    concurrency: int
    file_format: str
    has_defaults: bool

    @property
    def total(self) -> int:
        return self.conversations * self.messages

    @property
    def participants(self) -> tuple[str, ...]:
        return participants_of(self.conversations)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.ip1_key}"}

    def conversation_url(self, participant: str) -> str:
        return f"{self.ip1_url}/v2/conversations/{participant}"


def read_job() -> Job:
    """Return the job, which the benchmark passes as the first argument, as JSON."""
    return Job(**json.loads(sys.argv[1]))


def participants_of(conversations: int) -> tuple[str, ...]:
    """Return the participants of the conversations. Most are sender names, because there are few test numbers."""
    return (MAIN, *(f"Shop{number}" for number in range(1, conversations)))


class _Peak:
    """Samples the process's peak resident memory. The kernel's own peak would include the imports."""

    def __init__(self) -> None:
        self.bytes = 0
        self.stop = threading.Event()

    def watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        statm = Path("/proc/self/statm")
        while not self.stop.is_set():
            self.bytes = max(self.bytes, int(statm.read_text().split()[1]) * page)
            self.stop.wait(0.05)


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Measure the time and memory of a block, and print both as one line of JSON, with what the block adds."""
    found: dict[str, Any] = {}
    peak = _Peak()
    watcher = threading.Thread(target=peak.watch, daemon=True)
    watcher.start()
    began, cpu_began = time.perf_counter(), time.process_time()
    yield found
    found["seconds"] = time.perf_counter() - began
    found["cpu_seconds"] = time.process_time() - cpu_began
    peak.stop.set()
    watcher.join()
    found["peak_rss"] = max(peak.bytes, 0) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("RESULT " + json.dumps(found), flush=True)


def run(export: Callable[[Job], None]) -> None:
    """Run one contender, after its imports, and print its measurements."""
    job = read_job()
    with measured():
        export(job)
