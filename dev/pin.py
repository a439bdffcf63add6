# SPDX-License-Identifier: Apache-2.0
"""
Write the pinned versions in dev/requirements, and the hashes of their files, with uv. Uses only the standard library.

``newest`` pins what ``make install``, ``make test-ui`` and ``make bench`` install; ``matrix`` pins what nox installs
for each older Airflow and for the lower bounds in pyproject.toml.
"""

from __future__ import annotations

import argparse
import subprocess

from dev import PROJECT

FOLDER = "dev/requirements"
OLDER_AIRFLOWS = ("2.11", "3.0", "3.1", "3.2")
# What an Airflow allows but does not work with. Its own constraints have an older version.
UNUSABLE = {"3.0": "fastapi<0.117\npyjwt<2.11\n", "3.2": "fastapi<0.137\nsvcs<26\n"}
PROJECT_AND_PARQUET = ("pyproject.toml", "--extra", "parquet")


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
    for name in ("dev", "bench"):
        write_pins(name, "requirements", *PROJECT_AND_PARQUET, "--group", name, "--universal", *options)
    write_pins("ui", "requirements", "--group", "ui", "--constraints", f"{FOLDER}/dev.txt", "--universal", *options)


def pin_matrix(*options: str) -> None:
    """Pin the environments of the older Airflows and of the lower bounds, with further options for uv."""
    test = (*PROJECT_AND_PARQUET, "--group", "test")
    for version in OLDER_AIRFLOWS:
        airflow = f"apache-airflow=={version}.*\n{UNUSABLE.get(version, '')}"
        arguments = (*test, "-", "--universal", *options)
        write_pins(f"airflow-{version}", "matrix-requirements", *arguments, requirements=airflow)
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
