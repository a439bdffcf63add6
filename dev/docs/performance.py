# SPDX-License-Identifier: Apache-2.0
"""What the page Performance says first, from ``benchmarks/results.json``: the gains and the chart."""

from __future__ import annotations

from benchmarks.cases import DLT, HANDWRITTEN, HTTP_OPERATOR, OPERATOR
from benchmarks.measuring import MIB
from benchmarks.results import CaseResult, Results
from dev import PROJECT

#: Contender -> what a reader knows it as.
NAMES = {
    OPERATOR: "this provider",
    HANDWRITTEN: "requests, S3Hook",
    HTTP_OPERATOR: "HttpOperator",
    DLT: "dlt",
}
LONGEST_BAR = 30.0


def results() -> Results:
    return Results.load(PROJECT / "benchmarks" / "results.json")


def _times(case: CaseResult, contender: str) -> str:
    return f"{case.operator_is_faster_than(contender):.0f} times"


def gains() -> str:
    """Return what a user gains, as a list."""
    found = results()
    latency, account = found.cases["latency"], found.cases["account"]
    small, large = (found.cases[f"memory-jsonl-{messages}"] for messages in (100_000, 1_000_000))
    lines = [
        f"**{_times(latency, HANDWRITTEN)} as fast as `requests` with `S3Hook`**, and {_times(latency, DLT)} as fast "
        "as dlt, if each response takes 50 ms, 8 requests may be in flight and `requests_per_second` does not limit "
        f"them: {latency.messages:,} messages in {latency.median(OPERATOR):.1f} s instead of "
        f"{latency.median(HANDWRITTEN):.1f} s.",
        f"**{_memory(latency, OPERATOR)} MiB of memory instead of {_memory(latency, HANDWRITTEN)} MiB** in the same "
        f"export. {large.messages:,} messages take {_memory(large, OPERATOR) - _memory(small, OPERATOR)} MiB more than "
        f"{small.messages:,}.",
        f"**One request per batch** for a whole account: {account.messages:,} batches of one SMS in "
        f"{account.median(OPERATOR):.0f} s, if each response takes 20 ms.",
    ]
    if defaults := found.cases.get("defaults"):
        lines.insert(
            1,
            f"**{_times(defaults, HANDWRITTEN)} as fast with the default settings:** {defaults.messages:,} messages in "
            f"{defaults.median(OPERATOR, 'requests'):.0f} requests instead of "
            f"{defaults.median(HANDWRITTEN, 'requests'):.0f}.",
        )
    return "\n".join(f"- {line}" for line in lines)


def _memory(case: CaseResult, contender: str) -> int:
    return round(max(run.peak_rss for run in case.runs[contender]) / MIB)


def chart() -> str:
    """Return the chart as the text of a diagram: a bar of seconds for each contender."""
    case = results().cases["latency"]
    seconds = {contender: case.median(contender) for contender in NAMES if contender in case.runs}
    longest = max(seconds.values())
    lines = [f"title 0,2: Seconds to export {case.messages:,} messages | shorter is better; each response takes 50 ms"]
    for place, (contender, taken) in enumerate(seconds.items()):
        y, length = 6 + 5 * place, LONGEST_BAR * taken / longest
        lines += [
            f"note 0,{y + 2.4:g}: {NAMES[contender]}",
            f"box bar{place} 15,{y} {length:.2f}x3.6 [{'main' if contender == OPERATOR else 'bar'}]",
            f"note {16 + length:.2f},{y + 2.4:g}: {taken:.1f} s",
        ]
    return "\n".join([f"size 56x{6 + 5 * len(seconds)}", *lines])
