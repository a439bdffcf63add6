# SPDX-License-Identifier: Apache-2.0
"""
Look up known vulnerabilities of what ``make install`` installs, and of what users may have, with pip-audit.

The latter are the versions of our direct dependencies that the constraints of each Airflow pin, and our lower bounds.
These are reported only: users choose their Airflow, and docs/internals/old-versions.md says what they should know.
Airflow itself is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

from dev import PROJECT

REQUIREMENTS = PROJECT / "dev" / "requirements"


class Skipped(Exception):
    """The index has no data on vulnerabilities, or is out of reach. The message says which."""


def pins(path: Path) -> list[str]:
    """Return the pins of a file that apply to this Python, as ``name==version``."""
    requirements = (
        Requirement(line.rstrip(" \\"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(("#", " "))
    )
    return [f"{each.name}{each.specifier}" for each in requirements if each.marker is None or each.marker.evaluate()]


def direct_pins(path: Path) -> list[str]:
    """Return the pins of our direct dependencies, as ``name==version``, without Airflow."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {
        Requirement(text).name for text in sum(project["optional-dependencies"].values(), project["dependencies"])
    }
    return [pin for pin in pins(path) if pin.split("==")[0] in direct - {"apache-airflow"}]


def findings(report: str) -> list[str]:
    """
    Read pip-audit's JSON report.

    :param report: what pip-audit printed. It prints nothing if the index is out of reach.
    :return: a line for each vulnerability, and for each package without data although others have some.
    :raises Skipped: if there is no data for any package. pip-audit itself reports success then.
    """
    if not report.strip():
        raise Skipped("the index is out of reach")
    dependencies = json.loads(report)["dependencies"]
    if all("skip_reason" in each for each in dependencies):
        raise Skipped("the index has no data on vulnerabilities")
    found = []
    for each in dependencies:
        if "skip_reason" in each:
            found.append(f"{each['name']}: not checked: {each['skip_reason']}")
        for vulnerability in each.get("vulns", []):
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
            names = ", ".join([vulnerability["id"], *vulnerability["aliases"]])
            found.append(f"{each['name']} {each['version']}: {names}, fixed in {fixed}")
    return found


def audit(packages: Iterable[str]) -> list[str]:
    """
    Look up packages.

    :param packages: each as ``name==version``.
    :return: what was found, as in :func:`findings`.
    :raises Skipped: if nothing could be looked up.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(packages))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--requirement", file.name, "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return findings(done.stdout)


def look_up(title: str, packages: list[str]) -> list[str]:
    """Look up packages as :func:`audit` does, and print what was found."""
    lines = audit(packages)
    print(f"{title}: {len(packages)} packages, {len(lines)} findings", *lines, sep="\n  ", flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--require", action="store_true", help="fail if the index has no data or is out of reach")
    options = parser.parse_args()
    try:
        for path in sorted([*REQUIREMENTS.glob("airflow-*.txt"), REQUIREMENTS / "lowest.txt"]):
            look_up(f"Users, {path.stem} (reported only)", direct_pins(path))
        found = look_up("Development", pins(REQUIREMENTS / "dev.txt"))
    except Skipped as reason:
        print(f"SKIPPED: nothing was checked, because {reason}")
        sys.exit(1 if options.require else 0)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
