# SPDX-License-Identifier: Apache-2.0
"""Parsing a DAG must be cheap: what a DAG file imports does not load the libraries that only a running task needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_ip1

HEAVY = (
    "boto3",
    "botocore",
    "airflow.providers.amazon",
    "aiohttp",
    "requests",
    "pyarrow",
    "airflow_provider_ip1.hooks",
)

# Airflow itself may load some of them, so only what our modules add counts.
PROBE = """
import importlib, json, sys
import airflow.providers.common.compat.sdk as sdk
for name in sys.argv[2:]:
    getattr(sdk, name, None)
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""
BASES = ("BaseOperator", "BaseOperatorLink", "BaseSensorOperator", "BaseNotifier", "XCom", "Stats", "Asset")


def added_by(module: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, module, *BASES], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    added: list[str] = json.loads(done.stdout.splitlines()[-1])
    return added


# The classes that DAG authors import, by the kinds that Airflow's provider metadata knows.
KINDS = ("operators", "notifications", "transfers")
PACKAGE = Path(airflow_provider_ip1.__file__).parent
MODULES = sorted(
    f"airflow_provider_ip1.{kind}.{path.stem}"
    for kind in KINDS
    for path in (PACKAGE / kind).glob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.parametrize("module", MODULES)
def test_importing_what_dags_use_loads_nothing_heavy(module: str) -> None:
    added = added_by(module)
    assert module in added
    assert [name for name in added if name.startswith(tuple(HEAVY))] == []


def test_the_probe_sees_what_a_module_loads() -> None:
    assert {"airflow_provider_ip1.hooks.ip1", "requests"} & set(added_by("airflow_provider_ip1.hooks.ip1"))
