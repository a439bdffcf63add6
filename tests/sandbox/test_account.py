# SPDX-License-Identifier: Apache-2.0
"""Registered senders, the blacklist, ``/api/me``, and what they do to messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.app import Sandbox
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sandbox.plain_client import ORDER, Client, Clock, codes_of, errors_of, send

Make = Callable[..., Client]


@pytest.fixture
def make(clock: Clock) -> Iterator[Make]:
    """Makes a client of a sandbox with these options."""
    servers = []

    def start(**options: Any) -> Client:
        servers.append(SandboxServer(messages=0, delivery_seconds=10, clock=clock, **options))
        return Client(servers[-1])

    yield start
    for server in servers:
        server.close()


def final_codes(account: Client, clock: Clock, **fields: Any) -> list[int]:
    batch = send(account, **fields)
    clock.now += 10
    return codes_of(account, batch)


# Registered senders


def test_sender_can_be_registered_read_and_unregistered(account: Client) -> None:
    path = "/v2/me/senders/Foretagsnam"
    assert account.get(path).status_code == 404
    added = account.request("PUT", path)
    assert added.json() == {"sender": "Foretagsnam", "created": "2027-01-15T08:00:00Z"}
    assert (added.status_code, account.request("PUT", path).status_code) == (201, 200)
    assert account.get(path).json() == added.json()
    assert added.json() in account.get("/v2/me/senders").json()
    # "The output is the same as when registering the sender."
    removed = account.request("DELETE", path)
    assert (removed.status_code, removed.json()) == (200, added.json())
    assert account.get(path).status_code == account.request("DELETE", path).status_code == 404


def test_senders_are_paged_like_every_list(account: Client) -> None:
    names = [sender["sender"] for sender in account.get("/v2/me/senders").json()]
    assert {"iP1", "iP1sms"} < set(names)
    page = account.get("/v2/me/senders", start=1, limit=2, order="DESC")
    assert [sender["sender"] for sender in page.json()] == names[::-1][1:3]
    assert "start=3&limit=2" in page.links["next"]["url"]


@pytest.mark.parametrize("name", ["a", "ab", "Thirteen 1234", "no+name", "1" * 16, "Sk%C3%B6lan", "%20ab", "ab%20"])
def test_invalid_sender_is_not_registered(account: Client, name: str) -> None:
    assert errors_of(account.request("PUT", f"/v2/me/senders/{name}")) == ["sender"]


@pytest.mark.parametrize("name", ["Company name", "46701740605", "1", "iP1"])
def test_valid_sender_is_registered(account: Client, name: str) -> None:
    """iP.1's page registers "Company name", although it forbids spaces."""
    assert account.request("PUT", f"/v2/me/senders/{name}").ok
    assert account.get(f"/v2/me/senders/{name}").json()["sender"] == name


def test_any_sender_can_send_by_default(make: Make, clock: Clock) -> None:
    assert final_codes(make(), clock, sender="Unknown") == [201]


def test_unregistered_sender_is_rejected_as_a_status(make: Make, clock: Clock) -> None:
    account = make(senders="registered")
    batch = send(account, sender="Unknown")
    clock.now += 2.4
    assert codes_of(account, batch) == [102]
    clock.now += 0.1
    assert codes_of(account, batch) == [403]
    account.request("PUT", "/v2/me/senders/Unknown")
    assert final_codes(account, clock, sender="Unknown") == [201]
    account.request("DELETE", "/v2/me/senders/Unknown")
    assert final_codes(account, clock, sender="Unknown") == [403]
    account.server.senders.add("Unknown")
    assert final_codes(account, clock, sender="Unknown") == [201]


@pytest.mark.parametrize(
    ("sender", "code"), [("iP1", 201), ("iP1sms", 201), ("Skolan7B", 403), ("Unknown", 403), ("ip1", 403)]
)
def test_trial_account_only_sends_as_ip1(make: Make, clock: Clock, sender: str, code: int) -> None:
    account = make(senders="trial")
    # Registering helps only with a subscription.
    account.request("PUT", "/v2/me/senders/Unknown")
    assert final_codes(account, clock, sender=sender) == [code]


# The balance


def test_account_pays_later_by_default(make: Make, clock: Clock) -> None:
    account = make()
    assert account.get("/api/me").json()["Balance"] == 0
    assert final_codes(account, clock, recipients=[SEVEN, EMPTY], priority=2) == [201, 201]
    assert account.get("/api/me").json()["Balance"] == account.server.balance == -0.9


def test_messages_beyond_the_balance_are_rejected(make: Make, clock: Clock) -> None:
    account = make(balance=1)
    # 0.35 each.
    assert final_codes(account, clock, recipients=[SEVEN, EMPTY, MAIN, SINGLE]) == [201, 201, 402, 402]
    assert account.server.balance == 0.3
    assert account.get("/api/me/account").json()["Balance"] == 0.3


def test_rejected_messages_cost_nothing(make: Make, clock: Clock) -> None:
    account = make(balance=0.35, senders="registered")
    account.server.blacklist.add(EMPTY)
    assert final_codes(account, clock, sender="Unknown") == [403]
    assert final_codes(account, clock, sender="iP1", recipients=[EMPTY, SEVEN]) == [405, 201]
    assert account.server.balance == 0


def test_account_has_the_documented_fields(account: Client) -> None:
    assert set(account.get("/api/me").json()) == {"Account", "Organization", "Type", "Balance", "Currency"}
    details = account.get("/api/me/account")
    assert set(details.json()) == {"Key", "Parent", "Type", "Balance", "Currency", "ID", "Name"}
    assert account.server.key not in details.text
    assert account.get("/api/me/children").json() == []


# The blacklist


def test_blacklist_can_be_read_and_changed(account: Client) -> None:
    assert account.get("/v2/blacklist").json() == []
    added = account.request("PUT", f"/v2/blacklist/{EMPTY}")
    # As in iP.1's example, without a zone.
    assert added.json() == {"msisdn": EMPTY, "created": "2027-01-15T08:00:00.000"}
    assert (added.status_code, account.request("PUT", f"/v2/blacklist/{EMPTY}").status_code) == (201, 200)
    posted = account.request("POST", "/v2/blacklist", json={"Msisdn": SEVEN})
    assert (posted.status_code, posted.json()["msisdn"]) == (201, SEVEN)
    assert account.request("POST", "/v2/blacklist", json={"Phone": SINGLE}).status_code == 201
    listed = account.get("/v2/blacklist").json()
    assert [entry["msisdn"] for entry in listed] == [SEVEN, SINGLE, EMPTY]
    assert account.get(f"/v2/blacklist/{EMPTY}").json() == added.json() == listed[2]
    assert [entry["msisdn"] for entry in account.get("/v2/blacklist", limit=1, start=1).json()] == [SINGLE]
    removed = account.request("DELETE", f"/v2/blacklist/{EMPTY}")
    assert (removed.status_code, removed.json()) == (200, added.json())
    assert account.get(f"/v2/blacklist/{EMPTY}").status_code == 404
    assert account.request("DELETE", f"/v2/blacklist/{EMPTY}").status_code == 404
    assert account.server.blacklist == {SEVEN, SINGLE}


def test_message_to_a_number_on_the_blacklist_is_rejected(account: Client, clock: Clock) -> None:
    account.request("PUT", f"/v2/blacklist/{EMPTY}")
    assert final_codes(account, clock, recipients=[SEVEN, EMPTY]) == [201, 405]
    account.request("DELETE", f"/v2/blacklist/{EMPTY}")
    assert final_codes(account, clock, recipients=[EMPTY]) == [201]


def test_stop_shows_in_the_blacklist(account: Client, clock: Clock) -> None:
    clock.now += 60
    account.server.receive(EMPTY, "STOP")
    assert account.get("/v2/blacklist").json() == [{"msisdn": EMPTY, "created": "2027-01-15T08:01:00.000"}]


@pytest.mark.parametrize("number", ["Grannen", "1" * 16, "+46701740605", "070-1740605"])
def test_blacklist_takes_only_numbers(account: Client, number: str) -> None:
    assert errors_of(account.request("PUT", f"/v2/blacklist/{number}")) == ["msisdn"]
    assert errors_of(account.request("POST", "/v2/blacklist", json={"msisdn": number})) == ["msisdn"]


@pytest.mark.parametrize("body", ["{}", '{"msisdn": null}', '{"msisdn": 1}', "[]", ""])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v2/blacklist"), ("PUT", "/v2/me/senders")])
def test_unreadable_entry_is_400(account: Client, method: str, path: str, body: str) -> None:
    assert account.request(method, path, data=body).status_code == 400
    assert len(account.server.blacklist) == 0


# Refusing the whole request


def test_whole_request_can_be_refused_instead(make: Make, clock: Clock) -> None:
    account = make(senders="registered", balance=0.5, faults=["rejections=requests"])
    account.server.blacklist.add(EMPTY)
    assert account.post({**ORDER, "sender": "Unknown"}).status_code == 403
    order = {**ORDER, "sender": "iP1", "body": "Hej"}
    assert errors_of(account.post({**order, "recipients": [EMPTY]})) == ["recipients"]
    assert account.post({**order, "recipients": [SEVEN, MAIN]}).status_code == 403
    assert account.get(f"/v2/conversations/{EMPTY}").status_code == 404
    assert final_codes(account, clock, **{**order, "recipients": [SEVEN, EMPTY]}) == [201, 405]


@pytest.mark.parametrize("options", [{"senders": "all"}, {"balance": -1}, {"push_retry_seconds": 0}])
def test_invalid_option_is_a_value_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Sandbox(messages=0, **options)


# Every endpoint of the account


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/v2/me/senders", "/v2/blacklist", "/api/me", "/api/me/account")),
        *(
            (method, path)
            for method in ("GET", "PUT", "DELETE")
            for path in ("/v2/me/senders/iP1", f"/v2/blacklist/{EMPTY}")
        ),
        ("PUT", "/v2/me/senders"),
        ("POST", "/v2/blacklist"),
    ],
)
def test_account_needs_the_key(account: Client, method: str, path: str) -> None:
    del account.session.headers["Authorization"]
    assert account.request(method, path).status_code == 401
    assert len(account.server.blacklist) == 0
    assert "iP1" in account.server.senders


def test_fault_can_select_put_requests(account: Client) -> None:
    account.server.faults.add("503@2:method=PUT")
    account.get("/v2/me/senders")
    assert [account.request("PUT", "/v2/me/senders/Nytt").status_code for _ in range(3)] == [201, 503, 200]
