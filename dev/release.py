# SPDX-License-Identifier: Apache-2.0
"""
Check that a release tag, the package's version and the changelog agree: ``python -m dev.release v1.2.3``.

It prints the release's section of the changelog. Needs nothing installed.
"""

from __future__ import annotations

import re
import sys

from dev import PROJECT


def disagreement(tag: str, package: str, changelog: str) -> str | None:
    """
    Compare the three places that name a version.

    :param tag: ``v`` and the version.
    :param package: text of the package's ``__init__.py``.
    :param changelog: text of CHANGELOG.md; its newest section comes first.
    :return: what is wrong, or ``None``.
    """
    found = re.search(r'^__version__ = "(.+)"$', package, re.M)
    version = found[1] if found else ""
    if tag != f"v{version}":
        return f"The tag is {tag}, and the package's version is {version}."
    newest = re.search(r"^## (.+)$", changelog, re.M)
    heading = newest[1] if newest else ""
    if not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading):
        return f'The first section of CHANGELOG.md is "{heading}", not "{version} (YYYY-MM-DD)".'
    return None


def notes(changelog: str) -> str:
    """
    Return what is new in a release.

    :param changelog: text of CHANGELOG.md.
    :return: its newest section, without the heading. Links lead to files of the repository.
    """
    sections = re.split(r"(?m)^## .+\n", changelog)
    return sections[1].strip() + "\n"


def main() -> None:
    (tag,) = sys.argv[1:]
    package = (PROJECT / "airflow_provider_ip1" / "__init__.py").read_text()
    changelog = (PROJECT / "CHANGELOG.md").read_text()
    if wrong := disagreement(tag, package, changelog):
        sys.exit(wrong)
    print(notes(changelog), end="")


if __name__ == "__main__":
    main()
