# SPDX-License-Identifier: Apache-2.0
"""
Airflow's constraint files, and whether our wheel installs under them: ``python -m dev.constraints dist/*.whl``.

Airflow publishes a file for each of its releases and each Python. Without a network, set CONSTRAINTS to a folder that
has files named ``<release>.txt``, each of which mentions its public address in a comment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from dev import PROJECT

#: Releases of Airflow, and the Pythons that they and this provider support.
RELEASES = {
    "2.11.0": ["3.11", "3.12"],
    "2.11.2": ["3.11", "3.12"],
    "3.0.6": ["3.11", "3.12"],
    "3.1.8": ["3.11", "3.12", "3.13"],
    "3.2.1": ["3.11", "3.12", "3.13", "3.14"],
    "3.3.1": ["3.11", "3.12", "3.13", "3.14"],
}


def find_constraints(release: str, python: str) -> str | None:
    """
    Return the address of a constraint file, or its path in the folder CONSTRAINTS.

    :param release: of Airflow, such as ``"3.3.1"``.
    :param python: version of Python, such as ``"3.12"``.
    :return: None if the folder does not have the file.
    """
    address = f"https://raw.githubusercontent.com/apache/airflow/constraints-{release}/constraints-{python}.txt"
    folder = os.environ.get("CONSTRAINTS")
    if not folder:
        return address
    path = Path(folder, f"{release}.txt")
    return str(path) if path.is_file() and address in path.read_text(encoding="utf-8") else None


def resolve(wheel: Path, release: str, python: str, constraints: str, extra: str) -> str:
    """
    Resolve the wheel and a release of Airflow under the unmodified constraints of that release.

    :return: why it is impossible, or an empty string.
    """
    requirements = f"apache-airflow=={release}\nairflow-provider-ip1{extra} @ {wheel.resolve().as_uri()}\n"
    command = [".tools/venv/bin/uv", "pip", "compile", "--quiet", "--python-version", python]
    command += ["--constraints", constraints, "-"]
    done = subprocess.run(command, cwd=PROJECT, input=requirements, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "failed" if done.returncode else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    done, failed = 0, 0
    for release, pythons in RELEASES.items():
        for python in pythons:
            name = f"Airflow {release}, Python {python}"
            constraints = find_constraints(release, python)
            if constraints is None:
                print(f"{name}: skipped, not in the folder CONSTRAINTS")
                continue
            for extra in ("", "[azure,parquet]"):
                problem = resolve(wheel, release, python, constraints, extra)
                print(f"{name}{extra and ' ' + extra}: {problem or 'ok'}", flush=True)
                done, failed = done + 1, failed + bool(problem)
    print(f"{done - failed} of {done} installations are possible")
    sys.exit(1 if failed or not done else 0)


if __name__ == "__main__":
    main()
