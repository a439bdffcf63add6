# SPDX-License-Identifier: Apache-2.0
"""Checks an Airflow connection of type ``ip1`` and turns it into settings."""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_ip1.api.addresses import check_recipients, check_sender
from airflow_provider_ip1.exceptions import IP1ConnectionError

DEFAULT_HOST = "https://api.ip1sms.com"
DEFAULT_TIMEOUT = (10.0, 60.0)
DEFAULT_PAGE_SIZE = 200
DEFAULT_CONCURRENCY = 4
DEFAULT_MAX_ATTEMPTS = 5
#: The sibling v3 API documents 30 requests per second and account; v2 documents nothing.
DEFAULT_REQUESTS_PER_SECOND = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that a client needs to talk to iP.1.

    :param conn_id: the Airflow connection it comes from.
    :param base_url: scheme, host, optional port and path prefix, without a slash at the end.
    :param api_key: sent as a Bearer token (iP.1's introduction page).
    :param timeout: seconds above 0 to wait for a TCP connection, and for the next bytes of a response.
    :param page_size: messages per request, 1 to 10000.
    :param concurrency: maximum number of requests in flight, 1 to 64.
    :param max_attempts: maximum number of attempts per request, 1 to 20.
    :param requests_per_second: maximum rate of the process, 0 for no limit.
    :param verify: whether to verify the server's certificate, or the path of the CA certificates.
    :param proxies: scheme to proxy URL.
    :param redact_key: secret for hashing personal data in exports.
    :param sender: default sender of SMS.
    :param recipients: default recipients of notifications.
    :param deployment: name of the Airflow deployment, part of the default reference of an SMS.
    """

    conn_id: str
    base_url: str
    api_key: str = field(repr=False)
    timeout: tuple[float, float] = DEFAULT_TIMEOUT
    page_size: int = DEFAULT_PAGE_SIZE
    concurrency: int = DEFAULT_CONCURRENCY
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    requests_per_second: float = DEFAULT_REQUESTS_PER_SECOND
    verify: bool | str = True
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    redact_key: str | None = field(default=None, repr=False)
    sender: str | None = field(default=None, repr=False)
    recipients: tuple[str, ...] = field(default=(), repr=False)
    deployment: str | None = None


def read_settings(
    conn_id: str,
    *,
    host: str | None,
    schema: str | None,
    port: int | None,
    password: str | None,
    extra: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> tuple[Settings, tuple[str, ...]]:
    """
    Check the fields of a connection.

    :param conn_id: the connection's id, for error texts.
    :param host: base URL or bare host; ``None`` or empty for https://api.ip1sms.com.
    :param schema: ``http`` or ``https``, for a host without a scheme; default https.
    :param port: for a host without a port.
    :param password: the API key.
    :param extra: the connection's extras. Empty strings and ``None`` count as not set. Numbers may be text, because a
        connection in URI form has nothing else.
    :param overrides: arguments of the hook, already checked. They override extras unless they are ``None``.
    :return: the settings, and the names of unknown extras.
    :raises IP1ConnectionError: a value cannot be used; the message names the field and the connection.
    """

    def refuse(name: str, problem: str) -> IP1ConnectionError:
        return IP1ConnectionError(f"Connection {conn_id!r}: {name} {problem}")

    key = (password or "").strip()
    if not key:
        raise refuse("password", "is empty. Put the API key of your iP.1 account there.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise refuse("password", "is not an API key: it has spaces or characters that keys do not have.")
    values: dict[str, Any] = {}
    for name, check in {**CHECKS, "allow_http": _flag}.items():
        value = extra.get(name)
        if value is None or value == "":
            continue
        try:
            values[name] = check(value)
        except ValueError as error:
            problem = str(error)
        else:
            continue
        raise refuse(f"extra {name!r}", problem)
    allow_http = values.pop("allow_http", False)
    values.update({name: value for name, value in overrides.items() if value is not None})
    base_url = _base_url(host, schema, port, allow_http, refuse)
    unknown = tuple(sorted(str(name) for name in extra if name not in CHECKS and name != "allow_http"))
    return Settings(conn_id=conn_id, base_url=base_url, api_key=key, **values), unknown


def check_argument(name: str, value: Any) -> Any:
    """
    Check a setting that was given as a hook argument.

    :param name: name of the setting.
    :param value: ``None`` for not set.
    :return: the value in the type that :class:`Settings` has.
    :raises ValueError: the value cannot be used; the message names the argument.
    """
    if value is None:
        return None
    try:
        return CHECKS[name](value)
    except ValueError as error:
        problem = str(error)
    raise ValueError(f"{name} {problem}")


def _base_url(
    host: str | None,
    schema: str | None,
    port: int | None,
    allow_http: bool,
    refuse: Callable[[str, str], IP1ConnectionError],
) -> str:
    text = (host or "").strip() or DEFAULT_HOST
    if "://" not in text:
        text = f"{(schema or 'https').strip().lower()}://{text}"
    try:
        parts = urlsplit(text)
        named_port = parts.port
        # HTTP libraries disagree on names in other scripts and on backslashes.
        name = (parts.hostname or "").encode("idna").decode()
    except ValueError:
        name, named_port = "", None
    if not name or any(character.isspace() or character == "\\" or not character.isprintable() for character in text):
        raise refuse("host", f"is not a URL or host name. Leave it empty for {DEFAULT_HOST}.")
    if parts.scheme not in ("http", "https"):
        raise refuse("host", "must begin with https://, or schema must be https.")
    if parts.username is not None or parts.password is not None:
        raise refuse("host", "contains a user name or password. Put the API key into the password field.")
    if parts.query or parts.fragment:
        raise refuse("host", "has a query or fragment. Give scheme, host and, if needed, port and path only.")
    if named_port and port and named_port != port:
        raise refuse("port", f"is {port}, but the host says {named_port}. Keep one of them.")
    if port and not 1 <= port <= 65535:
        raise refuse("port", "must be a whole number from 1 to 65535.")
    if parts.scheme == "http" and not allow_http and not _is_loopback(name):
        raise refuse(
            "host",
            "is http://, which would send the API key in clear text. Use https://, or set the extra allow_http to "
            "true for a server inside your own network.",
        )
    final_port = named_port or port
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    shown = f"[{name}]" if ":" in name else name
    # Requests begin with /v2/ themselves.
    prefix = re.sub(r"/v2$", "", path.rstrip("/"), flags=re.IGNORECASE).rstrip("/")
    return f"{parts.scheme}://{shown}{f':{final_port}' if final_port else ''}{prefix}"


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


# -- one check per extra; the ValueError completes a sentence that begins with the extra's name


def _number(value: Any, low: float, high: float, what: str) -> float:
    wanted = f"must be {what}."
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(wanted)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or not low <= number <= high:
        raise ValueError(wanted)
    return number


def _whole(value: Any, low: int, high: int) -> int:
    what = f"a whole number from {low} to {high}"
    number = _number(value, low, high, what)
    if number != int(number):
        raise ValueError(f"must be {what}.")
    return int(number)


def _timeout(value: Any) -> tuple[float, float]:
    what = "seconds above 0, or [connect, read]"
    # Airflow's form shows the list [10, 60] as 10,60.
    if isinstance(value, str) and ("," in value or "[" in value):
        try:
            value = json.loads(f"[{value.strip().removeprefix('[').removesuffix(']')}]")
        except ValueError:
            value = ()
    pair = value if isinstance(value, (list, tuple)) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"must be {what}.")
    connect, read = (_number(part, 1e-3, 86400.0, what) for part in pair)
    return connect, read


def _flag(value: Any) -> bool:
    text = value.strip().lower() if isinstance(value, str) else value
    if text is True or text == "true":
        return True
    if text is False or text == "false":
        return False
    raise ValueError("must be true or false.")


def _verify(value: Any) -> bool | str:
    try:
        return _flag(value)
    except ValueError:
        pass
    if not isinstance(value, str) or not os.path.exists(value):
        raise ValueError("must be true, false or the path of an existing file with CA certificates.")
    return value


def _proxies(value: Any) -> Mapping[str, str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(url, str) and "://" in url for name, url in value.items()
    ):
        raise ValueError('must be an object of proxy URLs, such as {"https": "http://proxy.example:3128"}.')
    return dict(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text that is not blank.")
    return value


def _sender(value: Any) -> str:
    try:
        return check_sender(value)
    except ValueError:
        pass
    raise ValueError("must be 3 to 11 letters (A-Z, a-z) and digits, or a number of at most 15 digits.")


def _recipients(value: Any) -> tuple[str, ...]:
    try:
        if isinstance(value, (str, list)):
            return tuple(check_recipients(value)[0])
    except ValueError:
        pass
    raise ValueError("must be phone numbers with country code, as a list or separated by commas.")


def _page_size(value: Any) -> int:
    return _whole(value, 1, 10_000)


def _concurrency(value: Any) -> int:
    return _whole(value, 1, 64)


def _max_attempts(value: Any) -> int:
    return _whole(value, 1, 20)


def _requests_per_second(value: Any) -> float:
    return _number(value, 0, 1e6, "a number from 0 (no limit) up")


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "timeout": _timeout,
    "page_size": _page_size,
    "concurrency": _concurrency,
    "max_attempts": _max_attempts,
    "requests_per_second": _requests_per_second,
    "verify": _verify,
    "proxies": _proxies,
    "redact_key": _text,
    "sender": _sender,
    "recipients": _recipients,
    "deployment": _text,
}
