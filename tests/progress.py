# SPDX-License-Identifier: Apache-2.0
"""The output of a parallel run of all tests: a line now and then instead of ten thousand dots."""

from __future__ import annotations

import time
from typing import Any

import pytest

#: How many lines a run prints.
LINES = 20


class Progress:
    """
    Prints how many tests have ended, and after how long.

    Failures are still shown at once, by their letters.

    :param reporter: pytest's own reporter.
    """

    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter
        self._began = time.monotonic()
        self._ended = 0
        self._printed = 0

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        if hasattr(report, "wasxfail"):
            return None
        if report.skipped:
            return "skipped", "", "SKIPPED"
        return ("passed", "", "PASSED") if report.passed and report.when == "call" else None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._ended += report.when == "teardown"
        done, total = self._ended, self._session.testscollected
        if total and done * LINES // total > self._printed:
            self._printed = done * LINES // total
            minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
            self._reporter.ensure_newline()
            self._reporter.write_line(f"{done:>7,} of {total:,} tests after {minutes}:{seconds:02} minutes")
