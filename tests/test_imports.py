# SPDX-License-Identifier: Apache-2.0
"""Parsing a DAG must be cheap: what a DAG file imports does not load the libraries that only a running task needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import airflow_provider_ip1

HEAVY = (
    "boto3",
    "botocore",
    "airflow.providers.amazon",
    "airflow.providers.microsoft",
    "azure",
    "aiohttp",
    "requests",
    "pyarrow",
)

# The classes that DAG authors import, by the kinds that Airflow's provider metadata knows.
KINDS = ("operators", "sensors", "notifications", "transfers")
PACKAGE = Path(airflow_provider_ip1.__file__).parent
MODULES = sorted(
    f"airflow_provider_ip1.{kind}.{path.stem}"
    for kind in KINDS
    for path in (PACKAGE / kind).glob("*.py")
    if path.stem != "__init__"
)

# Airflow itself may load some of the libraries with its base classes, so only what our modules add counts.
PROBE = """
import importlib, json, sys
from airflow_provider_ip1 import compat
for name in ("Asset", "BaseNotifier", "BaseOperator", "BaseOperatorLink", "BaseSensorOperator", "Stats", "XCom"):
    getattr(compat, name)
added = {}
for module in sys.argv[1:]:
    before = set(sys.modules)
    importlib.import_module(module)
    added[module] = sorted(set(sys.modules) - before)
print(json.dumps(added))
"""


def added_by(*modules: str) -> dict[str, list[str]]:
    """Import the modules one after the other in a new process. Returns what each of them loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *modules], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    added: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return added


def is_heavy(name: str) -> bool:
    return any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY)


def test_importing_what_dags_use_loads_nothing_heavy() -> None:
    assert "airflow_provider_ip1.transfers.conversation_to_s3" in MODULES
    assert "airflow_provider_ip1.sensors.message_status" in MODULES
    added = added_by(*MODULES)
    assert {module: heavy for module, names in added.items() if (heavy := [*filter(is_heavy, names)])} == {}


def test_the_probe_sees_what_a_module_loads() -> None:
    module = "airflow_provider_ip1.client.sync_client"
    # Not requests itself, which Airflow 2 loads anyway.
    assert "airflow_provider_ip1.client.tls" in added_by(module)[module]
