# SPDX-License-Identifier: Apache-2.0
"""The account's registered senders and its blacklist, read with both hooks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from airflow_provider_ip1.api.account import BlacklistEntry, RegisteredSender
from airflow_provider_ip1.exceptions import IP1AuthError, IP1ConnectionError, IP1ResponseError
from airflow_provider_ip1.sandbox.participants import GENERATED
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import Client, RawServer, send

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]
METHODS = ["iter_senders", "iter_blacklist"]
# Enough for several pages. The fictional ranges have 489 numbers.
NUMBERS = GENERATED[:230]


def test_senders_are_listed_with_the_time_of_their_registration(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    senders = list(make_client().iterate("iter_senders"))
    assert [each.sender for each in senders] == sorted(server.senders)
    assert RegisteredSender("iP1", datetime(2020, 1, 1, tzinfo=UTC)) in senders
    assert [(request.path, request.status) for request in server.requests] == [("/v2/me/senders", 200)]


def test_blacklist_is_empty_or_has_numbers_with_times(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    client = make_client()
    assert list(client.iterate("iter_blacklist")) == []
    server.blacklist.add(NUMBERS[0])
    (entry,) = client.iterate("iter_blacklist")
    assert entry.msisdn == NUMBERS[0]
    # iP.1's example has no time zone.
    assert abs((datetime.now(UTC) - entry.created).total_seconds()) < 60


@pytest.mark.parametrize(
    "faults",
    [(), ("clamp=50",), ("link=none",), ("past-end=404",), ("start=1-based",), ("503@2",), ("link=off-by-one",)],
    ids=" ".join,
)
def test_each_number_is_returned_once(serve: Serve, make_client: MakeClient, faults: tuple[str, ...]) -> None:
    server = serve(*faults)
    for number in NUMBERS:
        server.blacklist.add(number)
    read = [entry.msisdn for entry in make_client().iterate("iter_blacklist", page_size=100)]
    assert read == sorted(NUMBERS)
    limits = [request.query["limit"] for request in server.requests if request.path == "/v2/blacklist"]
    # One longer page shows whether the server counts from 1.
    assert set(limits) <= {"100", "198"} and limits.count("198") <= ("start=1-based" in faults)


@pytest.mark.parametrize("method", METHODS)
def test_page_size_is_checked(serve: Serve, make_client: MakeClient, method: str) -> None:
    serve()
    with pytest.raises(ValueError, match="page_size"):
        next(make_client().iterate(method, page_size=0))


@pytest.mark.parametrize("method", METHODS)
def test_wrong_key_is_an_error(serve: Serve, make_client: MakeClient, method: str) -> None:
    serve().key = "another"
    with pytest.raises(IP1AuthError):
        next(make_client().iterate(method))


@pytest.mark.parametrize("method", METHODS)
def test_another_server_is_an_error_and_not_an_empty_list(
    connect: Callable[..., str], make_client: MakeClient, method: str
) -> None:
    with RawServer(lambda request: send(request, 404)) as server:
        connect(server.url)
        with pytest.raises(IP1ConnectionError, match="does not seem to be iP.1's API"):
            next(make_client().iterate(method))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"msisdn": "46701740605"}', "an object instead of a list"),
        (b'["46701740605"]', "position 0 of the page.*a text, not an object"),
        (b'[{"id": "46701740605"}]', r"position 0 of the page.*\[0\].msisdn is missing"),
        (b'[{"msisdn": null}]', "msisdn is missing"),
        (b'[{"msisdn": 46701740605}]', "msisdn is a number, not a text"),
        (b'[{"msisdn": ""}]', "msisdn is empty"),
    ],
)
def test_unreadable_entry_is_an_error_without_the_number(
    connect: Callable[..., str], make_client: MakeClient, body: bytes, problem: str
) -> None:
    with RawServer(lambda request: send(request, 200, body)) as server:
        connect(server.url)
        with pytest.raises(IP1ResponseError, match=problem) as caught:
            next(make_client().iterate("iter_blacklist"))
    assert "46701740605" not in str(caught.value)


def test_unusual_times_are_none(connect: Callable[..., str], make_client: MakeClient) -> None:
    body = b'[{"sender": "iP1", "created": null}, {"sender": "iP1sms"}]'
    with RawServer(lambda request: send(request, 200, body)) as server:
        connect(server.url)
        assert list(make_client().iterate("iter_senders")) == [RegisteredSender("iP1"), RegisteredSender("iP1sms")]


def test_repr_shows_no_number() -> None:
    assert "46701740605" not in repr(BlacklistEntry("46701740605"))
