# SPDX-License-Identifier: Apache-2.0
"""The default page size grows for both clients, and what a client has found out holds for all that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import Client

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]


def limits(server: SandboxServer) -> list[int]:
    return [int(request.query["limit"]) for request in server.requests]


def test_pages_grow_from_200_to_1000(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=3000)
    client = make_client()
    assert len(list(client.iterate("iter_messages", MAIN))) == 3000
    assert limits(server) == [200, 1000, 1000, 1000, 1000]
    assert len(list(client.iterate("iter_messages", MAIN, page_size=500))) == 3000
    assert set(limits(server)[5:]) == {500}


@pytest.mark.parametrize(
    "faults", [["500@2"], ["400@2"], ["clamp=200"], ["clamp=200", "link=none"]], ids=lambda faults: " ".join(faults)
)
def test_a_server_that_does_not_grant_more_is_asked_once(
    faults: Sequence[str], serve: Serve, make_client: MakeClient
) -> None:
    server = serve(*faults, messages=1500)
    client = make_client()
    for _ in range(2):
        assert len(list(client.iterate("iter_messages", MAIN))) == 1500
    assert limits(server).index(1000) == 1
    assert limits(server).count(1000) == 1
