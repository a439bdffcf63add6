# SPDX-License-Identifier: Apache-2.0
"""
Compare the export with what people use instead, side by side: ``make bench``.

Each contender runs in its own process against the same server and the same real S3 server. Rounds are interleaved, so
that a machine that slows down slows all contenders. Times are measured inside the process, without its imports. Only
ratios within one round are meaningful.

The results are added to results.json, so parts can be measured again with --only. results.md is then written
from it, and `make docs` renews what the documentation shows.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from airflow_provider_ip1.sandbox.participants import MAIN
from benchmarks.cases import MEMORY_CASES, SPEED_CASES, Source
from benchmarks.increment import Increment, server
from benchmarks.measuring import BUCKET, Bench, measure_rounds, report_of
from benchmarks.results import Results, this_machine
from benchmarks.tables import page
from dev import PROJECT, stack

MEMORY, STAGES, INCREMENT, IMPORTS = "memory", "stages", "increment", "imports"
PARTS = [*(case.name for case in SPEED_CASES), STAGES, INCREMENT, IMPORTS, MEMORY]
#: What DAG files import, and an operator to compare with.
IMPORTED = [
    "airflow_provider_ip1.transfers.conversation_to_s3",
    "airflow_provider_ip1.transfers.messages_to_s3",
    "airflow_provider_ip1.operators.send_sms",
    "airflow_provider_ip1.notifications.ip1",
    "airflow_provider_ip1.sensors.message_status",
    "airflow_provider_ip1.sensors.incoming_sms",
    "airflow.providers.amazon.aws.transfers.http_to_s3",
]


def measure_stages(folder: Path) -> dict[str, tuple[float, float]]:
    source = Source(30_000)
    with Bench.running(folder, [source]) as bench:
        stages = bench.run("benchmarks.stages", bench.ip1[source], f"{bench.ip1[source]}/v2/conversations/{MAIN}")
    return {name: (ours, ceiling) for name, ours, ceiling in stages}


def measure_increments(folder: Path) -> list[Increment]:
    with Bench.running(folder, []) as bench, server(folder) as url:
        return [Increment(*found) for found in bench.run("benchmarks.increment", url, url, BUCKET)]


def measure_imports(env: Mapping[str, str], rounds: int) -> dict[str, float]:
    """Return the seconds that each module adds to ``airflow.sdk``. The first round only writes bytecode."""
    seconds: dict[str, list[float]] = {module: [] for module in IMPORTED}
    for number in range(rounds + 1):
        for module, found in seconds.items():
            time = report_of("benchmarks.imports", module, env=env)
            if number:
                found.append(time)
    return {module: statistics.median(found) for module, found in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5, help="number of runs per contender (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the amounts of messages (default: 1)")
    parser.add_argument(
        "--output", type=Path, default=PROJECT / "benchmarks", help="folder of the results (default: benchmarks)"
    )
    options = parser.parse_args()
    stack.stop_on_signals()
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "results.json"
    results = Results.load(path)
    results.machine = this_machine()

    speed = [case.scaled(options.scale) for case in SPEED_CASES if case.name in options.only]
    memory = [case.scaled(options.scale) for case in MEMORY_CASES] if MEMORY in options.only else []
    # One after the other, because the server with 1,000,000 messages takes a gigabyte.
    for cases in (speed, memory):
        if cases:
            with (
                tempfile.TemporaryDirectory(prefix="ip1-bench-") as folder,
                Bench.running(Path(folder), [case.source for case in cases]) as bench,
            ):
                results.add(measure_rounds(bench, cases, options.rounds))
            results.save(path)
    with tempfile.TemporaryDirectory(prefix="ip1-bench-") as folder:
        if STAGES in options.only:
            results.stages = measure_stages(Path(folder))
        if INCREMENT in options.only:
            results.increments = measure_increments(Path(folder))
        if IMPORTS in options.only:
            results.imports = measure_imports(stack.airflow_environment(Path(folder, "airflow")), options.rounds)
    results.save(path)
    text = "\n".join(page(results)) + "\n"
    (options.output / "results.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
