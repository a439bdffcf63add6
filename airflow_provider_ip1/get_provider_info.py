# SPDX-License-Identifier: Apache-2.0
"""
The provider metadata for Airflow's provider manager and connection form.

Airflow loads this module before its own configuration is complete. Importing Airflow here would break it.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_ip1 import __version__


def get_provider_info() -> dict[str, Any]:
    """
    Return the provider metadata. The entry point group ``apache_airflow_provider`` calls this function.

    :return: a dictionary that is valid under both of Airflow's schemas, ``provider_info.schema.json`` and
        ``provider.yaml.schema.json``.
    """
    return {
        "package-name": "airflow-provider-ip1",
        "name": "iP.1 SMS",
        "description": "Export SMS conversations from `iP.1 <https://www.ip1sms.com/>`__, send SMS, and wait for "
        "deliveries and replies.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "iP.1 SMS",
                "external-doc-url": "https://www.ip1sms.com/en/developer/",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {
                "integration-name": "iP.1 SMS",
                "python-modules": ["airflow_provider_ip1.hooks.ip1", "airflow_provider_ip1.hooks.ip1_async"],
            }
        ],
        "operators": [{"integration-name": "iP.1 SMS", "python-modules": ["airflow_provider_ip1.operators.send_sms"]}],
        "sensors": [
            {
                "integration-name": "iP.1 SMS",
                "python-modules": [
                    "airflow_provider_ip1.sensors.message_status",
                    "airflow_provider_ip1.sensors.incoming_sms",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "iP.1 SMS",
                "python-modules": [
                    "airflow_provider_ip1.triggers.message_status",
                    "airflow_provider_ip1.triggers.incoming_sms",
                    "airflow_provider_ip1.triggers.incoming_sms_wait",
                ],
            }
        ],
        "transfers": [
            {
                "source-integration-name": "iP.1 SMS",
                "target-integration-name": "Amazon Simple Storage Service (S3)",
                "python-module": "airflow_provider_ip1.transfers.conversation_to_s3",
            },
            {
                "source-integration-name": "iP.1 SMS",
                "target-integration-name": "Amazon Simple Storage Service (S3)",
                "python-module": "airflow_provider_ip1.transfers.messages_to_s3",
            },
        ],
        "notifications": ["airflow_provider_ip1.notifications.ip1.IP1Notifier"],
        "extra-links": ["airflow_provider_ip1.links.s3.S3ObjectLink"],
        "connection-types": [
            {
                "connection-type": "ip1",
                "hook-class-name": "airflow_provider_ip1.hooks.ip1.IP1Hook",
                "hook-name": "iP.1 SMS",
                "ui-field-behaviour": {
                    # iP.1 has no login. The base URL contains scheme and port, and separate fields could contradict it.
                    # Connection URIs may still set them.
                    "hidden-fields": ["login", "schema", "port"],
                    # Airflow marks required fields with an asterisk, but a provider cannot declare a field as required.
                    "relabeling": {"host": "Base URL", "password": "API key *"},
                    "placeholders": {
                        "host": "https://api.ip1sms.com",
                        "password": "required; create it in iP.1's portal",
                    },
                },
                # The form stores the defaults that it fills in, so later defaults would not apply. Only booleans have
                # one, because Airflow shows a boolean without a default as false.
                "conn-fields": {
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds to wait for the server, above 0: one number, or [connect, read]. "
                        "Default: [10, 60].",
                        # For a list of types, the form would show a large JSON editor.
                        "schema": {"type": ["string", "null"]},
                    },
                    "page_size": {
                        "label": "Page size",
                        "description": "Messages per request. Default: 200.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 10000},
                    },
                    "concurrency": {
                        "label": "Concurrency",
                        "description": "Maximum number of requests in flight per task. Default: 4.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 64},
                    },
                    "max_attempts": {
                        "label": "Attempts per request",
                        "description": "Maximum number of attempts per request, including the first one. Default: 5.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 20},
                    },
                    "requests_per_second": {
                        "label": "Requests per second",
                        "description": "Maximum rate per process and API key; 0 means unlimited. Default: 20.",
                        "schema": {"type": ["number", "null"], "minimum": 0},
                    },
                    "verify": {
                        "label": "Verify the certificate",
                        "description": "Verify the server's TLS certificate. In JSON, also the path of a file with "
                        "trusted CA certificates. Default: yes.",
                        "schema": {"type": ["boolean", "null"], "default": True},
                    },
                    "proxies": {
                        "label": "Proxies",
                        "description": 'Proxy URL for https, for example {"https": "http://proxy.example.com:3128"}. '
                        "Default: the proxies from the worker's environment.",
                        "schema": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
                    },
                    "allow_http": {
                        "label": "Allow http",
                        "description": "Allow the API key to be sent unencrypted to another machine. For tests only. "
                        "Default: no.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "redact_key": {
                        "label": "Redaction key",
                        "description": "Secret for hashing personal data in exports. The same key produces the same "
                        "hashes. Required only to redact with hash.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "sender": {
                        "label": "Sender",
                        "description": "Sender of SMS, unless a task or notification sets one: 3 to 11 letters and "
                        "digits, or a phone number with country code.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "recipients": {
                        "label": "Recipients",
                        "description": "Recipients of notifications, unless a notification sets its own: phone "
                        "numbers with country code, separated by commas.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "deployment": {
                        "label": "Deployment",
                        "description": "Name of this Airflow, such as production, if several send SMS from the same "
                        "account. Part of the default reference.",
                        "schema": {"type": ["string", "null"]},
                    },
                },
            }
        ],
    }
