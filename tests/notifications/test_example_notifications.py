# SPDX-License-Identifier: Apache-2.0
"""The example DAGs that notify, run by Airflow."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ip1.notifications.ip1 import IP1Notifier
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.airflow_runs import run_airflow
from tests.operators.sent_batches import NUMBER, posts

Serve = Callable[..., SandboxServer]
HAS_HUMAN_IN_THE_LOOP = True
try:
    import airflow.providers.standard.operators.hitl  # noqa: F401
except Exception:  # Airflow 2 has no such module, or refuses to import it
    HAS_HUMAN_IN_THE_LOOP = False
try:
    from airflow.triggers.callback import CallbackTrigger
except ImportError:
    CallbackTrigger = None


@pytest.mark.slow
def test_a_failed_task_sends_an_sms(airflow_db: Path, serve: Serve) -> None:
    server = serve(recipients=[NUMBER])
    log = run_airflow("dags", "test", "ip1_notify_failure", "--conf", '{"fail": true}').log
    text = server.conversation(NUMBER)[-1]["body"]
    assert text == "ip1_notify_failure: load has failed on try 1."
    assert posts(server) == 1
    assert NUMBER not in log


@pytest.mark.slow
def test_a_task_that_succeeds_sends_none(airflow_db: Path, serve: Serve) -> None:
    server = serve(recipients=[NUMBER])
    # Airflow 3.3.2 fails after the task, because it cannot delete the deadline.
    log = run_airflow("dags", "test", "ip1_notify_failure").log
    assert "Done. Returned value was: None" in log
    assert server.requests == []


@pytest.mark.slow
@pytest.mark.skipif(not HAS_HUMAN_IN_THE_LOOP, reason="needs Airflow 3.1")
def test_asks_for_approval_with_a_link(airflow_db: Path, serve: Serve) -> None:
    server = serve(recipients=[NUMBER])
    log = run_airflow(
        "tasks", "test", "ip1_approval", "approve", "2026-11-01", AIRFLOW__API__BASE_URL="https://airflow.example.com"
    ).log
    text = server.conversation(NUMBER)[-1]["body"]
    assert re.fullmatch(r"Send the reminders\? https://airflow\.example\.com/dags/ip1_approval/runs/\S+", text), log
    assert NUMBER not in log


@pytest.mark.skipif(CallbackTrigger is None, reason="needs Airflow 3.1")
@pytest.mark.parametrize("fault", [None, "401:method=POST"])
def test_a_missed_deadline_sends_an_sms(
    serve: Serve, fault: str | None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The triggerer runs the callback of a deadline like this, and logs its arguments if it fails."""
    server = serve(*filter(None, [fault]), recipients=[NUMBER])
    trigger = CallbackTrigger(
        callback_path=f"{IP1Notifier.__module__}.{IP1Notifier.__qualname__}",
        callback_kwargs={"body": "{{ dag_run.dag_id }} is late", "context": {"dag_run": {"dag_id": "nightly"}}},
    )

    async def run() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    events = asyncio.run(run())
    shown = repr(events) + caplog.text + "".join(capfd.readouterr())
    assert NUMBER not in shown
    assert server.key not in shown
    if fault is None:
        assert events[-1]["state"] == "success"
        assert server.conversation(NUMBER)[-1]["body"] == "nightly is late"
    else:
        assert events[-1]["state"] == "failed"
        assert "IP1AuthError" in shown
