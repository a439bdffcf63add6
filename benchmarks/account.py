# SPDX-License-Identifier: Apache-2.0
"""
Compare the export of an account of batches of one message with a hand-tuned client, side by side in one run.

Each contender runs in its own process against the same server and the same real S3 server. Rounds are interleaved. Only
ratios within one run are meaningful. ``--memory`` compares the peak memory for 20,000 and 200,000 batches instead.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.account_server import account_server
from benchmarks.contenders.common import Job
from benchmarks.measuring import BUCKET, MIB, Run, report_of, requests_served
from dev import stack

OPERATOR, TUNED = "account_provider", "account_tuned"
CONCURRENCY = 8
PAGE_SIZE = 200


def measure(contender: str, ip1_url: str, s3: stack.S3Server, home: Path, batches: int) -> Run:
    """
    Export the account once in a new process.

    :param contender: name of a module in benchmarks.contenders.
    """
    job = Job(
        ip1_url=ip1_url,
        ip1_key=stack.SANDBOX_KEY,
        conversations=batches,
        messages=1,
        s3_url=s3.endpoint_url,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        bucket=BUCKET,
        key=f"{contender}.jsonl.gz",
        page_size=PAGE_SIZE,
        concurrency=CONCURRENCY,
        file_format="jsonl",
    )
    env = stack.airflow_environment(home) | {
        "AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(ip1_url, requests_per_second=0),
        "AIRFLOW_CONN_AWS_DEFAULT": stack.aws_connection(s3),
    }
    served = requests_served(ip1_url)
    found = report_of(f"benchmarks.contenders.{contender}", json.dumps(asdict(job)), env=env)
    return Run(**found, requests=requests_served(ip1_url) - served)


def compare(folder: Path, s3: stack.S3Server, batches: int, latency: float, rounds: int) -> None:
    """Measure both contenders in turns, and print the medians and their ratio."""
    results: dict[str, list[Run]] = {OPERATOR: [], TUNED: []}
    with account_server(folder / "server", batches, latency) as url:
        for number in range(rounds):
            for contender, runs in results.items():
                runs.append(measure(contender, url, s3, folder / "airflow", batches))
                print(f"round {number + 1}: {contender} {runs[-1].seconds:.2f} s", flush=True)
    setting = f"{batches:,} batches of one message, {latency * 1000:.0f} ms, {CONCURRENCY} in flight"
    print(f"\n{setting}, median of {rounds}\n")
    print("| | seconds | requests per batch | CPU seconds |\n| --- | --- | --- | --- |")
    for contender, runs in results.items():
        seconds, cpu = (statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_seconds"))
        print(f"| {contender} | {seconds:.2f} | {max(run.requests for run in runs) / batches:.3f} | {cpu:.2f} |")
    ratios = [tuned.seconds / ours.seconds for ours, tuned in zip(results[OPERATOR], results[TUNED], strict=True)]
    print(f"\nRelative to the hand-tuned client: {statistics.median(ratios):.2f} (median of the ratios of each round)")


def compare_memory(folder: Path, s3: stack.S3Server) -> None:
    """Print the operator's peak memory for two sizes of account."""
    for batches in (20_000, 200_000):
        with account_server(folder / str(batches), batches, 0.0) as url:
            run = measure(OPERATOR, url, s3, folder / "airflow", batches)
        print(f"{batches:,} batches: {run.peak_rss / MIB:.0f} MiB, {run.seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.02, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="compare the peak memory instead")
    options = parser.parse_args()
    stack.stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="ip1-bench-") as name:
        folder = Path(name)
        with stack.s3_server(folder, buckets=[BUCKET]) as s3:
            if options.memory:
                compare_memory(folder, s3)
            else:
                compare(folder, s3, options.batches, options.latency, options.rounds)


if __name__ == "__main__":
    main()
