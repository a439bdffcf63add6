# SPDX-License-Identifier: Apache-2.0
"""The example DAG ip1_ask_and_branch, run by ``airflow dags test``, which runs the trigger as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.participants import EMPTY
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.airflow_runs import dags_test
from tests.sensors.poll_clock import FromFirstPoll

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("reply", "said"), [("Ja, tack!", "The customer will come."), ("NO", "The customer will not come.")]
)
def test_the_reply_decides(airflow_db: Path, reply: str, said: str) -> None:
    clock = FromFirstPoll("/conversations/")
    with SandboxServer(messages=20, delivery_seconds=1, replies=[f"1={reply}"], clock=clock) as sandbox:
        clock.requests = sandbox.requests
        log = dags_test(
            "ip1_ask_and_branch", AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url), IP1_RECIPIENT=EMPTY
        )
    assert said in log
    assert "running trigger in line" in log
    assert log.count("The customer will") == 1
    assert "Ja, tack!" not in log
