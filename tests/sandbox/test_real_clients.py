# SPDX-License-Identifier: Apache-2.0
"""
The sandbox accepts what real clients of iP.1 send: method, path, headers and body in the same form.

- iP.1's C# sample, App/MainWindow.xaml.cs in https://github.com/iP1SMS/ip1-samples
- the WordPress plugin "salon booking system", class SLN_Action_Sms_Ip1SmsV2
- the quick starts on https://ip1sms.com/en/developer/
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN
from tests.sandbox.plain_client import Client, Clock, codes_of, messages_of

# iP.1's C# sample


def sample_batch(clock: Clock, **fields: Any) -> dict[str, Any]:
    """What Json.NET makes of the sample's BatchRequest: names of properties, integers for enums, null, no time zone."""
    return {
        "Sender": "iP1",
        "Recipients": [SEVEN],
        "Body": "Hej!",
        "Type": 1,
        "Datacoding": 0,
        "Priority": 1,
        "DeliveryWindows": [{"Opens": "2027-01-15T12:00:00", "Closes": None}],
        "DeliveryReportUrl": None,
        "Reference": "",
        "Tags": [""],
        **fields,
    }


def test_sample_sends(account: Client, clock: Clock) -> None:
    response = account.post(sample_batch(clock), headers={"Accept": "application/json"})
    assert response.status_code == 201, response.text
    batch = response.json()
    shown = ("sender", "type", "datacoding", "priority", "reference", "tags")
    assert [batch[name] for name in shown] == ["iP1", "sms", "gsm", 1, "", [""]]
    assert "deliveryReportUrl" not in batch
    (opening,) = batch["deliveryWindows"]
    assert opening == {"opens": "2027-01-15T12:00:00.000Z", "closes": "2027-01-22T12:00:00.000Z"}
    clock.now += 4 * 3600 + 10
    assert codes_of(account, batch) == [201]


@pytest.mark.parametrize(
    ("field", "value", "name", "shown"),
    [
        *(("Type", value, "type", "flash") for value in (0, "Flash", "flash", "FLASH")),
        *(("Type", value, "type", "sms") for value in (1, "SMS", "sms", None)),
        *(("Datacoding", value, "datacoding", "gsm") for value in (0, "GSM", "gsm")),
        *(("Datacoding", value, "datacoding", "ucs") for value in (2, "UCS", "ucs", None)),
        *(("Priority", value, "priority", 1) for value in (1, "Normal", "normal", None)),
        *(("Priority", value, "priority", 2) for value in (2, "High", "high")),
        ("dElIvErYrEpOrTuRl", "https://example.com/", "deliveryReportUrl", "https://example.com/"),
        ("TAGS", ["A"], "tags", ["A"]),
        ("REFERENCE", "Ref", "reference", "Ref"),
    ],
)
def test_enums_are_integers_or_texts_and_names_have_any_case(
    account: Client, clock: Clock, field: str, value: object, name: str, shown: object
) -> None:
    order = {key: each for key, each in sample_batch(clock).items() if key.lower() != field.lower()}
    assert account.post({**order, field: value}).json()[name] == shown


@pytest.mark.parametrize(
    ("field", "value"),
    [("Type", 2), ("Type", True), ("Type", False), ("Type", 1.0), ("Type", []), ("Datacoding", 1), ("Datacoding", {}),
     ("Priority", 0), ("Priority", "1.0")],
)  # fmt: skip
def test_other_enums_are_400(account: Client, clock: Clock, field: str, value: object) -> None:
    response = account.post({**sample_batch(clock), field: value})
    assert (response.status_code, list(response.json()["errors"])) == (400, [field.lower()])


def test_keys_of_a_template_keep_their_case(account: Client) -> None:
    order = {"Sender": "iP1", "Recipients": {SEVEN: {"Name": "Åsa"}}, "Body": "{Name} {name}"}
    (message,) = messages_of(account, account.post(order).json())
    assert message["body"] == "Åsa {name}"


@pytest.mark.parametrize("time", ["2027-02-01T12:00:00", "2027-02-01T12:00:00.1234567Z", "2027-02-01T12:00:00+01:00"])
def test_times_as_dotnet_writes_them(account: Client, clock: Clock, time: str) -> None:
    windows = [{"Opens": time, "Closes": None}]
    assert account.post(sample_batch(clock, DeliveryWindows=windows)).status_code == 201


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/me/senders", 200), ("/v2/batches", 200), ("/v2/blacklist", 200), ("/api/me", 200),
        ("/api/me/account", 200), ("/api/me/children", 200), (f"/v2/conversations/{SEVEN}", 200),
        (f"/v2/conversations/{SEVEN}/mt", 200), (f"/v2/conversations/{SEVEN}/mo", 200),
        ("/v2/batches/69000000c000000000000001", 200), ("/v2/batches/69000000c000000000000001/messages", 200),
        ("/v2/batches/69000000c000000000000001/messages/69000000d000001000000000", 200),
    ],
)  # fmt: skip
def test_sample_reads(account: Client, path: str, status: int) -> None:
    response = account.request("GET", path, headers={"Accept": "application/json"})
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/json; charset=utf-8")


def test_sample_changes_senders_and_blacklist(account: Client) -> None:
    """It sends PUT without a body, and no Content-Type."""
    for path in ("/v2/me/senders/Nyavsandare", f"/v2/blacklist/{EMPTY}"):
        assert account.request("PUT", path, headers={"Content-Length": "0"}).ok
        assert account.request("DELETE", path).ok


# The WordPress plugin


def test_plugin_sends_and_registers(account: Client, clock: Clock) -> None:
    headers = {"Content-Type": "application/json"}
    # wp_json_encode writes non-ASCII characters as \\u.
    body = json.dumps({"sender": "46701740610", "recipients": [MAIN], "body": "Välkommen!"})
    assert account.request("POST", "/v2/batches", data=body, headers=headers).status_code == 201
    assert account.server.conversation(MAIN)[-1]["body"] == "Välkommen!"
    # rawurlencode, without a body, but with a Content-Type.
    assert account.request("PUT", "/v2/me/senders/Company%20name", headers=headers).ok
    names = [sender["sender"] for sender in account.request("GET", "/v2/me/senders", headers=headers).json()]
    assert "Company name" in names


def test_plugin_finds_the_texts_of_an_error(account: Client) -> None:
    error = account.post({"sender": "no+name", "recipients": [MAIN], "body": "Hej"}).json()
    assert isinstance(error["title"], str)
    assert all(isinstance(text, str) for texts in error["errors"].values() for text in texts)


# The quick starts


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v2/batches", '{\n"sender": "iP1",\n"recipients": [\n"46701740605"\n],\n"body": "A text"\n}', 201),
        ("POST", "/v2/batches/", '{"sender": "iP1", "recipients": ["46701740605"], "body": "A nice message"}', 201),
        ("PUT", "/v2/me/senders", '{\n    "sender": "Company name"\n}', 201),
        ("GET", "/v2/batches/", None, 200),
        ("GET", f"/v2/conversations/{SEVEN}", None, 200),
    ],
)  # fmt: skip
def test_quick_start(account: Client, method: str, path: str, body: str | None, status: int) -> None:
    response = account.request(method, path, data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text


@pytest.mark.parametrize(
    "path",
    ["/v2/batches", "/v2/batches/69000000c000000000000001", "/v2/batches/69000000c000000000000001/messages",
     "/v2/batches/69000000c000000000000001/messages/69000000d000001000000000", f"/v2/conversations/{SEVEN}",
     f"/v2/conversations/{SEVEN}/mt", f"/v2/conversations/{SEVEN}/mo", f"/v2/conversations/{SEVEN}/summary",
     "/v2/me/senders", "/v2/me/senders/iP1", "/v2/blacklist", "/api/me", "/api/me/account"],
)  # fmt: skip
def test_trailing_slash_makes_no_difference(account: Client, path: str) -> None:
    with_slash, without = account.get(f"{path}/"), account.get(path)
    assert (with_slash.status_code, with_slash.content) == (without.status_code, without.content)
    assert with_slash.status_code == 200
    if "next" in without.links:
        assert requests.get(with_slash.links["next"]["url"], headers=account.session.headers, timeout=30).ok
