# SPDX-License-Identifier: Apache-2.0
"""Running contenders, each in its own process, and measuring them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_provider_ip1.api.extras import EXTRAS
from benchmarks.cases import Case, Source
from benchmarks.contenders.common import Job
from dev import PROJECT, stack

BUCKET = "ip1-bench"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Run:
    """
    One run of one contender.

    :param seconds: time inside the process, without its imports.
    :param cpu_seconds: processor time of the process in that time.
    :param peak_rss: its peak resident memory in that time, in bytes.
    :param requests: the number of requests that the server received.
    """

    seconds: float
    cpu_seconds: float
    peak_rss: int
    requests: int


@dataclass
class Bench:
    """The servers to read from and to write to."""

    home: Path
    s3: stack.S3Server
    ip1: Mapping[Source, str]

    @classmethod
    @contextmanager
    def running(cls, folder: Path, sources: Iterable[Source]) -> Iterator[Bench]:
        """Start a server for each source, and an S3 server."""
        home = folder / "airflow"
        home.mkdir(exist_ok=True)

        def server(number: int, source: Source) -> AbstractContextManager[str]:
            directory = folder / str(number)
            directory.mkdir(parents=True, exist_ok=True)
            # Ready once all messages are rendered.
            return stack.python_server(
                "The benchmark's server", directory, source.server_module, *source.server_arguments, seconds=600
            )

        with ExitStack() as servers:
            s3 = servers.enter_context(stack.s3_server(folder, buckets=[BUCKET]))
            urls = {
                source: servers.enter_context(server(number, source))
                for number, source in enumerate(dict.fromkeys(sources))
            }
            yield cls(home, s3, urls)

    def measure(self, case: Case, contender: str) -> Run:
        """Run one contender once."""
        url = self.ip1[case.source]
        module = case.modules[contender]
        job = Job(
            ip1_url=url,
            ip1_key=stack.SANDBOX_KEY,
            conversations=case.source.conversations,
            messages=case.source.messages,
            s3_url=self.s3.endpoint_url,
            s3_access_key=self.s3.access_key,
            s3_secret_key=self.s3.secret_key,
            bucket=BUCKET,
            key=f"{module}/{case.key}",
            page_size=case.page_size,
            concurrency=case.concurrency,
            file_format=case.file_format,
            has_defaults=case.has_defaults,
        )
        served = requests_served(url)
        rate = EXTRAS["requests_per_second"].default if case.has_defaults else 0
        found = self.run(f"benchmarks.contenders.{module}", url, json.dumps(asdict(job)), rate=rate)
        return Run(**found, requests=requests_served(url) - served)

    def run(self, module: str, url: str, *arguments: str, rate: float = 0) -> Any:
        """Run a module in a process with Airflow connections to a server and to S3. Returns what it reports."""
        env = stack.airflow_environment(self.home) | {
            "AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(url, requests_per_second=rate),
            "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps({"conn_type": "http", "host": url}),
            "AIRFLOW_CONN_AWS_DEFAULT": stack.aws_connection(self.s3),
        }
        return report_of(module, *arguments, env=env)


def report_of(module: str, *arguments: str, env: Mapping[str, str]) -> Any:
    """Run a module in its own process. Returns the last line that it prints after ``RESULT``, as JSON."""
    # The operator imports most modules when it runs. Compiling them again each time is not what users see.
    with_bytecode = {"PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env=dict(env) | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"} | with_bytecode,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not found:
        raise SystemExit(f"{module} failed\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(found[-1].removeprefix("RESULT "))


def requests_served(url: str) -> int:
    body = stack.get(int(url.rpartition(":")[2]), "/served")
    assert body is not None
    return int(body)


def measure_rounds(bench: Bench, cases: Iterable[Case], rounds: int) -> dict[Case, dict[str, list[Run]]]:
    """Run all contenders of all cases once per round, so that a machine that slows down slows all of them."""
    results: dict[Case, dict[str, list[Run]]] = {}
    for number in range(rounds):
        for case in cases:
            for contender in case.contenders:
                if case.rounds is not None and number >= case.rounds:
                    continue
                run = bench.measure(case, contender)
                results.setdefault(case, {}).setdefault(contender, []).append(run)
                print(
                    f"round {number + 1}: {case.name}, {contender}: {run.seconds:.2f} s, {run.cpu_seconds:.2f} s of "
                    f"processor time, {run.peak_rss / MIB:.0f} MiB, {run.requests:,} requests",
                    flush=True,
                )
    return results
