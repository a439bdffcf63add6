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
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from airflow_provider_ip1.api.addresses import check_recipients, check_sender
from airflow_provider_ip1.api.extras import EXTRAS
from airflow_provider_ip1.exceptions import IP1ConnectionError

DEFAULT_HOST: Final = "https://api.ip1sms.com"


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that a client needs to talk to iP.1.

    :param conn_id: the Airflow connection it comes from.
    :param base_url: scheme, host, optional port and path prefix, without a slash at the end.
    :param api_key: sent as a Bearer token (iP.1's introduction page).
    :param timeout: seconds above 0 to wait for a TCP connection, and for the next bytes of a response.
    :param page_size: messages per request, 1 to 10000; ``None`` for 200 in the first page of a list, and up to 1000
        after a full page if the server grants it.
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
    timeout: tuple[float, float] = EXTRAS["timeout"].default
    page_size: int | None = None
    concurrency: int = EXTRAS["concurrency"].default
    max_attempts: int = EXTRAS["max_attempts"].default
    requests_per_second: float = EXTRAS["requests_per_second"].default
    verify: bool | str = True
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    redact_key: str | None = field(default=None, repr=False)
    sender: str | None = field(default=None, repr=False)
    recipients: tuple[str, ...] = field(default=(), repr=False)
    deployment: str | None = None


class ConnectionFields(Protocol):
    """The fields of an Airflow connection that matter here, besides its extras."""

    conn_type: str | None
    host: str | None
    schema: str | None
    port: int | None
    password: str | None


def read_settings(
    conn_id: str, connection: ConnectionFields, extra: Mapping[str, Any], overrides: Mapping[str, Any]
) -> tuple[Settings, tuple[str, ...]]:
    """
    Check a connection.

    :param conn_id: the connection's id, for error texts.
    :param connection: type ``ip1``. The host is a base URL or bare host; ``None`` or empty for https://api.ip1sms.com.
        Schema and port belong to a host without them; the default schema is https. The password is the API key.
    :param extra: the connection's extras. Empty strings and ``None`` count as not set. Numbers may be text, because a
        connection in URI form has nothing else.
    :param overrides: arguments of the hook, already checked. They override extras unless they are ``None``.
    :return: the settings, and the names of unknown extras.
    :raises IP1ConnectionError: a value cannot be used; the message names the field and the connection.
    """
    if connection.conn_type != "ip1":
        # The password of another service must not reach iP.1. A connection without a type may be any service's.
        found = f"the type {connection.conn_type!r}" if connection.conn_type else "no type"
        raise IP1ConnectionError(
            f"Connection {conn_id!r} has {found}, not 'ip1'. Its password was not sent anywhere. Give ip1_conn_id a "
            "connection of type 'ip1', or set the type of this one if its password is an API key of iP.1: conn_type in "
            "JSON, ip1:// in a URI."
        )

    def refuse(name: str, problem: str) -> IP1ConnectionError:
        return IP1ConnectionError(f"Connection {conn_id!r}: {name} {problem}")

    key = (connection.password or "").strip()
    if not key:
        raise refuse("password", "is empty. Put the API key of your iP.1 account there.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise refuse("password", "is not an API key: it has spaces or characters that keys do not have.")
    values: dict[str, Any] = {}
    for name in CHECKS:
        value = extra.get(name)
        if value is not None and value != "":
            values[name], problem = _check(name, value)
            if problem:
                raise refuse(f"extra {name!r}", problem)
    allow_http = values.pop("allow_http", False)
    values.update({name: value for name, value in overrides.items() if value is not None})
    base_url = _base_url(connection, allow_http, refuse)
    unknown = tuple(sorted(str(name) for name in extra if name not in CHECKS))
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
    value, problem = _check(name, value)
    if problem:
        raise ValueError(f"{name} {problem}")
    return value


def _check(name: str, value: Any) -> tuple[Any, str]:
    """Return the value as :class:`Settings` has it, or what is wrong with it."""
    try:
        return CHECKS[name](value), ""
    except ValueError as error:
        return None, str(error)


def _base_url(connection: ConnectionFields, allow_http: bool, refuse: Callable[[str, str], IP1ConnectionError]) -> str:
    text, port = (connection.host or "").strip() or DEFAULT_HOST, connection.port
    if "://" not in text:
        text = f"{(connection.schema or 'https').strip().lower()}://{text}"
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
        alternative = ", or schema must be https" if connection.schema else ""
        raise refuse("host", f"must begin with https://{alternative}.")
    if parts.username is not None or parts.password is not None:
        raise refuse("host", "contains a user name or a secret. Put the API key into the password instead.")
    if parts.query or parts.fragment:
        raise refuse(
            "host",
            "has a query or fragment. Give an address such as https://api.ip1sms.com, with port and path if needed.",
        )
    if named_port and port and named_port != port:
        raise refuse("port", f"is {port}, but the host says {named_port}. Keep one of them.")
    if port and not 1 <= port <= 65535:
        raise refuse("port", "must be a whole number from 1 to 65535.")
    if parts.scheme == "http" and not allow_http and not is_loopback(name):
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


def is_loopback(name: str) -> bool:
    """
    Return whether a host is this machine.

    :param name: host name or IP address, without brackets.
    """
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


# -- one check per extra; the ValueError completes a sentence that begins with the extra's name


def _number(value: Any, low: float, high: float, what: str, *, is_whole: bool = False) -> float:
    if not isinstance(value, bool) and isinstance(value, (int, float, str)):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number) and low <= number <= high and (number.is_integer() or not is_whole):
            return int(number) if is_whole else number
    raise ValueError(f"must be {what}.")


def _number_within(name: str, value: Any) -> float:
    schema = EXTRAS[name].schema
    low, high = schema["minimum"], schema.get("maximum", math.inf)
    is_whole = schema["type"][0] == "integer"
    what = f"a whole number from {low} to {high}" if is_whole else f"a number from {low} (no limit) up"
    return _number(value, low, high, what, is_whole=is_whole)


def _timeout(value: Any) -> tuple[float, float]:
    what = "seconds above 0, or [connect, read]"
    # Airflow's form shows the list [10, 60] as 10,60.
    if isinstance(value, str) and "," in value:
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
    flag = {"true": True, "false": False}.get(str(value).strip().lower())
    if flag is None:
        raise ValueError("must be true or false.")
    return flag


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
    problem = ""
    try:
        if isinstance(value, (str, list)):
            return tuple(check_recipients(value)[0])
    except ValueError as error:
        problem = f" {error}"
    raise ValueError(f"must be phone numbers with country code, as a list or separated by commas.{problem}")


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "timeout": _timeout,
    **{name: partial(_number_within, name) for name, extra in EXTRAS.items() if "minimum" in extra.schema},
    "verify": _verify,
    "proxies": _proxies,
    "allow_http": _flag,
    "redact_key": _text,
    "sender": _sender,
    "recipients": _recipients,
    "deployment": _text,
}
