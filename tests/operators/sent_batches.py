# SPDX-License-Identifier: Apache-2.0
"""What a sandbox has sent, and a task instance to send with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import requests

from airflow_provider_ip1.sandbox.server import SandboxServer

NUMBER, OTHER = "46701740605", "46701740606"
TEXT = "A text that nobody may see"


def context(try_number: int = 1, map_index: int = -1) -> Any:
    """As much of a task's context as the operator uses."""
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="send", map_index=map_index, try_number=try_number)
    return {"ti": ti}


def batches_with(server: SandboxServer, reference: str) -> list[dict[str, Any]]:
    """The batches with a reference, newest first, without any fault."""
    faults = [fault.spec for fault in server.faults]
    server.faults.clear()
    try:
        response = requests.get(
            f"{server.url}/v2/batches?order=DESC&limit=1000",
            headers={"Authorization": f"Bearer {server.key}"},
            timeout=30,
        )
    finally:
        server.faults.add(*faults)
    return [batch for batch in response.json() if batch["reference"] == reference]


def posts(server: SandboxServer) -> int:
    """How many requests to send the sandbox has received."""
    return sum(request.method == "POST" for request in server.requests)
