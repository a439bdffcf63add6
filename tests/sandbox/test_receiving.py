# SPDX-License-Identifier: Apache-2.0
"""An SMS can be received by a request, such as one from a shell."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.sandbox.participants import OWN_NUMBER, SEVEN
from tests.sandbox.plain_client import Client, errors_of
from tests.sandbox.push_receiver import receiver

PATH = "/sandbox/incoming"


def test_sms_is_received_as_curl_sends_it(account: Client) -> None:
    """``curl -d`` sends JSON as a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f'{{"sender": "{SEVEN}", "body": "Ja tack 🎂"}}'.encode()
    response = account.request("POST", PATH, data=body, headers=headers)
    assert response.status_code == 201
    assert response.json() == account.server.conversation(SEVEN)[-1]
    assert (response.json()["body"], response.json()["recipient"]) == ("Ja tack 🎂", OWN_NUMBER)


def test_received_sms_is_pushed_and_stop_unsubscribes(account: Client) -> None:
    with receiver() as received:
        account.server.incoming_url = received.url
        account.request("POST", PATH, json={"sender": SEVEN, "body": "STOP"})
        received.wait_for(1)
    assert account.server.blacklist == {SEVEN}


def test_it_is_not_one_of_ip1s_requests(account: Client) -> None:
    """Faults and the list of requests do not count it."""
    account.server.faults.add("503")
    assert account.request("POST", PATH, json={"sender": SEVEN, "body": "Ja"}).status_code == 201
    assert account.server.requests == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"body": "Ja"}, "sender"), ({"sender": 1, "body": "Ja"}, "sender"),
        ({"sender": "+467", "body": "Ja"}, "sender"),
        ({"sender": SEVEN}, "body"), ({"sender": SEVEN, "body": " "}, "body"), ({"sender": SEVEN, "body": 1}, "body"),
    ],
)  # fmt: skip
def test_invalid_sms_is_400(account: Client, fields: dict[str, object], name: str) -> None:
    assert errors_of(account.request("POST", PATH, json=fields)) == [name]


@pytest.mark.parametrize("body", [b"", b"sender=1", b"[]"])
def test_unreadable_sms_is_400(account: Client, body: bytes) -> None:
    assert account.request("POST", PATH, data=body).status_code == 400


def test_it_needs_the_key(account: Client) -> None:
    response = account.request(
        "POST", PATH, json={"sender": SEVEN, "body": "Ja"}, headers={"Authorization": "Bearer x"}
    )
    assert response.status_code == 401
    assert len(account.server.conversation(SEVEN)) == 7
