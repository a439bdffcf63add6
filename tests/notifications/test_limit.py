# SPDX-License-Identifier: Apache-2.0
"""One SMS for many failures: what counts as the same alert, and what happens if the look-up fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ip1.client import send_once
from airflow_provider_ip1.client.batch_search import NEWEST
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.notifications import ip1
from airflow_provider_ip1.notifications.ip1 import IP1Notifier
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from tests.notifications.test_ip1_notifier import Notify, notify  # noqa: F401
from tests.operators.sent_batches import NUMBER, OTHER, posts

Serve = Callable[..., SandboxServer]
try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

QUARTER = timedelta(minutes=15)


@pytest.fixture
def server(serve: Serve) -> SandboxServer:
    return serve(recipients=NUMBER)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1_800_000_000.0]  # a multiple of 15 minutes
    monkeypatch.setattr(ip1, "time", SimpleNamespace(time=lambda: clock[0], monotonic=time.monotonic))
    return clock


def context(task: str = "load", dag: str = "nightly", run: str = "run", clear_number: int = 0) -> dict[str, Any]:
    dag_run = SimpleNamespace(dag_id=dag, run_id=run, clear_number=clear_number)
    return {"dag_run": dag_run, "run_id": run, "task_id": task}


def alert(limit: Any = "run", **arguments: Any) -> IP1Notifier:
    return IP1Notifier(**{"body": "{{ dag_run.dag_id }}.{{ task_id }} failed", "limit": limit} | arguments)


def test_one_sms_per_run(server: SandboxServer, notify: Notify) -> None:  # noqa: F811
    for task in ("load", "load", "transform"):
        notify(alert(), context(task))
    assert posts(server) == 1
    assert server.conversation(NUMBER)[-1]["body"] == "nightly.load failed"


@pytest.mark.parametrize("limit", ["run", QUARTER])
@pytest.mark.parametrize("other", [{"dag": "hourly"}, {"run": "next"}, {"clear_number": 1}])
def test_another_run_sends_again(server: SandboxServer, now: list[float], limit: Any, other: dict[str, Any]) -> None:
    for given in (context(), context(**other), context(**other)):
        alert(limit)({"dag": None} | given)
    # A period belongs to the DAG, whatever its runs do.
    assert posts(server) == (2 if limit == "run" or "dag" in other else 1)


def test_one_sms_per_period(server: SandboxServer, now: list[float], notify: Notify) -> None:  # noqa: F811
    for passed in (0, 899, 900, 1799):
        now[0] = 1_800_000_000.0 + passed
        notify(alert(QUARTER), context(run=f"run-{passed}"))
    assert posts(server) == 2
    notify(alert(2 * QUARTER), context())
    assert posts(server) == 3


@pytest.mark.parametrize(
    "other", [{"body": "another"}, {"recipients": OTHER}, {"recipients": [NUMBER]}, {"sender": "iP1sms"}]
)
def test_different_alerts_do_not_limit_each_other(server: SandboxServer, other: dict[str, Any]) -> None:
    for _ in range(2):
        alert()({"dag": None} | context())
        alert(**other)({"dag": None} | context())
    assert posts(server) == 2


def test_deployments_do_not_limit_each_other(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(recipients=NUMBER, deployment="staging")
    alert()({"dag": None} | context())
    connection = stack.ip1_connection(server.url, sender="iP1", recipients=NUMBER, deployment="production")
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
    alert()({"dag": None} | context())
    assert posts(server) == 2


def test_a_canceled_batch_does_not_count(serve: Serve) -> None:
    def references() -> list[str | None]:
        with IP1Hook() as hook:
            return [batch.reference for batch in hook.iter_batches()]

    serve(recipients=NUMBER)
    alert()({"dag": None} | context())
    (reference,) = [reference for reference in references() if str(reference).startswith("af-")]
    server = serve(recipients=NUMBER)
    with IP1Hook() as hook:
        # It has a window, because a batch that is delivered at once cannot be canceled.
        batch = hook.send_batch(
            recipients=NUMBER, body="x", reference=reference, delivery_windows=[{"opens": "2090-01-01"}]
        )
        alert()({"dag": None} | context())
        assert posts(server) == 1
        hook.cancel_batch(batch.id)
    alert()({"dag": None} | context())
    assert posts(server) == 2


def test_each_look_covers_only_the_newest_batches(server: SandboxServer) -> None:
    """However large the account is, an alert ends soon, and finds one that was sent just before."""
    for _ in range(2 * NEWEST):
        server.send([OTHER])
    before = len(server.requests)
    for _ in range(2):
        alert()({"dag": None} | context())
    looks = [each.query["limit"] for each in server.requests[before:] if each.method == "GET"]
    assert posts(server) == 1
    # Two looks before the SMS, one page after it.
    assert NEWEST <= sum(map(int, looks[:-1])) / 2 < 1.5 * NEWEST


@pytest.mark.parametrize(
    "given",
    [
        {"dag": DAG("nightly"), "run_id": "run"},
        {"dag_run": {"dag_id": "nightly", "dag_run_id": "run"}},
    ],
    ids=["a DAG's callback without tasks", "a deadline"],
)
def test_knows_the_run_in_every_callback(server: SandboxServer, given: dict[str, Any]) -> None:
    for _ in range(2):
        IP1Notifier(body="late", limit="run")({"dag": None} | given)
    assert posts(server) == 1


@pytest.mark.parametrize("limit", ["run", QUARTER])
def test_an_alert_without_a_dag_is_sent(server: SandboxServer, limit: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        IP1Notifier(body="late", limit=limit)({"dag": None})
    assert posts(server) == 2


@pytest.mark.parametrize("fault", ["500:method=GET", "401:method=GET", "html:method=GET", "reset:method=GET"])
def test_an_alert_is_sent_if_the_look_up_fails(serve: Serve, notify: Notify, fault: str) -> None:  # noqa: F811
    server = serve(fault, recipients=NUMBER, max_attempts=1)
    for _ in range(2):
        notify(alert(), context())
    assert posts(server) == 2


def test_tasks_that_fail_at_once_look_again_after_different_pauses(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first sends, and the others find its SMS when they look a second time."""
    server = serve(recipients=NUMBER)
    pauses = iter([1e-9] + 7 * [1.0])  # draws: no pause for one of them
    monkeypatch.setattr(send_once, "SPREAD", 3.0)
    monkeypatch.setattr(send_once, "DRAW", lambda low, high: next(pauses))
    with ThreadPoolExecutor(8) as tasks:
        list(tasks.map(lambda _: alert()({"dag": None} | context()), range(8)))
    assert posts(server) == 1


def test_few_pauses_are_short() -> None:
    draws = [(number + 1) / 10_000 for number in range(10_000)]
    pauses = sorted(send_once.spread_pause(draw) for draw in draws)
    assert (pauses[0], pauses[-1]) == (0.0, send_once.SPREAD)
    # One in a thousand sends at once, and half of them wait nearly the longest time.
    assert pauses.count(0.0) == 10
    assert pauses[5000] > 0.89 * send_once.SPREAD


@pytest.mark.parametrize("limit", ["dag", timedelta(), timedelta(seconds=-1), 900, True])
def test_rejects_other_limits(limit: Any) -> None:
    with pytest.raises(ValueError, match="^limit must be"):
        alert(limit)
