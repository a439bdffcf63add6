# SPDX-License-Identifier: Apache-2.0
"""dev.audit reports each vulnerability, and never mistakes missing data for their absence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev import PROJECT, audit

CLEAN = {"name": "yarl", "version": "1.25.1", "vulns": []}
UNKNOWN = {"name": "isal", "skip_reason": "Dependency not found on PyPI and could not be audited: isal (1.7.2)"}
VULNERABLE = {
    "name": "urllib3",
    "version": "2.6.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.7.0"], "aliases": ["CVE-2026-44432"], "description": "a bomb"}],
}


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_nothing_found() -> None:
    assert audit.findings(report(CLEAN)) == []


def test_a_vulnerability_is_reported_with_its_fix() -> None:
    assert audit.findings(report(CLEAN, VULNERABLE)) == ["urllib3 2.6.0: PYSEC-1, CVE-2026-44432, fixed in 2.7.0"]


def test_a_package_without_data_is_reported() -> None:
    (line,) = audit.findings(report(CLEAN, UNKNOWN))
    assert line.startswith("isal: not checked: ")


@pytest.mark.parametrize(
    ("printed", "reason"), [("", "out of reach"), (report(UNKNOWN, UNKNOWN), "no data on vulnerabilities")]
)
def test_without_data_nothing_was_checked(printed: str, reason: str) -> None:
    with pytest.raises(audit.Skipped, match=reason):
        audit.findings(printed)


def test_lower_bounds_are_the_versions_in_pyproject_without_airflow() -> None:
    bounds = dict(pin.split("==") for pin in audit.direct_pins(audit.REQUIREMENTS / "lowest.txt"))
    assert {"aiohttp", "requests", "urllib3", "pyarrow"} <= set(bounds)
    assert "apache-airflow" not in bounds
    text = (PROJECT / "pyproject.toml").read_text()
    assert all(f'"{name}>={version}"' in text for name, version in bounds.items())
