# SPDX-License-Identifier: Apache-2.0
"""Certificates, proxies, netrc files, and the progress lines: what lies between a hook and its surroundings."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from airflow_provider_ip1.api import progress
from airflow_provider_ip1.exceptions import IP1ConnectionError, IP1ServerError
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import Client, RawServer, send

MakeClient = Callable[..., Client]
Connect = Callable[..., str]


# -- certificates


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@contextmanager
def tls_server(authority: trustme.CA, name: str = "127.0.0.1") -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    with RawServer(send, context) as server:
        yield server


def test_a_certificate_of_the_connections_own_authority(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient
) -> None:
    with tls_server(authority) as server:
        connect(server.url, verify=ca_file)
        assert make_client().call("test_connection")[0]
    assert server.seen[0][1]["authorization"] == "Bearer sandbox-key"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_certificate_of_the_environments_authority(
    authority: trustme.CA,
    ca_file: str,
    connect: Connect,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, ca_file)
    with tls_server(authority) as server:
        connect(server.url)
        assert make_client().call("test_connection")[0]


def test_verification_can_be_turned_off(
    authority: trustme.CA,
    ca_file: str,
    connect: Connect,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The environment has no say where the connection says no.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    with tls_server(authority, "elsewhere.example") as server:
        connect(server.url, verify=False)
        assert make_client().call("test_connection")[0]


@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example"], ids=["unknown-authority", "wrong-name"])
def test_an_untrusted_certificate_is_final_and_never_sees_the_key(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient, name: str
) -> None:
    with tls_server(authority, name) as server:
        connect(server.url, **({} if name == "127.0.0.1" else {"verify": ca_file}))
        client = make_client()
        with pytest.raises(IP1ConnectionError, match="certificate.*after 1 attempt|after 1 attempt.*certificate"):
            client.call("get_summary", MAIN)
    assert server.seen == []
    assert client.hook.requests_sent == 1


@pytest.mark.parametrize(
    "content", ["", "no certificate\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_that_holds_no_certificates(
    authority: trustme.CA, tmp_path: Path, connect: Connect, make_client: MakeClient, content: str
) -> None:
    path = tmp_path / "not-a-ca.pem"
    path.write_text(content)
    with tls_server(authority) as server:
        connect(server.url, verify=str(path))
        with pytest.raises(IP1ConnectionError, match="'ip1_test'.*verify.*PEM"):
            make_client().call("get_summary", MAIN)


def test_a_handshake_that_is_cut_is_tried_again(connect: Connect, make_client: MakeClient) -> None:
    """What a restarting load balancer does. It says nothing about certificates."""
    connections = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def cut() -> None:
            nonlocal connections
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections += 1
                with connection:
                    connection.recv(5)

        thread = threading.Thread(target=cut, daemon=True)
        thread.start()
        connect(f"https://127.0.0.1:{listener.getsockname()[1]}", max_attempts=3)
        with pytest.raises(IP1ServerError, match="after 3 attempts") as caught:
            make_client().call("get_summary", MAIN)
    assert "certificate" not in str(caught.value)
    assert connections == 3


def test_clear_text_on_a_tls_port_says_so(connect: Connect, make_client: MakeClient) -> None:
    with RawServer(send) as server:
        connect(f"https://127.0.0.1:{server.port}", max_attempts=1)
        with pytest.raises(IP1ServerError, match="SSL"):
            make_client().call("get_summary", MAIN)


# -- proxies


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("way", ["environment", "extra", "extra-over-environment", "no_proxy"])
def test_proxies(connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    with RawServer(send) as server, RawServer(send) as proxy, RawServer(send) as other:
        if way in ("environment", "no_proxy"):
            monkeypatch.setenv("http_proxy", proxy.url)
        if way == "no_proxy":
            monkeypatch.setenv("no_proxy", "127.0.0.1")
        if way == "extra-over-environment":
            monkeypatch.setenv("http_proxy", other.url)
        connect(server.url, **({"proxies": {"http": proxy.url}} if way.startswith("extra") else {}))
        assert make_client().call("test_connection")[0]
    asked, silent = (server, proxy) if way == "no_proxy" else (proxy, server)
    assert len(asked.seen) == 1 and silent.seen == other.seen == []
    assert asked.seen[0][0].startswith("/v2/" if way == "no_proxy" else f"{server.url}/v2/")


@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_never_sees_the_key_of_an_https_connection(connect: Connect, make_client: MakeClient) -> None:
    with RawServer(lambda request: send(request, 403)) as proxy:
        connect(
            "https://api.example", proxies={"https": f"http://someone:hunter2@127.0.0.1:{proxy.port}"}, max_attempts=1
        )
        with pytest.raises((IP1ServerError, IP1ConnectionError)) as caught:
            make_client().call("get_summary", MAIN)
    assert proxy.seen[0][0] == "api.example:443"
    assert proxy.seen[0][1].get("proxy-authorization", "").startswith("Basic ")
    assert all("sandbox-key" not in str(headers) for _, headers in proxy.seen)
    assert "hunter2" not in str(caught.value)


# -- netrc and cookies


def test_a_netrc_file_does_not_replace_the_key(
    connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\ndefault login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(send) as server:
        connect(server.url)
        assert make_client().call("test_connection")[0]
    assert [headers["authorization"] for _, headers in server.seen] == ["Bearer sandbox-key"]


def test_cookies_are_not_kept(connect: Connect, make_client: MakeClient) -> None:
    with RawServer(lambda request: send(request, Set_Cookie="track=me; Path=/")) as server:
        connect(server.url)
        client = make_client()
        for _ in range(2):
            assert client.call("test_connection")[0]
    assert len(server.seen) == 2
    assert all("cookie" not in headers for _, headers in server.seen)


# -- progress


def test_a_long_reading_tells_how_far_it_is(
    connect: Connect,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(progress, "PROGRESS_INTERVAL", 1e-9)
    with SandboxServer(messages=100) as server:
        connect(server.url)
        client = make_client()
        list(client.iterate("iter_messages", MAIN, page_size=30))
        one = capsys.readouterr().out + caplog.text
        caplog.clear()
        list(client.iterate("iter_pages_of", [MAIN, MAIN], page_size=30))
        several = capsys.readouterr().out + caplog.text
    assert "Reading from iP.1: 30 messages so far of about 120" in one
    assert "100 messages so far" in one
    assert "200 messages so far" in several and "of about" not in several
    assert MAIN not in one + several
