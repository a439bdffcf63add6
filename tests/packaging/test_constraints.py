# SPDX-License-Identifier: Apache-2.0
"""The constraint files of Airflow's releases: where they are, and what is checked under them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dev import PROJECT, constraints, pin

ADDRESS = "https://raw.githubusercontent.com/apache/airflow/constraints-3.0.6/constraints-3.12.txt"


def test_the_public_address_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSTRAINTS", raising=False)
    assert constraints.find_constraints("3.0.6", "3.12") == ADDRESS


def test_a_folder_has_the_files_of_one_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONSTRAINTS", str(tmp_path))
    path = tmp_path / "3.0.6.txt"
    assert constraints.find_constraints("3.0.6", "3.12") is None
    path.write_text(f"#\n# {ADDRESS}\nrequests==2.32.5\n")
    assert constraints.find_constraints("3.0.6", "3.12") == str(path)
    assert constraints.find_constraints("3.0.6", "3.11") is None
    assert constraints.find_constraints("2.11.0", "3.12") is None


def test_without_any_file_nothing_was_checked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dev.constraints", "some.whl"]
    done = subprocess.run(
        command, cwd=PROJECT, env={"CONSTRAINTS": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "0 of 0 installations are possible")


def test_every_tested_release_is_checked_with_the_same_pythons() -> None:
    pytest.importorskip("nox", reason="only the newest environment has the tools for releases")
    from dev import noxfile

    for release in pin.CONSTRAINED:
        _, pythons = noxfile.MATRIX[release]
        assert constraints.RELEASES[release] == pythons
        assert pin.CONSTRAINTS_PYTHON in pythons
    assert {release.rpartition(".")[0] for release in constraints.RELEASES} >= {
        ".".join(airflow.split(".")[:2]) for airflow in noxfile.MATRIX
    }
