# SPDX-License-Identifier: Apache-2.0
"""Stopping a program with everything that it started."""

from __future__ import annotations

import signal
import sys

from airflow_provider_ip1.testing.processes import END_SIGNALS


def stop_on_signals() -> None:
    """Make Ctrl-C, a closed terminal and ``kill`` run this program's ``finally`` blocks. Later signals are ignored."""

    def stop(number: int, _frame: object) -> None:
        for each in END_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in END_SIGNALS:
        signal.signal(each, stop)
