# SPDX-License-Identifier: Apache-2.0
"""Certificates and proxies, found in the same places for both HTTP libraries."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from urllib.parse import urlsplit

from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.exceptions import IP1ConnectionError


def find_proxy(settings: Settings) -> str | None:
    """
    Find the proxy, in the connection first and then in the environment, as requests does.

    A proxy sees everything of a plain http request, the API key included, so such a request never uses one. An https
    request travels through a tunnel.

    :param settings: of the connection.
    :return: the URL of the proxy, or ``None``.
    :raises IP1ConnectionError: the proxy cannot be used.
    """
    from requests.utils import get_environ_proxies, select_proxy

    url, is_http, source = settings.base_url, settings.base_url.startswith("http:"), "the extra 'proxies'"
    proxy = select_proxy(url, dict(settings.proxies or {}))
    if proxy and is_http:
        raise IP1ConnectionError(
            f"Connection {settings.conn_id!r}: extra 'proxies' has a proxy for {url}. It would see the API key and "
            "the messages in clear text, because the host is http://. Remove the proxy, or use https://."
        )
    if not proxy and not is_http:
        source, proxy = "HTTPS_PROXY or ALL_PROXY", select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not proxy:
        return None
    # curl and requests take a proxy without a scheme from the environment.
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if _is_http_url(proxy):
        return proxy
    scheme, _, address = proxy.partition("://")
    raise IP1ConnectionError(
        f"Connection {settings.conn_id!r}: its proxy {scheme}://{address.rpartition('@')[2]}, from {source}, is not the"
        " URL of an http:// or https:// proxy. Others, such as SOCKS, are not supported. "
        "Set the extra 'proxies' to such a proxy, or name the server in NO_PROXY."
    )


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Trust:
    """
    Which certificates the server of a connection may have: one answer for both HTTP libraries.

    Those of the extra ``verify``, or of ``REQUESTS_CA_BUNDLE``, or of ``CURL_CA_BUNDLE``, whichever is set first.
    Without one, those of certifi and of the system together, the latter as OpenSSL finds them (``SSL_CERT_FILE``,
    ``SSL_CERT_DIR``).

    :param settings: of the connection.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """
        Return the TLS context for a request. It is another one once files have changed.

        :raises IP1ConnectionError: the certificates cannot be read, and never could.
        """
        from certifi import where  # requests brings it

        verify, source = self._settings.verify, "the extra 'verify'"
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            if verify is True and os.environ.get(variable):
                verify, source = os.environ[variable], variable
        system = ssl.get_default_verify_paths()
        paths = (where(), system.cafile, system.capath) if verify is True else (verify,)
        try:
            self._last = _context(verify, *[(path, _version(path)) for path in paths if isinstance(path, str)])
        except OSError:
            # Someone who replaces a file may have written only half of it so far. The next request looks again.
            pass
        if self._last is None:
            raise IP1ConnectionError(
                f"Connection {self._settings.conn_id!r}: {verify}, from {source}, cannot be read as CA certificates. "
                "Give a file in PEM format, or a folder of such files that OpenSSL's rehash has prepared."
            )
        return self._last


def _version(path: str) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(16)
def _context(verify: bool | str, *files: tuple[str, tuple[int, ...]]) -> ssl.SSLContext:
    if verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif verify is True:
        context = ssl.create_default_context()
        context.load_verify_locations(files[0][0])
    elif os.path.isdir(verify):
        context = ssl.create_default_context(capath=verify)
    else:
        context = ssl.create_default_context(cafile=verify)
    return context
