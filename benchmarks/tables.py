# SPDX-License-Identifier: Apache-2.0
"""The results as a Markdown page."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.cases import MEMORY_CASES, SPEED_CASES
from benchmarks.increment import BATCHES_A_DAY
from benchmarks.measuring import MIB
from benchmarks.results import Results


def page(results: Results) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# Benchmark results"
    yield ""
    yield (
        f"Made by `make bench` on {results.machine}. The client, the server and the S3 server (SeaweedFS) share the "
        "cores, so compare ratios."
    )
    for case in SPEED_CASES:
        if case.name in results.cases:
            yield from _speed_section(results, case.name)
    if results.stages:
        yield from _stage_section(results)
    if results.increments:
        yield from _increment_section(results)
    if results.imports:
        yield from _import_section(results)
    if any(case.name in results.cases for case in MEMORY_CASES):
        yield from _memory_section(results)


def _speed_section(results: Results, name: str) -> Iterator[str]:
    case = results.cases[name]
    start = results.cases.get("start")
    yield from ("", f"## {case.title}", "")
    yield f"{case.setting[0].upper()}{case.setting[1:]}, measured on {case.date}."
    yield ""
    yield (
        "| contender | seconds, median (range) | messages/s | the operator is | without start-up | "
        "CPU s per million messages | requests per conversation or batch | peak MiB |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for contender, runs in case.runs.items():
        seconds = sorted(run.seconds for run in runs)
        median = statistics.median(seconds)
        has_start = start is not None and name != "start" and contender in start.runs
        yield (
            f"| {contender} | {median:.2f} ({seconds[0]:.2f}-{seconds[-1]:.2f}) | {case.messages / median:,.0f} "
            f"| {case.operator_is_faster_than(contender):.2f} x as fast "
            f"| {f'{results.operator_is_faster_without_start(name, contender):.2f} x' if has_start else ''} "
            f"| {case.median(contender, 'cpu_seconds') / case.messages * 1e6:,.1f} "
            f"| {case.requests_per_conversation(contender):.2f} "
            f"| {max(run.peak_rss for run in runs) / MIB:.0f} |"
        )


def _stage_section(results: Results) -> Iterator[str]:
    yield from ("", "## Where the time goes", "")
    yield "Processor time per page of 200 messages in microseconds. Each stage runs alone in one thread."
    yield from ("", "| stage | operator | ceiling |", "| --- | ---: | ---: |")
    totals = tuple(map(sum, zip(*results.stages.values(), strict=True)))
    for name, (ours, ceiling) in {**results.stages, "**all of it**": totals}.items():
        yield f"| {name} | {ours:.0f} | {ceiling:.0f} |"


def _increment_section(results: Results) -> Iterator[str]:
    yield from ("", "## Hourly increments of an account", "")
    yield (
        f"An export with a checkpoint, after the first one. The account has {BATCHES_A_DAY:,} batches a day, "
        "delivered within minutes, and 1 % of them within two days. Requests are proportional to the number of batches."
    )
    yield from ("", "| run | new, young or unsettled batches | requests |", "| --- | ---: | ---: |")
    for number, found in enumerate(results.increments, start=1):
        yield f"| {number} | {found.batches} | {found.requests} |"


def _import_section(results: Results) -> Iterator[str]:
    yield from ("", "## Imports", "")
    yield (
        "The time that importing a module adds to `airflow.sdk`, which Airflow spends each time it parses a DAG file. "
        "The last line is an operator of the Amazon provider, for comparison."
    )
    yield from ("", "| module | ms | relative to the last line |", "| --- | ---: | ---: |")
    last = [*results.imports.values()][-1]
    for module, seconds in results.imports.items():
        yield f"| `{module}` | {seconds * 1000:.0f} | {seconds / last:.2f} |"


def _memory_section(results: Results) -> Iterator[str]:
    yield from ("", "## Memory", "")
    yield "The operator's peak resident memory. One run each."
    yield from ("", "| case | seconds | messages/s | peak MiB |", "| --- | ---: | ---: | ---: |")
    for case in MEMORY_CASES:
        if (result := results.cases.get(case.name)) is not None:
            ((run,),) = result.runs.values()
            yield (
                f"| {result.setting} | {run.seconds:.1f} | {result.messages / run.seconds:,.0f} "
                f"| {run.peak_rss / MIB:.0f} |"
            )
