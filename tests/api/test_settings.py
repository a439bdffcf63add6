# SPDX-License-Identifier: Apache-2.0
"""What may stand in a connection of type ``ip1``, and what the errors say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.extras import EXTRAS
from airflow_provider_ip1.api.settings import CHECKS, Settings, check_argument, read_settings
from airflow_provider_ip1.exceptions import IP1ConnectionError

KEY = "0123-secret-key"


@dataclass
class Fields:
    conn_type: str | None = "ip1"
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    password: str | None = KEY


def read(
    extra: Mapping[str, Any] | None = None,
    *,
    host: str | None = None,
    schema: str | None = None,
    port: int | None = None,
    password: str | None = KEY,
    **overrides: Any,
) -> Settings:
    connection = Fields(host=host, schema=schema, port=port, password=password)
    return read_settings("ip1_test", connection, extra or {}, overrides)[0]


# -- the address


@pytest.mark.parametrize(
    ("host", "schema", "port", "url"),
    [
        (None, None, None, "https://api.ip1sms.com"),
        ("", "", None, "https://api.ip1sms.com"),
        (None, "https", 8443, "https://api.ip1sms.com:8443"),
        ("api.example", None, None, "https://api.example"),
        ("api.example", "https", None, "https://api.example"),
        ("api.example", "HTTPS", None, "https://api.example"),
        ("api.example:8443", None, None, "https://api.example:8443"),
        ("api.example", None, 8443, "https://api.example:8443"),
        ("api.example", None, 1, "https://api.example:1"),
        ("api.example", None, 65_535, "https://api.example:65535"),
        ("https://api.example/a%20b&c/V2/", None, None, "https://api.example/a%20b&c"),
        ("api.example:8443", None, 8443, "https://api.example:8443"),
        ("https://api.example", None, None, "https://api.example"),
        ("https://api.example", "http", None, "https://api.example"),
        ("https://api.example/", None, 8443, "https://api.example:8443"),
        ("HTTPS://API.Example/Prefix/", None, None, "https://api.example/Prefix"),
        ("https://api.example:8443/a/b//", None, None, "https://api.example:8443/a/b"),
        (" https://api.example ", None, None, "https://api.example"),
        ("gateway.example/ip1", None, 444, "https://gateway.example:444/ip1"),
        ("https://[2001:db8::1]", None, 8443, "https://[2001:db8::1]:8443"),
        ("[2001:db8::1]:8443", None, None, "https://[2001:db8::1]:8443"),
        ("http://localhost:8080", None, None, "http://localhost:8080"),
        ("localhost", "http", 8080, "http://localhost:8080"),
        ("http://127.0.0.1", None, None, "http://127.0.0.1"),
        ("http://127.9.9.9:1", None, None, "http://127.9.9.9:1"),
        ("http://[::1]:8080", None, None, "http://[::1]:8080"),
        ("http://api.localhost", None, None, "http://api.localhost"),
        ("https://b\u00fccher.example/\u00e5", None, None, "https://xn--bcher-kva.example/%C3%A5"),
        ("ip1_sandbox", None, 8443, "https://ip1_sandbox:8443"),
    ],
)
def test_base_urls(host: str | None, schema: str | None, port: int | None, url: str) -> None:
    assert read(host=host, schema=schema, port=port).base_url == url


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("host", {"host": "ftp://api.example"}),
        ("host", {"host": "api.example", "schema": "ftp"}),
        ("host", {"host": "https://"}),
        ("host", {"host": "https://:8443"}),
        ("host", {"host": "https://api example"}),
        ("host", {"host": "https://api.example\\x"}),
        ("host", {"host": "https://elsewhere.example\\@api.example"}),
        ("host", {"host": "https://api.example\x00"}),
        ("host", {"host": "https://api..example"}),
        ("host", {"host": "https://[::1"}),
        ("host", {"host": "::1"}),
        ("host", {"host": "https://api.example:port"}),
        ("host", {"host": "https://api.example:99999"}),
        ("host", {"host": "https://someone@api.example"}),
        ("host", {"host": f"https://someone:{KEY}@api.example"}),
        ("host", {"host": "https://api.example?a=b"}),
        ("host", {"host": "https://api.example#a"}),
        ("port", {"host": "https://api.example:8443", "port": 8444}),
        ("port", {"host": "api.example", "port": 65_536}),
        ("port", {"host": "api.example", "port": -1}),
    ],
)
def test_addresses_that_are_refused(field: str, address: dict[str, Any]) -> None:
    with pytest.raises(IP1ConnectionError, match=f"^Connection 'ip1_test': {field} ") as caught:
        read(**address)
    assert KEY not in str(caught.value) and "None" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    ["http://api.ip1sms.com", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.example", "http://[2001:db8::1]",
     "http://127.0.0.1.example", "http://notlocalhost"],
)  # fmt: skip
@pytest.mark.parametrize("allow_http", [True, "true", "True", False, "false", None, ""])
def test_clear_text_needs_permission_off_the_machine(host: str, allow_http: object) -> None:
    extra = {"allow_http": allow_http}
    if allow_http in (True, "true", "True"):
        assert read(extra, host=host).base_url == host
    else:
        with pytest.raises(IP1ConnectionError, match="clear text.*allow_http"):
            read(extra, host=host)


@given(st.text(), st.one_of(st.none(), st.text(max_size=8)), st.one_of(st.none(), st.integers(-5, 10**6)))
def test_any_address_is_a_clean_url_or_a_clear_error(host: str, schema: str | None, port: int | None) -> None:
    try:
        url = read({"allow_http": True}, host=host, schema=schema, port=port).base_url
    except IP1ConnectionError as error:
        assert str(error).startswith("Connection 'ip1_test': ")
        return
    parts = urlsplit(url)
    assert url.isascii() and parts.hostname and parts.scheme in ("http", "https")
    assert parts.username is None and not parts.query and not parts.fragment and not url.endswith("/")
    assert parts.port is None or 0 < parts.port < 65536


# -- the key


@pytest.mark.parametrize("password", [None, "", "   ", "two words", "Bearer abc", "å", "a\nb", "a\x00"])
def test_keys_that_are_refused(password: str | None) -> None:
    with pytest.raises(IP1ConnectionError, match="^Connection 'ip1_test': password ") as caught:
        read(password=password)
    assert not (password or "").strip() or password not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    settings = read(
        {
            "redact_key": "another-secret",
            "proxies": {"https": "http://user:pass@proxy.example"},
            "sender": "46701740605",
            "recipients": ["46701740605"],
        }
    )
    assert settings.api_key == KEY and settings.redact_key == "another-secret"
    for secret in (KEY, "another-secret", "pass@", "46701740605"):
        assert secret not in repr(settings)


def test_a_key_with_spaces_around() -> None:
    assert read(password=f" {KEY}\n").api_key == KEY


# -- extras


def test_defaults() -> None:
    settings = read()
    assert settings.conn_id == "ip1_test"
    assert settings.timeout == (10.0, 60.0)
    assert settings.page_size is None
    assert settings.concurrency == 4
    assert settings.max_attempts == 5
    assert settings.requests_per_second == 20
    assert settings.verify is True
    assert settings.proxies is None
    assert settings.redact_key is None
    assert settings.deployment is None


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("timeout", 5, (5.0, 5.0)),
        ("timeout", 0.5, (0.5, 0.5)),
        ("timeout", "7.5", (7.5, 7.5)),
        ("timeout", [3, 40], (3.0, 40.0)),
        ("timeout", (3, "40"), (3.0, 40.0)),
        ("timeout", "[3, 40]", (3.0, 40.0)),
        ("timeout", "3,40", (3.0, 40.0)),
        ("timeout", 86_400, (86_400.0, 86_400.0)),
        ("page_size", 1, 1),
        ("page_size", 10_000, 10_000),
        ("page_size", "50", 50),
        ("page_size", 50.0, 50),
        ("concurrency", 1, 1),
        ("concurrency", "64", 64),
        ("max_attempts", 1, 1),
        ("max_attempts", "20", 20),
        ("requests_per_second", 0, 0.0),
        ("requests_per_second", "0.5", 0.5),
        ("requests_per_second", 30, 30.0),
        ("verify", True, True),
        ("verify", False, False),
        ("verify", "false", False),
        ("verify", "True", True),
        ("proxies", {"https": "http://proxy.example:3128"}, {"https": "http://proxy.example:3128"}),
        ("proxies", '{"https": "http://proxy.example:3128"}', {"https": "http://proxy.example:3128"}),
        ("redact_key", "secret", "secret"),
        ("sender", "iP1", "iP1"),
        ("sender", "+46 701 74 06 05", "46701740605"),
        ("recipients", "46701740605", ("46701740605",)),
        ("recipients", "+46701740605, 46701740606,46701740605", ("46701740605", "46701740606")),
        ("recipients", ["46701740605"], ("46701740605",)),
        ("deployment", "production", "production"),
    ],
)
def test_extras(name: str, written: object, value: object) -> None:
    read_value = getattr(read({name: written}), name)
    assert read_value == value
    assert type(read_value) is type(value)


def test_verify_takes_the_path_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.touch()
    assert read({"verify": str(path)}).verify == str(path)


BAD = {
    "timeout": [
        0,
        -1,
        86_401,
        "x",
        True,
        [1],
        [1, 2, 3],
        [1, 0],
        [1, None],
        {},
        "[1,",
        "[1, 2, 3]",
        float("inf"),
        10**400,
    ],
    "page_size": [0, 10_001, -1, 1.5, "x", "1.5", True, [], {}, float("nan"), 10**400],
    "concurrency": [0, 65, 1.5, "four", False, []],
    "max_attempts": [0, 21, "", None, "2 times", 2.5, True],
    "requests_per_second": [-1, "-0.1", "x", True, [], float("nan"), float("inf")],
    "verify": ["/no/such/file.pem", 1, [], "maybe"],
    "proxies": ["http://proxy.example", ["http://proxy.example"], {"https": 1}, {"https": "proxy.example"}, "{", 1],
    "redact_key": [1, [], {"a": "b"}, " "],
    "deployment": [1, True, [], {"a": "b"}, " \n"],
    "sender": ["ab", "a shop", "longer than eleven", "0701740605", 46701740605, []],
    "recipients": [[], ",", "iP1", "0701740605", [46701740605], 46701740605, {"46701740605": {}}, "1" * 16],
    "allow_http": ["yes", 1, 0, [], "tru"],
}

WHAT = {
    "timeout": r"seconds above 0, or \[connect, read\]\.$",
    "page_size": r"a whole number from 1 to 10000\.$",
    "concurrency": r"a whole number from 1 to 64\.$",
    "max_attempts": r"a whole number from 1 to 20\.$",
    "requests_per_second": r"a number from 0 \(no limit\) up\.$",
    "verify": r"true, false or the path of an existing file with CA certificates\.$",
    "proxies": r'an object of proxy URLs, such as \{"https": "http://proxy\.example:3128"\}\.$',
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_extras_that_are_refused(name: str, value: object) -> None:
    if value in ("", None) and not isinstance(value, bool):
        assert getattr(read({name: value}), name) == getattr(read(), name)  # counts as not set
        return
    with pytest.raises(
        IP1ConnectionError, match=f"^Connection 'ip1_test': extra '{name}' must be {WHAT.get(name, '')}"
    ) as caught:
        read({name: value})
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_every_extra_has_been_tried() -> None:
    assert set(BAD) == set(CHECKS) == set(EXTRAS)


@given(st.sampled_from(sorted(BAD)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
))  # fmt: skip
def test_any_extra_is_taken_or_named(name: str, value: object) -> None:
    try:
        read({name: value})
    except IP1ConnectionError as error:
        assert f"extra '{name}' must be" in str(error) and "'ip1_test'" in str(error)


def test_arguments_win_over_extras_and_extras_over_defaults() -> None:
    settings = read({"page_size": 10, "concurrency": 2}, page_size=7, concurrency=None, max_attempts=None)
    assert (settings.page_size, settings.concurrency, settings.max_attempts) == (7, 2, 5)


def test_unknown_extras_are_told() -> None:
    extra = {"pagesize": 5, "allow_http": False, "verify": True, "__x": {}}
    _, unknown = read_settings("ip1_test", Fields(), extra, {})
    assert unknown == ("__x", "pagesize")


@pytest.mark.parametrize("name", ["timeout", "page_size", "concurrency", "max_attempts", "requests_per_second"])
def test_arguments_are_checked_like_extras(name: str) -> None:
    assert check_argument(name, None) is None
    for value in BAD[name]:
        if value in ("", None) and not isinstance(value, bool):
            continue
        with pytest.raises(ValueError, match=f"^{name} must be {WHAT[name]}") as caught:
            check_argument(name, value)
        assert caught.value.__context__ is None
