# SPDX-License-Identifier: Apache-2.0
"""
Compare the export with what people use instead, side by side in one run: ``make bench``.

Each contender runs in its own process against the same server and the same real S3 server. Rounds are interleaved, so
that a machine that slows down slows all contenders. Times are measured inside the process, without its imports. Only
ratios within one run are meaningful.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contenders.common import PARTICIPANT, Job
from benchmarks.server import conversation_server
from dev import PROJECT
from dev.stack import (
    SANDBOX_KEY,
    S3Server,
    airflow_environment,
    aws_connection,
    ip1_connection,
    s3_server,
    stop_on_signals,
)

BUCKET = "ip1-bench"
OPERATOR, SEQUENTIAL, TUNED = "this operator", "this operator, 1 at a time", "hand-tuned ceiling"
HANDWRITTEN, HANDWRITTEN_GZIP, DLT = "requests + S3Hook, not compressed", "requests + S3Hook", "dlt rest_api"
MODULES = {
    OPERATOR: "provider",
    SEQUENTIAL: "provider",
    TUNED: "tuned",
    HANDWRITTEN: "handwritten",
    HANDWRITTEN_GZIP: "handwritten",
    DLT: "dlt_rest_api",
}
MIB = 1024 * 1024
#: A conversation of this many messages fits into one page.
ONE_PAGE = 200


@dataclass(frozen=True)
class Case:
    """One row of the table: a contender in one setting."""

    contender: str
    messages: int
    latency: float
    page_size: int
    file_format: str = "jsonl"

    @property
    def setting(self) -> tuple[int, float, int]:
        return self.messages, self.latency, self.page_size

    @property
    def concurrency(self) -> int:
        if self.contender == SEQUENTIAL:
            return 1
        return 8 if self.latency else 4


@dataclass
class Servers:
    """The servers to read from and to write to."""

    ip1: Mapping[tuple[int, float], str]
    s3: S3Server
    home: Path

    def measure(self, case: Case) -> dict[str, Any]:
        """Run one case once."""
        ip1_url = self.ip1[case.messages, case.latency]
        is_gzip = case.file_format != "parquet" and case.contender != HANDWRITTEN
        suffix = f".{case.file_format}" + (".gz" if is_gzip else "")
        job = Job(
            ip1_url=ip1_url,
            ip1_key=SANDBOX_KEY,
            s3_url=self.s3.endpoint_url,
            s3_access_key=self.s3.access_key,
            s3_secret_key=self.s3.secret_key,
            bucket=BUCKET,
            key=f"{MODULES[case.contender]}/{'-'.join(map(str, case.setting))}{suffix}",
            page_size=case.page_size,
            concurrency=case.concurrency,
            file_format=case.file_format,
            messages=case.messages,
        )
        module = f"benchmarks.contenders.{MODULES[case.contender]}"
        result: dict[str, Any] = self._run(module, ip1_url, json.dumps(asdict(job)))
        return result

    def measure_stages(self, ip1_url: str) -> list[tuple[str, float, float]]:
        """Return the microseconds per page of each stage, for the operator and for the ceiling."""
        headers = {"Authorization": f"Bearer {SANDBOX_KEY}"}
        result: list[tuple[str, float, float]] = self._run(
            "benchmarks.stages", ip1_url, f"{ip1_url}/v2/conversations/{PARTICIPANT}", json.dumps(headers)
        )
        return result

    def _run(self, module: str, ip1_url: str, *arguments: str) -> Any:
        env = airflow_environment(self.home) | {
            "AIRFLOW_CONN_IP1_DEFAULT": ip1_connection(ip1_url, requests_per_second=0),
            "AIRFLOW_CONN_AWS_DEFAULT": aws_connection(self.s3),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=PROJECT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if done.returncode or not found:
            raise SystemExit(f"{module} failed\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return json.loads(found[-1].removeprefix("RESULT "))


def measure_rounds(servers: Servers, cases: Iterable[Case], rounds: int) -> dict[Case, list[dict[str, Any]]]:
    """Run all cases once per round."""
    results: dict[Case, list[dict[str, Any]]] = {}
    for number in range(rounds):
        for case in cases:
            found = servers.measure(case)
            results.setdefault(case, []).append(found)
            print(
                f"round {number + 1}: {case.contender}, {case.messages:,} messages, {case.latency * 1000:.0f} ms, "
                f"page size {case.page_size}, {case.file_format}: {found['seconds']:.2f} s, "
                f"{found['peak_rss'] / MIB:.0f} MiB",
                flush=True,
            )
    return results


def speed_table(results: Mapping[Case, list[dict[str, Any]]]) -> list[str]:
    """Return the medians, and their ratio to the operator's."""
    lines = [
        "| messages | latency | page size | contender | seconds, median (range) "
        "| messages/s | operator is | peak MiB |",
        "| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    medians = {case: statistics.median(run["seconds"] for run in runs) for case, runs in results.items()}
    for case, runs in results.items():
        seconds = sorted(run["seconds"] for run in runs)
        ratio = medians[case] / medians[replace(case, contender=OPERATOR)]
        lines.append(
            f"| {case.messages:,} | {case.latency * 1000:.0f} ms | {case.page_size} | {case.contender} "
            f"| {medians[case]:.2f} ({seconds[0]:.2f}-{seconds[-1]:.2f}) | {case.messages / medians[case]:,.0f} "
            f"| {ratio:.2f} x as fast | {max(run['peak_rss'] for run in runs) / MIB:.0f} |"
        )
    return lines


def stage_table(stages: Iterable[tuple[str, float, float]]) -> list[str]:
    """Return the cost of a page by stage, and in total."""
    lines = ["| stage | operator | ceiling |", "| --- | ---: | ---: |"]
    _, *columns = zip(*stages, strict=True)
    total = ("**all of it**", *map(sum, columns))
    return lines + [f"| {name} | {ours:.0f} | {ceiling:.0f} |" for name, ours, ceiling in (*stages, total)]


def memory_table(results: Mapping[Case, list[dict[str, Any]]]) -> list[str]:
    """Return the operator's peak memory for each format and both sizes."""
    lines = ["| format | messages | seconds | messages/s | peak MiB |", "| --- | ---: | ---: | ---: | ---: |"]
    for case, (run, *_) in results.items():
        lines.append(
            f"| {case.file_format} | {case.messages:,} | {run['seconds']:.1f} "
            f"| {case.messages / run['seconds']:,.0f} | {run['peak_rss'] / MIB:.0f} |"
        )
    return lines


def draw(results: Mapping[Case, list[dict[str, Any]]], path: Path) -> None:
    """Draw the messages per second of all contenders, grouped by setting."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ip1"
    from matplotlib import pyplot

    settings = list(dict.fromkeys(case.setting for case in results))
    contenders = [name for name in MODULES if any(case.contender == name for case in results)]
    figure, axes = pyplot.subplots(figsize=(10, 4.8))
    width = 0.8 / len(contenders)
    for index, name in enumerate(contenders):
        speeds = []
        for messages, latency, page_size in settings:
            runs = results.get(Case(name, messages, latency, page_size), [])
            speeds.append(messages / statistics.median(run["seconds"] for run in runs) if runs else 0)
        axes.bar([place + index * width for place in range(len(settings))], speeds, width, label=name)
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(settings))])
    axes.set_xticklabels(
        [f"{latency * 1000:.0f} ms latency,\npages of {page_size:,}" for _, latency, page_size in settings], fontsize=8
    )
    axes.set_yscale("log")
    axes.set_ylabel("messages per second (log scale)")
    axes.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="number of runs per contender (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the numbers of messages (default: 1)")
    parser.add_argument("--page-sizes", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--only", choices=["speed", "memory"], help="run only one half")
    parser.add_argument("--output", type=Path, default=PROJECT / "benchmarks" / "results.md")
    options = parser.parse_args()
    stop_on_signals()
    fast, slow, large = (int(n * options.scale) for n in (100_000, 20_000, 1_000_000))
    contenders = OPERATOR, TUNED, HANDWRITTEN, HANDWRITTEN_GZIP, DLT
    speed_cases = [
        Case(contender, messages, latency, page_size)
        for messages, latency in ((fast, 0.0), (slow, 0.05))
        for page_size in options.page_sizes
        for contender in (*contenders, *([SEQUENTIAL] if latency else []))
    ]
    # With many messages, the start hardly matters. With few, nothing else does.
    long_cases = [Case(contender, fast, 0.05, 200) for contender in (OPERATOR, TUNED, SEQUENTIAL)]
    start_cases = [Case(contender, ONE_PAGE, 0.0, ONE_PAGE) for contender in contenders]
    memory_cases = [
        Case(OPERATOR, messages, 0.0, 1000, file_format)
        for file_format in ("jsonl", "csv", "parquet")
        for messages in (fast, large)
    ]
    text = [
        "# Benchmark results",
        "",
        f"Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, Airflow {version('apache-airflow')}, dlt {version('dlt')}. "
        "Client, server and S3 server (SeaweedFS) share the cores, so compare ratios.",
        "",
    ]
    with tempfile.TemporaryDirectory(prefix="ip1-bench-") as folder, s3_server(Path(folder), buckets=[BUCKET]) as s3:
        home = Path(folder, "airflow")
        home.mkdir()
        if options.only != "memory":
            with (
                conversation_server(Path(folder, "fast"), fast, 0.0) as fast_url,
                conversation_server(Path(folder, "slow"), slow, 0.05) as slow_url,
                conversation_server(Path(folder, "long"), fast, 0.05) as long_url,
                conversation_server(Path(folder, "start"), ONE_PAGE, 0.0) as start_url,
            ):
                urls = {
                    (fast, 0.0): fast_url,
                    (slow, 0.05): slow_url,
                    (fast, 0.05): long_url,
                    (ONE_PAGE, 0.0): start_url,
                }
                servers = Servers(urls, s3, home)
                speed = measure_rounds(servers, [*start_cases, *speed_cases, *long_cases], options.rounds)
                costs = servers.measure_stages(fast_url)
            text += [
                "## Speed",
                "",
                "The export of a conversation to one gzipped JSON Lines object (dlt: to the objects that it writes). "
                "Times are measured inside the process, without its imports. The export of a single page shows what "
                "the start costs.",
                "",
                *speed_table(speed),
                "",
                "![Messages per second](results.svg)",
                "",
                "## Where the time goes",
                "",
                "Processor time per page of 200 messages in microseconds. Each stage runs alone in one thread.",
                "",
                *stage_table(costs),
                "",
            ]
            # The chart shows rates. The exports of a single page and those by few contenders do not belong there.
            draw({case: speed[case] for case in speed_cases}, options.output.with_suffix(".svg"))
        if options.only != "speed":
            with (
                conversation_server(Path(folder, "small"), fast, 0.0) as small_url,
                conversation_server(Path(folder, "large"), large, 0.0) as large_url,
            ):
                servers = Servers({(fast, 0.0): small_url, (large, 0.0): large_url}, s3, home)
                memory = measure_rounds(servers, memory_cases, 1)
            text += [
                "## Memory",
                "",
                "The operator's peak resident memory with pages of 1,000 messages.",
                "",
                *memory_table(memory),
            ]
    options.output.write_text("\n".join(text).rstrip() + "\n")
    print("\n".join(text))


if __name__ == "__main__":
    main()
