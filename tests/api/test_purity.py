# SPDX-License-Identifier: Apache-2.0
"""The core can be used and tested without Airflow and without a network."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import airflow_provider_ip1.api

UNWANTED = {"airflow", "aiohttp", "asyncio", "boto3", "http", "httpx", "requests", "socket", "ssl", "urllib3", "yarl"}

PROBE = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages that importing the modules loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=Path(airflow_provider_ip1.api.__file__).parents[2],
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_core_loads_neither_airflow_nor_an_http_library() -> None:
    prefix = f"{airflow_provider_ip1.api.__name__}."
    modules = [
        module.name.removeprefix(prefix) for module in pkgutil.walk_packages(airflow_provider_ip1.api.__path__, prefix)
    ]
    assert {
        "decoding",
        "messages",
        "page_body",
        "call",
        "paging.pager",
        "phone",
        "requests",
        "settings",
        "status",
        "watching.watch",
    } <= set(modules)
    loaded = loaded_by(*(f"airflow_provider_ip1.api.{name}" for name in modules))
    assert "msgspec" in loaded
    # email.utils, which reads the dates of HTTP, loads socket for the name of this machine; nothing opens one.
    assert loaded & UNWANTED <= {"socket"}


def test_the_probe_sees_what_is_loaded() -> None:
    assert {"requests", "urllib3", "aiohttp"} <= loaded_by("requests", "aiohttp")
