# SPDX-License-Identifier: Apache-2.0
"""Run the tests that the documentation shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dev import PROJECT, stack


@pytest.mark.slow
def test_the_tests_on_the_page_pass(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "testing.md").read_text(encoding="utf-8")
    conftest, tests = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_dag.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=stack.airflow_environment(tmp_path / "airflow"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{tests.count('def test_')} passed" in done.stdout
