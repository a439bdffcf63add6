# SPDX-License-Identifier: Apache-2.0
"""
The extras of a connection: what the form shows, what the documentation lists, and which values are allowed.

Airflow loads this module before its own configuration is complete, in every process. So it imports next to nothing.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Extra(NamedTuple):
    """
    An extra of a connection of type ``ip1``.

    :param label: in the form.
    :param description: what it means, with its default.
    :param schema: JSON schema of the value in the form, with the range of a number.
    :param default: of :class:`~airflow_provider_ip1.api.settings.Settings`.
    """

    label: str
    description: str
    schema: dict[str, Any]
    default: Any = None


def _number(label: str, description: str, kind: str, default: float, **limits: int) -> Extra:
    return Extra(label, f"{description} Default: {default:g}.", {"type": [kind, "null"], **limits}, default)


# The form stores the defaults that it fills in, so later defaults would not apply. Only booleans have one in the
# schema, because Airflow shows a boolean without a default as false.
def _flag(label: str, description: str, default: bool) -> Extra:
    text = f"{description} Default: {'yes' if default else 'no'}."
    return Extra(label, text, {"type": ["boolean", "null"], "default": default}, default)


def _text(label: str, description: str, default: Any = None, **schema: str) -> Extra:
    return Extra(label, description, {"type": ["string", "null"], **schema}, default)


EXTRAS: Final = {
    "sender": _text(
        "Sender",
        "Sender of SMS, unless a task or notification sets one: 3 to 11 letters and digits, or a phone number with "
        "country code.",
    ),
    "recipients": _text(
        "Recipients",
        "Recipients of notifications, unless a notification sets its own: phone numbers with country code, separated "
        "by commas.",
    ),
    "deployment": _text(
        "Deployment",
        "Name of this Airflow, such as production, if several send SMS from the same account. Part of the default "
        "reference.",
    ),
    # For a list of types, the form would show a large JSON editor.
    "timeout": _text(
        "Timeout",
        "Seconds to wait for the server, above 0: one number, or [connect, read]. Default: [10, 60].",
        (10.0, 60.0),
    ),
    "page_size": Extra(
        "Page size",
        "Messages per request. Default: 200, then up to 1000.",
        {"type": ["integer", "null"], "minimum": 1, "maximum": 10_000},
    ),
    "concurrency": _number(
        "Concurrency", "Maximum number of requests in flight per task.", "integer", 4, minimum=1, maximum=64
    ),
    "max_attempts": _number(
        "Attempts per request",
        "Maximum number of attempts per request, including the first one.",
        "integer",
        5,
        minimum=1,
        maximum=20,
    ),
    # The sibling v3 API documents 30 requests per second and account; v2 documents nothing.
    "requests_per_second": _number(
        "Requests per second", "Maximum rate per process and API key; 0 means unlimited.", "number", 20.0, minimum=0
    ),
    "verify": _flag(
        "Verify the certificate",
        "Verify the server's TLS certificate. In JSON, also the path of a file with trusted CA certificates.",
        True,
    ),
    "allow_http": _flag(
        "Allow http", "Allow the API key to be sent unencrypted to another machine. For tests only.", False
    ),
    "redact_key": _text(
        "Redaction key",
        "Secret for hashing personal data in exports. The same key produces the same hashes. Required to redact with "
        "hash, and for a checkpoint if redact hides the participants.",
        format="password",
    ),
    # The form shows a large JSON editor for an object.
    "proxies": Extra(
        "Proxies",
        'Proxy URL for https, for example {"https": "http://proxy.example.com:3128"}. '
        "Default: the proxies from the worker's environment.",
        {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
    ),
}
