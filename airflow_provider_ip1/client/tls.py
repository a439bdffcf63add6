# SPDX-License-Identifier: Apache-2.0
"""Certificates and proxies, found in the same places for both HTTP libraries."""

from __future__ import annotations

import os
import ssl
from functools import cache
from urllib.parse import urlsplit

from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.exceptions import IP1ConnectionError


def proxy_and_certificates(settings: Settings) -> tuple[str | None, bool | str]:
    """
    Find the proxy and the certificates, in the connection first and then in the environment, as requests does.

    A proxy sees everything of a plain http request, the API key included, so such a request never uses one. An https
    request travels through a tunnel.

    :param settings: of the connection.
    :return: the URL of the proxy, or ``None``; and whether to verify the server's certificate, or the path of the CA
        certificates.
    :raises IP1ConnectionError: the proxy cannot be used, or the CA certificates cannot be read.
    """
    from requests.utils import get_environ_proxies, select_proxy

    url, is_http = settings.base_url, settings.base_url.startswith("http:")
    proxy = select_proxy(url, dict(settings.proxies or {}))
    if proxy and is_http:
        raise IP1ConnectionError(
            f"Connection {settings.conn_id!r}: extra 'proxies' has a proxy for {url}. It would see the API key and "
            "the messages in clear text, because the host is http://. Remove it from the extra, or use https://."
        )
    if not proxy and not is_http:
        proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if proxy:
        # curl and requests take a proxy without a scheme from the environment.
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        if not _is_http_url(proxy):
            raise IP1ConnectionError(
                f"Connection {settings.conn_id!r}: its proxy, from the extra 'proxies', HTTPS_PROXY or ALL_PROXY, is "
                "not the URL of an http:// or https:// proxy. aiohttp supports no other proxies. "
                "Set the extra to such a proxy, or name the host of the connection in NO_PROXY."
            )
    verify = settings.verify
    if verify is True:
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    if not isinstance(verify, str):
        return proxy, verify
    try:
        ssl_context(verify)
        return proxy, verify
    except OSError:
        pass
    raise IP1ConnectionError(
        f"Connection {settings.conn_id!r}: the file in extra 'verify', REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE cannot be "
        "read as CA certificates. Give a file in PEM format."
    )


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@cache
def ssl_context(ca_path: str) -> ssl.SSLContext:
    """
    Return a TLS context that trusts these CA certificates only.

    :param ca_path: file or folder.
    :raises OSError: the certificates cannot be read.
    """
    is_folder = os.path.isdir(ca_path)
    return ssl.create_default_context(cafile=None if is_folder else ca_path, capath=ca_path if is_folder else None)
