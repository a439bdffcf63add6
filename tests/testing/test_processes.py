# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from airflow_provider_ip1.testing.processes import ProgramError, running

# A program that ignores SIGTERM, with a child.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def python(code: str) -> list[str | Path]:
    return [sys.executable, "-c", code]


def test_a_program_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    with running("The server", python("print('no port'); exit(3)"), log_path=tmp_path / "server.log") as process:
        with pytest.raises(ProgramError, match="^The server ended with exit code 3.*server.log:\nno port$"):
            process.wait_until(lambda: False, seconds=60)


def test_a_program_that_does_not_serve_in_time_is_reported_and_stopped(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="^The server was not ready within 0 s"):
        with running("The server", python("import time; time.sleep(600)"), log_path=tmp_path / "log") as process:
            process.wait_until(lambda: False, seconds=0)
    assert process.popen.poll() is not None


def test_a_program_that_ignores_signals_is_killed_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("The server", python(STUBBORN), log_path=log) as process:
        process.wait_until(lambda: log.read_text().endswith("\n"), seconds=60)
        child = psutil.Process(int(log.read_text().split()[-1]))
        process.stop(patience=0.2)
    assert process.popen.returncode == -9
    child.wait(timeout=10)


def test_a_program_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        with running("The server", [tmp_path / "missing"], log_path=tmp_path / "log"):
            pass
