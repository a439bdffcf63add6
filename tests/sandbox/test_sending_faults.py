# SPDX-License-Identifier: Apache-2.0
"""What can go wrong when a client sends: before or after the sandbox accepted the request, and in its response."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from airflow_provider_ip1.sandbox.participants import EMPTY
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sandbox.plain_client import get


def post(server: SandboxServer, **options: Any) -> requests.Response:
    order = {"sender": "Skolan", "recipients": [EMPTY], "body": "Hej!"}
    headers = {"Authorization": f"Bearer {server.key}"}
    return requests.post(f"{server.url}/v2/batches", json=order, headers=headers, timeout=options.get("timeout", 30))


@pytest.mark.parametrize("status", [None, 200, 201, 202])
@pytest.mark.parametrize("form", ["object", "list", "location", "nothing"])
def test_response_to_post_can_have_any_form(server: SandboxServer, form: str, status: int | None) -> None:
    server.faults.add(f"sent-as={form}" + (f":status={status}" if status else ""))
    response = post(server)
    assert response.status_code == (status or 201)
    (message,) = server.conversation(EMPTY)
    batch = get(server, f"/v2/batches/{message['batchId']}").json()
    expected = {"object": batch, "list": [batch]}.get(form)
    assert (response.json() if response.content else None) == expected
    assert response.headers.get("Location") == (f"/v2/batches/{batch['id']}" if form == "location" else None)


def test_reference_can_be_cut(server: SandboxServer) -> None:
    server.faults.add("cut-reference=4")
    order = {"sender": "Skolan", "recipients": [EMPTY], "body": "Hej!", "reference": "123456"}
    headers = {"Authorization": f"Bearer {server.key}"}
    batch = requests.post(f"{server.url}/v2/batches", json=order, headers=headers, timeout=30).json()
    assert batch["reference"] == server.conversation(EMPTY)[-1]["reference"] == "1234"


def test_rejected_request_keeps_its_form(server: SandboxServer) -> None:
    server.faults.add("sent-as=nothing:status=200", "500:accepted=yes")
    headers = {"Authorization": f"Bearer {server.key}"}
    response = requests.post(f"{server.url}/v2/batches", json={}, headers=headers, timeout=30)
    assert (response.status_code, list(response.json()["errors"])) == (400, ["sender"])


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("fault", ["500", "429", "reset", "close"])
def test_request_can_fail_before_and_after_it_was_accepted(server: SandboxServer, fault: str, accepted: bool) -> None:
    server.faults.add(f"{fault}@1:method=POST" + (",accepted=yes" if accepted else ""))
    if fault in ("reset", "close"):
        with pytest.raises(requests.ConnectionError):
            post(server)
    else:
        assert post(server).status_code == int(fault)
    assert len(server.conversation(EMPTY)) == int(accepted)
    assert post(server).status_code == 201


@pytest.mark.parametrize("fault", ["truncate", "badjson", "html", "empty"])
def test_request_is_accepted_when_its_response_is_broken(server: SandboxServer, fault: str) -> None:
    server.faults.add(f"{fault}:method=POST")
    with pytest.raises(requests.RequestException):
        post(server).json()
    assert len(server.conversation(EMPTY)) == 1


@pytest.mark.parametrize("accepted", [False, True])
def test_request_can_be_slow_before_and_after_it_was_accepted(server: SandboxServer, accepted: bool) -> None:
    server.faults.add("slow@1:seconds=30,method=POST" + (",accepted=yes" if accepted else ""))
    with pytest.raises(requests.Timeout):
        post(server, timeout=1)
    # The sandbox may still be busy with what comes before the pause.
    deadline = time.monotonic() + 25
    while accepted and not server.conversation(EMPTY) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.conversation(EMPTY)) == int(accepted)


def test_fault_can_count_requests_of_one_method(server: SandboxServer) -> None:
    server.faults.add("503@2:method=POST", "404@3:method=GET")
    statuses = [post(server).status_code, get(server).status_code, get(server).status_code, post(server).status_code]
    assert statuses == [201, 200, 200, 503]
    assert [get(server).status_code, post(server).status_code, get(server).status_code] == [404, 201, 200]


def test_list_of_batches_can_lag() -> None:
    now = [1_800_000_000.0]
    with SandboxServer(messages=1, clock=lambda: now[0]) as server:
        before = get(server, "/v2/batches", limit=1000).json()
        server.faults.add("list-lag=5")
        now[0] += 100
        batch_id = post(server).json()["id"]
        assert get(server, "/v2/batches", limit=1000).json() == [*before[:-7], *finished(before[-7:], server)]
        assert get(server, f"/v2/batches/{batch_id}").status_code == 200
        now[0] += 5
        listed = get(server, "/v2/batches", limit=1000).json()
        assert listed[-1]["id"] == batch_id
        assert len(listed) == len(before) + 1


def finished(batches: list[dict[str, Any]], server: SandboxServer) -> list[dict[str, Any]]:
    """The same batches once their messages have arrived."""
    return [{**batch, "status": get(server, f"/v2/batches/{batch['id']}").json()["status"]} for batch in batches]
