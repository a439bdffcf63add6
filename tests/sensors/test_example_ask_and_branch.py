# SPDX-License-Identifier: Apache-2.0
"""The example DAG ip1_ask_and_branch, run by ``airflow dags test``, which runs the trigger as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("reply", "said"), [("Ja, tack!", "The customer will come."), ("NO", "The customer will not come.")]
)
def test_the_reply_decides(airflow_db: Path, reply: str, said: str) -> None:
    with SandboxServer(messages=20, delivery_seconds=1, replies=[f"1={reply}"]) as sandbox:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "dags", "test", "ip1_ask_and_branch"],
            env=os.environ | {"AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(sandbox.url), "IP1_RECIPIENT": EMPTY},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    assert said in log
    assert "running trigger in line" in log
    assert log.count("The customer will") == 1
    assert "Ja, tack!" not in log
