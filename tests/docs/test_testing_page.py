# SPDX-License-Identifier: Apache-2.0
"""Run the project that the page "Test your DAG" shows, with the plugin as pytest finds it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from dev import PROJECT, stack
from dev.docs.plain_markdown import for_airflow_2, for_airflow_3


@pytest.mark.slow
def test_the_tests_on_the_page_pass(tmp_path: Path) -> None:
    for_this_airflow = for_airflow_2 if version("apache-airflow").startswith("2.") else for_airflow_3
    page = (PROJECT / "docs" / "testing.md").read_text(encoding="utf-8")
    files = re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", page, re.M | re.S)
    assert len(files) == page.count("```python\n"), "each block starts with the name of its file"
    project = tmp_path / "project"
    for name, text in files:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(for_this_airflow(text))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=stack.airflow_environment(tmp_path / "airflow"),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tests = sum(text.count("def test_") for _, text in files)
    assert f"{tests} passed" in done.stdout
