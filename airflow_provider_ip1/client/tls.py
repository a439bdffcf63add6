# SPDX-License-Identifier: Apache-2.0
"""Certificates and proxies, found in the same places for both HTTP libraries."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any, NamedTuple

from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.exceptions import IP1ConnectionError


class Route(NamedTuple):
    """
    How to reach the server.

    :param proxies: scheme to proxy URL, as requests expects them.
    :param verify: whether to verify the server's certificate, or the path of the CA certificates.
    """

    proxies: dict[str, str]
    verify: bool | str


def find_route(settings: Settings) -> Route:
    """
    Combine the connection's proxies and certificates with those of the environment, as requests does.

    :param settings: of the connection.
    :raises IP1ConnectionError: the CA certificates cannot be read.
    """
    import requests

    with requests.Session() as session:
        found = session.merge_environment_settings(
            settings.base_url, dict(settings.proxies or {}), False, settings.verify, None
        )
    if isinstance(found["verify"], str):
        ssl_context(found["verify"], settings.conn_id)
    # requests leaves None where nothing says otherwise, and verifies then.
    verify = found["verify"]
    return Route(dict(found["proxies"]), True if verify is None else verify)


def aiohttp_options(settings: Settings) -> dict[str, Any]:
    """
    Return the options for aiohttp's requests: ``proxy`` and ``ssl``.

    :param settings: of the connection.
    :raises IP1ConnectionError: the CA certificates cannot be read.
    """
    import requests

    route = find_route(settings)
    proxy = requests.utils.select_proxy(settings.base_url, route.proxies)
    verify = route.verify
    return {"proxy": proxy, "ssl": ssl_context(verify, settings.conn_id) if isinstance(verify, str) else verify}


def ssl_context(ca_path: str, conn_id: str) -> ssl.SSLContext:
    """
    Return a TLS context that trusts these CA certificates only.

    :param ca_path: file or folder.
    :param conn_id: the Airflow connection, for the error.
    :raises IP1ConnectionError: the certificates cannot be read.
    """
    try:
        return _load(ca_path)
    except OSError:
        pass
    raise IP1ConnectionError(
        f"Connection {conn_id!r}: the file in extra 'verify', REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE cannot be read as "
        "CA certificates. Give a file in PEM format."
    )


@cache
def _load(ca_path: str) -> ssl.SSLContext:
    is_folder = os.path.isdir(ca_path)
    return ssl.create_default_context(cafile=None if is_folder else ca_path, capath=ca_path if is_folder else None)
