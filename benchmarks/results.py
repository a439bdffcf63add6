# SPDX-License-Identifier: Apache-2.0
"""What the benchmark has measured, kept in ``results.json``. The tables and the documentation read it."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cases import OPERATOR, Case
from benchmarks.increment import Increment
from benchmarks.measuring import Run


@dataclass
class CaseResult:
    """
    The runs of one case.

    :param setting: the conversations and settings, in words.
    :param date: the day of the runs, ISO 8601.
    :param runs: contender -> its run in each round.
    """

    title: str
    setting: str
    messages: int
    conversations: int
    file_format: str
    date: str
    runs: dict[str, list[Run]]

    def median(self, contender: str, quantity: str = "seconds") -> float:
        """Return the median of a quantity, which is an attribute of :class:`~benchmarks.measuring.Run`."""
        values: list[float] = [getattr(run, quantity) for run in self.runs[contender]]
        return statistics.median(values)

    def operator_is_faster_than(self, contender: str) -> float:
        """Return how many times as fast as a contender the operator is: the median of the ratios of all rounds."""
        pairs = zip(self.runs[OPERATOR], self.runs[contender], strict=True)
        return statistics.median(theirs.seconds / ours.seconds for ours, theirs in pairs)

    def requests_per_conversation(self, contender: str) -> float:
        return self.median(contender, "requests") / self.conversations


@dataclass
class Results:
    """
    All results.

    :param machine: the machine and the versions of what ran on it, in words.
    :param cases: name of the case -> its result.
    :param stages: name of a stage -> processor time per page of the operator and of the ceiling, in microseconds.
    :param increments: the hourly runs of an export of the account with a checkpoint.
    :param imports: module -> the seconds that importing it adds to ``airflow.sdk``.
    """

    machine: str = ""
    cases: dict[str, CaseResult] = field(default_factory=dict)
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    increments: list[Increment] = field(default_factory=list)
    imports: dict[str, float] = field(default_factory=dict)

    def operator_is_faster_without_start(self, name: str, contender: str) -> float:
        """Return the same ratio for a case, but without the time that each takes to export a single page."""
        case, start = self.cases[name], self.cases["start"]
        theirs, ours = (case.median(each) - start.median(each) for each in (contender, OPERATOR))
        return theirs / ours

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read results. A file that does not exist contains none."""
        if not path.exists():
            return cls()
        found = json.loads(path.read_text(encoding="utf-8"))
        cases = {
            name: CaseResult(
                **case | {"runs": {key: [Run(**run) for run in runs] for key, runs in case["runs"].items()}}
            )
            for name, case in found["cases"].items()
        }
        stages = {name: (ours, ceiling) for name, (ours, ceiling) in found["stages"].items()}
        increments = [Increment(*increment) for increment in found.get("increments", ())]
        return cls(found["machine"], cases, stages, increments, found["imports"])

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def add(self, measured: Mapping[Case, Mapping[str, list[Run]]]) -> None:
        """Add cases. They replace earlier results of the same cases."""
        for case, runs in measured.items():
            self.cases[case.name] = CaseResult(
                title=case.title,
                setting=str(case),
                messages=case.source.total,
                conversations=case.source.conversations,
                file_format=case.file_format,
                date=f"{datetime.now(UTC):%Y-%m-%d}",
                runs=dict(runs),
            )


def this_machine() -> str:
    """Return the machine and the versions that matter, in words."""
    packages = ("dlt", "pyarrow", "requests", "aiohttp")
    versions: list[Any] = [f"Airflow {version('apache-airflow')}", *(f"{name} {version(name)}" for name in packages)]
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {', '.join(versions)}"
