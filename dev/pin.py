# SPDX-License-Identifier: Apache-2.0
"""
Write the pinned versions in dev/requirements, and the hashes of their files, with uv. Uses only the standard library.

``newest`` pins what ``make install``, ``make test-ui`` and ``make bench`` install; ``matrix`` pins what nox installs
for each older Airflow, under that Airflow's own constraints (see :mod:`dev.constraints`), and for the lower bounds in
pyproject.toml.
"""

from __future__ import annotations

import argparse
import subprocess

from dev import PROJECT
from dev.constraints import find_constraints

FOLDER = "dev/requirements"
# Releases that are tested with the versions that their own constraints pin, because their users install these. The
# constraints for this Python also serve for the others.
CONSTRAINED = ("2.11.0", "2.11.2", "3.0.6", "3.2.1", "3.3.1")
CONSTRAINTS_PYTHON = "3.12"
PROJECT_AND_PARQUET = ("pyproject.toml", "--extra", "parquet")
PROJECT_AND_EXTRAS = (*PROJECT_AND_PARQUET, "--extra", "azure")


def write_pins(name: str, target: str, *arguments: str, requirements: str | None = None) -> None:
    """
    Resolve requirements into one file of pinned versions.

    :param name: the file, without its suffix.
    :param target: the make target that the head of the file mentions.
    :param arguments: for ``uv pip compile``.
    :param requirements: what "-" among the arguments stands for.
    """
    command = [".tools/venv/bin/uv", "pip", "compile", "--quiet", "--python-version", "3.11", *arguments]
    command += [
        "--generate-hashes",
        "--custom-compile-command",
        f"make {target}",
        "--output-file",
        f"{FOLDER}/{name}.txt",
    ]
    subprocess.run(command, cwd=PROJECT, input=requirements, text=True, check=True)


def pin_newest(*options: str) -> None:
    """Pin the environments of the newest Airflow, with further options for uv."""
    # What installs everything else, so its own pins come first.
    write_pins("uv", "requirements", "-", "--universal", *options, requirements="uv\n")
    for name, project in (("dev", PROJECT_AND_EXTRAS), ("bench", PROJECT_AND_PARQUET)):
        write_pins(name, "requirements", *project, "--group", name, "--universal", *options)
    write_pins("ui", "requirements", "--group", "ui", "--constraints", f"{FOLDER}/dev.txt", "--universal", *options)


def pin_matrix(*options: str) -> None:
    """Pin the environments of the older Airflows and of the lower bounds, with further options for uv."""
    test = (*PROJECT_AND_EXTRAS, "--group", "test")
    for version in CONSTRAINED:
        constraints = find_constraints(version, CONSTRAINTS_PYTHON)
        if constraints is None:
            raise SystemExit(f"The folder CONSTRAINTS does not have Airflow {version} for Python {CONSTRAINTS_PYTHON}")
        # Annotations would name the place of the constraints.
        arguments = (*test, "-", "--universal", "--no-annotate", "--constraints", constraints, *options)
        airflow = f"apache-airflow=={version}\n"
        write_pins(f"airflow-{version}", "matrix-requirements", *arguments, requirements=airflow)
    arguments = (*test, "-", "--universal", *options)
    write_pins("airflow-3.1", "matrix-requirements", *arguments, requirements="apache-airflow==3.1.*\n")
    # uv would keep a pin that is higher than a lower bound, so this file is always resolved again.
    lowest = ("--resolution", "lowest-direct", "--upgrade", "--no-annotate")
    write_pins("lowest", "matrix-requirements", *test, *lowest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["newest", "matrix"])
    parser.add_argument("--upgrade", action="store_true", help="renew all pins; default: keep those that still fit")
    options = parser.parse_args()
    pin = pin_newest if options.what == "newest" else pin_matrix
    pin(*(["--upgrade"] if options.upgrade else []))


if __name__ == "__main__":
    main()
