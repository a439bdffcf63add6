# SPDX-License-Identifier: Apache-2.0
"""What SendSmsOperator remembers in the task's state store of Airflow 3.3, and what that saves."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.exceptions import IP1AuthError, IP1Error, IP1ReferenceError, IP1SendUnknownError
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.client.test_send_once_machine import StateStore
from tests.operators.sent_batches import NUMBER, OTHER, TEXT, context, posts

Serve = Callable[..., SandboxServer]
log = logging.getLogger("marker")


@pytest.fixture
def store() -> StateStore:
    return StateStore()


def run(store: StateStore | None, try_number: int = 1, clear_number: int = 0, **arguments: Any) -> dict[str, Any]:
    operator = SendSmsOperator(**{"task_id": "send", "recipients": [NUMBER, OTHER], "body": TEXT, **arguments})
    given = context(try_number) | {"dag_run": SimpleNamespace(clear_number=clear_number, run_type="manual")}
    return operator.execute(given if store is None else given | {"task_state_store": store})


def test_a_further_try_asks_for_the_batch_that_was_posted(serve: Serve, store: StateStore) -> None:
    server = serve()
    first = run(store)
    requests = len(server.requests)
    assert run(store, 2) == first | {"reused": True}
    assert [request.path for request in server.requests[requests:]] == [f"/v2/batches/{first['batch_id']}"]


def test_a_refused_try_need_not_be_looked_for(serve: Serve, store: StateStore) -> None:
    server = serve("401@1:method=POST")
    with pytest.raises(IP1AuthError):
        run(store)
    assert run(store, 2)["reused"] is False
    assert [request.method for request in server.requests] == ["POST", "POST"]


def test_a_try_that_was_killed_while_it_posted_is_looked_for(serve: Serve, store: StateStore) -> None:
    server = serve("500@1:accepted=yes,method=POST", "500:method=GET", max_attempts=1)
    with pytest.raises(IP1SendUnknownError):
        run(store)
    server.faults.clear()
    assert run(store, 2)["reused"] is True
    assert posts(server) == 1


@pytest.mark.parametrize("is_lost", [True, False])
def test_without_a_marker_the_list_decides(serve: Serve, store: StateStore, is_lost: bool) -> None:
    server = serve()
    first = run(store if is_lost else None)
    store.values.clear()
    assert run(store, 2) == first | {"reused": True}
    assert posts(server) == 1


def test_a_run_that_was_cleared_looks_on_the_first_try(serve: Serve) -> None:
    """A new instance of a mapped task may stand for a number that another one has sent to."""
    server = serve()
    first = run(None)
    assert run(None, 1, clear_number=1) == first | {"reused": True}
    assert posts(server) == 1


def test_what_was_posted_and_canceled_does_not_count(serve: Serve, store: StateStore) -> None:
    server = serve()
    sent = run(store, delivery_windows=[{"opens": "2090-01-01"}])
    with IP1Hook() as hook:
        hook.cancel_batch(sent["batch_id"])
    with pytest.raises(IP1ReferenceError, match="was canceled.*set the argument reference"):
        run(store, 2)
    assert posts(server) == 1


def test_a_marker_of_other_recipients_does_not_count(serve: Serve, store: StateStore) -> None:
    server = serve()
    run(store, recipients=NUMBER)
    with pytest.raises(IP1ReferenceError, match="sent by this task to other recipients"):
        run(store, 2)
    assert posts(server) == 1


def test_a_store_that_does_not_work(serve: Serve, store: StateStore) -> None:
    server = serve()
    store.is_broken = True
    with pytest.raises(IP1Error, match="Nothing was sent: Airflow's state store did not take"):
        run(store)
    assert posts(server) == 0


def test_the_marker_holds_no_text_and_no_number(serve: Serve, store: StateStore) -> None:
    serve()
    run(store)
    stored = json.dumps(store.values)
    assert "posted" in stored
    assert all(secret not in stored for secret in (NUMBER, OTHER, TEXT))


def test_started_counts_only_until_the_run_is_cleared(store: StateStore) -> None:
    """Another instance may have sent to the number in the meantime."""

    def marker(recipient: str, clear_number: int) -> Marker:
        outgoing = OutgoingBatch(recipients=recipient, body=TEXT, sender="iP1", identity=("dag",))
        return Marker(store, outgoing, clear_number=clear_number, is_mapped=True, log=log)

    marker(NUMBER, 0).write("started")
    assert not marker(NUMBER, 0).must_search(True)
    assert marker(NUMBER, 1).must_search(True)
    assert marker(OTHER, 0).must_search(True)


def test_a_backfill_is_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    serve()
    operator = SendSmsOperator(task_id="send", recipients=NUMBER, body=TEXT)
    operator.execute(context() | {"dag_run": SimpleNamespace(clear_number=0, run_type="backfill")})
    assert "Each of its runs sends this SMS" in caplog.text + "".join(capfd.readouterr())
