# SPDX-License-Identifier: Apache-2.0
"""Rescheduled sensors in a real Airflow: each poke is another process, and the scheduler decides when it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.triggers.real_airflow import environment, real_scheduler, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.scheduler]

DAG_FILE = """
import json, os
from datetime import datetime, timedelta

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor


def note(end):
    def callback(context):
        error = context.get("exception")
        with open(os.environ["IP1_ENDS"], "a") as file:
            file.write(json.dumps([context["ti"].task_id, end, type(error).__name__ if error else None]) + "\\n")

    return callback


STUCK = DEMO_BATCHES["stuck"][0]
defaults = {
    "mode": "reschedule",
    "deferrable": False,
    # On a busy machine, Airflow 3 takes a sensor for dead that it reschedules within seconds.
    "poke_interval": 15,
    "on_success_callback": note("success"),
    "on_failure_callback": note("failed"),
    "on_skipped_callback": note("skipped"),
}
with DAG("reschedule", schedule="@once", start_date=datetime(2026, 1, 1), catchup=False, default_args=defaults):
    # The second poke is more than CLOCK_MARGIN after the reply.
    IncomingSmsSensor(task_id="reply", participant=MAIN, poke_interval=40, timeout=300)
    MessageStatusSensor(task_id="time_up", batch_id=STUCK, timeout=40)
    MessageStatusSensor(task_id="time_up_never_fail", batch_id=STUCK, timeout=40, never_fail=True)
    MessageStatusSensor(task_id="time_up_soft_fail", batch_id=STUCK, timeout=40, soft_fail=True)
    MessageStatusSensor(task_id="unknown", batch_id="unknown", timeout=300, not_found_timeout=40)
"""


def reply_after_the_first_poke(sandbox: SandboxServer) -> None:
    def is_polled() -> bool:
        return any(request.path.endswith(f"{MAIN}/mo") for request in sandbox.requests)

    wait_until(is_polled, "the sensor polls")
    time.sleep(3)
    sandbox.receive(MAIN, "Ja tack")


def in_background(function: Callable[..., None], *arguments: object) -> Thread:
    thread = Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def test_a_rescheduled_wait_counts_from_its_first_poke(tmp_path: Path) -> None:
    ends = tmp_path / "ends.jsonl"
    ends.touch()
    with SandboxServer(messages=130, delivery_seconds=3600) as sandbox:
        env = environment(tmp_path, AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url), IP1_ENDS=str(ends))
        (tmp_path / "dags" / "reschedule.py").write_text(DAG_FILE)
        in_background(reply_after_the_first_poke, sandbox)
        found: dict[str, tuple[str, str | None]] = {}

        def have_ended() -> bool:
            # Airflow 2.11 calls on_success_callback, too, after a skip.
            for task_id, end, error in map(json.loads, ends.read_text().splitlines()):
                found.setdefault(task_id, (end, error))
            return len(found) == 5

        with real_scheduler(tmp_path, env):
            wait_until(have_ended, "all sensors have ended", seconds=500)
    assert {task_id: end for task_id, (end, _) in found.items()} == {
        "reply": "success",
        "time_up": "failed",
        "time_up_never_fail": "skipped",
        "time_up_soft_fail": "skipped",
        "unknown": "failed",
    }
    # Airflow 3.0 and 3.1 call the callback of a task that must not be retried without the exception.
    assert found["time_up"][1] in ("AirflowSensorTimeout", None)
    assert found["unknown"][1] == "IP1NotFoundError"
