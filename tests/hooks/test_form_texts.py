# SPDX-License-Identifier: Apache-2.0
"""What Airflow's Test button says: it has the labels of the form, and no id, because Airflow makes one up."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.api.extras import EXTRAS
from airflow_provider_ip1.api.settings import CHECKS
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import CONN_ID, Client, RawServer, send

Connect = Callable[..., str]
MakeClient = Callable[..., Client]

WRONG: dict[str, Any] = {
    "sender": "a shop",
    "recipients": "0701740605",
    "deployment": " ",
    "timeout": "soon",
    "page_size": 0,
    "concurrency": 65,
    "max_attempts": 2.5,
    "requests_per_second": -1,
    "verify": "/no/such/file.pem",
    "allow_http": "perhaps",
    "redact_key": " ",
    "proxies": {"https": "proxy.example"},
}


def shown(client: Client) -> str:
    """The text of a test that fails."""
    worked, text = client.call("test_connection")
    assert not worked
    assert CONN_ID not in text and "extra" not in text
    without_addresses = re.sub(r"\S*/\S*", "", text)
    assert re.findall(r"\b(?:password|host|login|schema)\b", without_addresses) == []
    assert [name for name in EXTRAS if "_" in name and name in text] == []
    return str(text)


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_a_wrong_extra(connect: Connect, make_client: MakeClient, name: str, value: object) -> None:
    assert set(WRONG) == set(CHECKS) == set(EXTRAS)
    connect("https://api.example", **{name: value})
    assert shown(make_client()).startswith(f'"{EXTRAS[name].label}" must be ')


@pytest.mark.parametrize(
    ("url", "key", "text"),
    [
        ("https://api.example", "", '"API key" is empty. Put the API key of your iP.1 account there.'),
        (
            "https://api.example",
            "a b",
            '"API key" is not an API key: it has spaces or characters that keys do not have.',
        ),
        ("ftp://api.example", "key", '"Base URL" must begin with https://.'),
        ("https://a b", "key", '"Base URL" is not a URL or host name. Leave it empty for https://api.ip1sms.com.'),
        (
            "https://me@api.example",
            "key",
            '"Base URL" contains a user name or a secret. Put the API key into "API key" instead.',
        ),
        (
            "https://api.example?a=b",
            "key",
            '"Base URL" has a query or fragment. Give an address such as https://api.ip1sms.com, with port and path if '
            "needed.",
        ),
        (
            "http://api.example",
            "key",
            '"Base URL" is http://, which would send the API key in clear text. Use https://, or set "Allow http" to '
            "true for a server inside your own network.",
        ),
    ],
)
def test_a_wrong_address_or_key(connect: Connect, make_client: MakeClient, url: str, key: str, text: str) -> None:
    connect(url, key)
    if "host name" in text:
        assert make_client().call("test_connection") == (False, text)
    else:
        assert shown(make_client()) == text


def test_a_rejected_key(serve: Callable[..., SandboxServer], make_client: MakeClient) -> None:
    serve().key = "another"
    assert shown(make_client()) == (
        'iP.1 rejected the API key of this connection (401). Put a valid key of the account into "API key".'
    )


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (404, {}, 'Check "Base URL" of this connection.'),
        (302, {"Location": "https://elsewhere.example/"}, 'current address into "Base URL" of this connection.'),
    ],
)
def test_another_server(
    connect: Connect, make_client: MakeClient, status: int, headers: dict[str, str], text: str
) -> None:
    with RawServer(lambda request: send(request, status, **headers)) as server:
        connect(server.url)
        assert shown(make_client()).endswith(text)


def test_no_server(connect: Connect, make_client: MakeClient) -> None:
    with RawServer(send) as server:
        pass
    connect(server.url, max_attempts=1)
    assert 'Check "Base URL" of this connection and the network.' in shown(make_client())


def test_a_proxy_that_cannot_be_used(connect: Connect, make_client: MakeClient) -> None:
    connect("https://api.example", proxies={"https": "socks5://proxy.example"})
    text = shown(make_client())
    assert text.startswith('Its proxy socks5://proxy.example, from "Proxies", is not the URL of an http')
    assert text.endswith('Set "Proxies" to such a proxy, or name the server in NO_PROXY.')


def test_an_address_stays_as_it_is(connect: Connect, make_client: MakeClient) -> None:
    with RawServer(lambda request: send(request, 404)) as server:
        address = f"{server.url}/host/page_size/password"
        connect(address)
        text = make_client().call("test_connection")[1]
    assert text.startswith(f"{address} does not seem to be iP.1's API")
