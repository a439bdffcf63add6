# SPDX-License-Identifier: Apache-2.0
"""Certificates, proxies, netrc files, and the progress lines: what lies between a hook and its surroundings."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
import trustme

from airflow_provider_ip1.client import logs
from airflow_provider_ip1.exceptions import IP1ConnectionError, IP1ServerError
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import CONN_ID, Client, RawServer, SyncClient, send
from tests.hooks.recording_proxy import RecordingProxy

MakeClient = Callable[..., Client]
Connect = Callable[..., str]


# -- certificates

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


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
        with pytest.raises(IP1ConnectionError, match=f"'ip1_test': {path}, from the extra 'verify', .*PEM"):
            make_client().call("get_summary", MAIN)


def test_a_file_of_the_environment_that_is_missing(
    connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    connect("https://127.0.0.1:1")
    with pytest.raises(IP1ConnectionError, match="'ip1_test': /nowhere/ca.pem, from REQUESTS_CA_BUNDLE, "):
        make_client().call("get_summary", MAIN)


@pytest.mark.parametrize("store", ["system file", "system folder", "certifi"])
def test_an_authority_that_only_one_of_the_usual_stores_has(
    authority: trustme.CA,
    ca_file: str,
    connect: Connect,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    store: str,
) -> None:
    with tls_server(authority) as server:
        connect(server.url)
        client = make_client()
        with pytest.raises(IP1ConnectionError, match="certificate is not trusted"):
            client.call("get_summary", MAIN)
        if store == "certifi":
            monkeypatch.setattr("certifi.where", lambda: ca_file)
        elif store == "system file":
            monkeypatch.setenv("SSL_CERT_FILE", ca_file)
        else:
            rehashed(Path(ca_file))
            monkeypatch.setenv("SSL_CERT_DIR", str(Path(ca_file).parent))
        # The same hook, because the certificates are read again when they change.
        assert client.call("test_connection")[0]
    assert len(server.seen) == 1


def rehashed(ca_file: Path) -> None:
    """Give a file with one certificate the name by which OpenSSL finds it in a folder."""
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(ca_file)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    ca_file.rename(ca_file.with_name(f"{name}.0"))


def test_a_folder_of_authorities(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient
) -> None:
    rehashed(Path(ca_file))
    with tls_server(authority) as server:
        connect(server.url, verify=str(Path(ca_file).parent))
        assert make_client().call("test_connection")[0]


@pytest.mark.parametrize("is_behind_tls_proxy", [False, True], ids=["direct", "proxy"])
@pytest.mark.parametrize("where", ["verify", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_that_are_replaced_are_read_again(
    authority: trustme.CA,
    ca_file: str,
    connect: Connect,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    is_behind_tls_proxy: bool,
) -> None:
    proxy_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def answer(request: BaseHTTPRequestHandler) -> None:
        send(request, Connection="close")

    def present(certificate: trustme.LeafCert) -> None:
        for context in (proxy_tls, server_tls):
            certificate.configure_cert(context)

    present(authority.issue_cert("127.0.0.1", "api.example"))
    with RawServer(answer, server_tls) as server, RecordingProxy(server.port, proxy_tls) as proxy:
        extras: dict[str, object] = {}
        if where == "verify":
            extras["verify"] = ca_file
        else:
            monkeypatch.setenv(where, ca_file)
        if is_behind_tls_proxy:
            connect("https://api.example", proxies={"https": f"https://{proxy.address}"}, **extras)
        else:
            connect(server.url, **extras)
        client = make_client()
        assert client.call("test_connection")[0]
        successor = trustme.CA()
        # Half a file, as a writer may leave it for a moment, changes nothing. OpenSSL ignores such a system file.
        if where != "SSL_CERT_FILE":
            Path(ca_file).write_bytes(successor.cert_pem.bytes()[:100])
            assert client.call("test_connection")[0]
        successor.cert_pem.write_to_path(ca_file)
        worked, text = client.call("test_connection")
        assert not worked and "certificate is not trusted" in text
        present(successor.issue_cert("127.0.0.1", "api.example"))
        assert client.call("test_connection")[0]
        assert make_client().call("test_connection")[0]


def test_the_session_of_the_hook_verifies_as_the_connection_says(
    authority: trustme.CA, ca_file: str, connect: Connect
) -> None:
    """Not as a request says, because all requests share the connections."""
    with tls_server(authority) as server:
        connect(server.url)
        with IP1Hook(CONN_ID) as hook, pytest.raises(requests.exceptions.SSLError):
            hook.get_conn().get(server.url, verify=False, timeout=10)
        connect(server.url, verify=ca_file)
        with IP1Hook(CONN_ID) as hook:
            assert hook.get_conn().get(server.url, timeout=10).ok


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

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def set_proxy(monkeypatch: pytest.MonkeyPatch, where: str, url: str) -> dict[str, dict[str, str]]:
    """Name a proxy in a variable of the environment or in the extra, and return the extras of the connection."""
    if where.lower() in PROXY_VARIABLES:
        monkeypatch.setenv(where, url)
        return {}
    return {"proxies": {where: url}}


@pytest.mark.parametrize("credentials", ["", "someone:hunter2@", "some%40one:hunter%3A2@"])
@pytest.mark.parametrize(
    "where", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "https", "all", "https://api.example"]
)
def test_a_proxy_gets_no_header_of_the_request_that_it_tunnels(
    authority: trustme.CA,
    ca_file: str,
    connect: Connect,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    credentials: str,
) -> None:
    with tls_server(authority, "api.example") as server, RecordingProxy(server.port) as proxy:
        extras = set_proxy(monkeypatch, where, f"http://{credentials}{proxy.address}")
        connect("https://api.example", verify=ca_file, **extras)
        client = make_client()
        assert client.call("test_connection") == (True, "https://api.example accepted the API key.")
        assert list(client.iterate("iter_messages", MAIN)) == []
    assert [headers["authorization"] for _, headers in server.seen] == ["Bearer sandbox-key"] * 2
    assert_only_connects(proxy, has_credentials=bool(credentials))


def assert_only_connects(proxy: RecordingProxy, *, has_credentials: bool) -> None:
    assert proxy.clear.startswith(b"CONNECT api.example:443 HTTP/1.")
    clear = proxy.clear.decode()
    for secret in ("sandbox-key", "Bearer", MAIN, "airflow", "/v2/"):
        assert secret.lower() not in clear.lower()
    lines = [line for line in clear.splitlines() if line and not line.startswith("CONNECT ")]
    names = {line.partition(":")[0].lower() for line in lines}
    assert names <= {"host", "proxy-authorization", "accept", "accept-encoding", "user-agent", "connection"}
    assert ("proxy-authorization" in names) == ("Proxy-Authorization: Basic " in clear) == has_credentials


def test_a_proxy_that_is_reached_by_tls(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with tls_server(authority, "api.example") as server, RecordingProxy(server.port, context) as proxy:
        connect("https://api.example", verify=ca_file, proxies={"https": f"https://{proxy.address}"})
        assert make_client().call("test_connection")[0]
    assert_only_connects(proxy, has_credentials=False)


@pytest.mark.parametrize("credentials", ["", "someone:hunter2@"])
@pytest.mark.parametrize("status", [400, 403, 407, 502])
def test_a_proxy_that_refuses_the_tunnel(
    connect: Connect, make_client: MakeClient, status: int, credentials: str
) -> None:
    with RecordingProxy(0, status=status) as proxy:
        connect("https://api.example", proxies={"https": f"http://{credentials}{proxy.address}"}, max_attempts=2)
        with pytest.raises(IP1ServerError) as caught:
            make_client().call("get_summary", MAIN)
    assert proxy.clear.count(b"CONNECT ") == 2
    assert_only_connects(proxy, has_credentials=bool(credentials))
    assert "hunter2" not in str(caught.value)


def test_the_connections_proxy_comes_before_the_environments(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(authority, "api.example") as server, RecordingProxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        connect("https://api.example", verify=ca_file, proxies={"all": f"http://{proxy.address}"})
        assert make_client().call("test_connection")[0]
    assert proxy.clear


def test_a_proxy_of_the_environment_without_a_scheme(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(authority, "api.example") as server, RecordingProxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        connect("https://api.example", verify=ca_file)
        assert make_client().call("test_connection")[0]
    assert_only_connects(proxy, has_credentials=False)


def test_no_proxy_in_the_environment(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(authority) as server, RecordingProxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        connect(server.url, verify=ca_file)
        assert make_client().call("test_connection")[0]
    assert proxy.clear == b"" and len(server.seen) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104
@pytest.mark.parametrize("where", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https"])
def test_a_plain_request_goes_through_no_proxy(
    connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, where: str, host: str
) -> None:
    with RawServer(send) as server, RecordingProxy(server.port) as proxy:
        extras = set_proxy(monkeypatch, where, f"http://{proxy.address}")
        connect(f"http://{host}:{server.port}", allow_http=True, **extras)
        client = make_client()
        assert client.call("test_connection")[0]
        if isinstance(client, SyncClient):
            assert client.hook.get_conn().get(f"{server.url}/v2/me/senders").ok
    assert proxy.clear == b"" and server.seen[0][0].startswith("/v2/")


@pytest.mark.parametrize("where", ["http", "all", "http://127.0.0.1", "all://127.0.0.1"])
def test_a_proxy_of_the_connection_for_plain_requests_is_refused(
    connect: Connect, make_client: MakeClient, where: str
) -> None:
    with RawServer(send) as server, RecordingProxy(server.port) as proxy:
        connect(server.url, proxies={where: f"http://someone:hunter2@{proxy.address}"})
        client = make_client()
        with pytest.raises(IP1ConnectionError, match="'ip1_test': extra 'proxies'.*clear text.*https://") as caught:
            client.call("get_summary", MAIN)
        worked, text = client.call("test_connection")
        assert not worked and text.startswith('"Proxies" has a proxy') and "hunter2" not in text
    assert proxy.clear == b"" and server.seen == [] and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "where", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "https", "all", "https://api.example"]
)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "SOCKS5H", "socks4", "socks4a", "socks", "ftp"])
def test_other_proxies_are_refused(
    connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, where: str, scheme: str
) -> None:
    with RecordingProxy(0) as proxy:
        connect("https://api.example", **set_proxy(monkeypatch, where, f"{scheme}://u:hunter2@{proxy.address}"))
        source = "HTTPS_PROXY or ALL_PROXY" if where.lower() in PROXY_VARIABLES else "the extra 'proxies'"
        refusal = re.escape(f"'ip1_test': its proxy {scheme}://{proxy.address}, from {source}, ")
        client = make_client()
        with pytest.raises(IP1ConnectionError, match=refusal) as caught:
            client.call("get_summary", MAIN)
        worked, text = client.call("test_connection")
        assert not worked and text.startswith(f"Its proxy {scheme}://") and "hunter2" not in text
    assert proxy.clear == b"" and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "other.example,127.0.0.1", "127.0.0.0/8"])
def test_a_proxy_that_cannot_be_used_does_not_matter_where_none_is_used(
    authority: trustme.CA,
    ca_file: str,
    connect: Connect,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    exempt: str,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1")
    monkeypatch.setenv(variable, exempt)
    with tls_server(authority) as server:
        connect(server.url, verify=ca_file)
        assert make_client().call("test_connection")[0]


def test_a_proxy_of_the_connection_comes_before_one_that_cannot_be_used(
    authority: trustme.CA, ca_file: str, connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(authority, "api.example") as server, RecordingProxy(server.port) as proxy:
        monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1")
        connect("https://api.example", verify=ca_file, proxies={"https": f"http://{proxy.address}"})
        assert make_client().call("test_connection")[0]


@pytest.mark.parametrize("address", ["", "[::1", "127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1: 80", "127.0.0.1:x"])
def test_a_proxy_without_a_usable_address_is_refused(
    connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Otherwise each library fails in its own way, and it seems unknown whether an SMS was sent."""
    connect("https://api.example", **set_proxy(monkeypatch, "HTTPS_PROXY", f"http://u:hunter2@{address}"))
    with pytest.raises(IP1ConnectionError, match="'ip1_test': its proxy") as caught:
        make_client().call("get_summary", MAIN)
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
    monkeypatch.setattr(logs, "PROGRESS_INTERVAL", 1e-9)
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
    assert "1 of 2 conversations, 130 messages" in several and "of about" not in several
    assert MAIN not in one + several
