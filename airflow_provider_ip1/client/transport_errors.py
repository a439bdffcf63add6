# SPDX-License-Identifier: Apache-2.0
"""Describes network errors without quoting a URL, and tells whether the request may have been sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from airflow_provider_ip1.api.call import TransportFailure
from airflow_provider_ip1.api.wording import duration_text


def transport_failure(error: Exception, *, before_sending: tuple[type[BaseException], ...]) -> TransportFailure:
    """
    Describe an error of an HTTP library.

    :param error: the error.
    :param before_sending: the library's errors that prove that no byte of the request was sent.
    """
    name = type(error).__name__
    causes = list(_causes(error))
    was_sent = not any(
        isinstance(cause, (*before_sending, ConnectionRefusedError, socket.gaierror)) for cause in causes
    )
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        # aiohttp's own error of this type lacks the message.
        reason = next((cause.verify_message for cause in causes if hasattr(cause, "verify_message")), name)
        return TransportFailure(f"the server's certificate is not trusted ({reason})", kind="settings", was_sent=False)
    # The adapter for requests notes the status here if the headers after it could not be read.
    statuses = (getattr(cause, "status", None) for cause in causes)
    status = next((status for status in statuses if isinstance(status, int)), None)
    for cause in causes:
        # The errors of requests are OSErrors, too, but their texts quote the URL.
        if isinstance(cause, OSError) and cause.strerror and not type(cause).__module__.startswith("requests"):
            return TransportFailure(f"{name}: {cause.strerror}", was_sent=was_sent, status=status)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return TransportFailure(f"{name}: the server did not respond in time", was_sent=was_sent, status=status)
    return TransportFailure(name, was_sent=was_sent, status=status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything that led to it. urllib3 keeps that in ``reason`` and in arguments, too."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        # Not __context__: where the caller is handling an error of its own, such as a refused connection to a database,
        # that error is the context of all errors here.
        linked = (getattr(cause, "reason", None), *cause.args, cause.__cause__)
        waiting += [link for link in linked if isinstance(link, BaseException)]


def time_is_up(seconds: float) -> TransportFailure:
    """
    Describe an attempt that was given up at a deadline.

    :param seconds: how long the attempt has taken.
    """
    return TransportFailure(f"no response within {duration_text(seconds)}")
