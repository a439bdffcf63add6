# SPDX-License-Identifier: Apache-2.0
"""
What Airflow's provider manager and connection form learn about this package.

Airflow loads this module while its own configuration is half built, so it must import nothing of Airflow.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_ip1 import __version__


def get_provider_info() -> dict[str, Any]:
    """
    Describe the provider, as the entry point group ``apache_airflow_provider`` asks for.

    :return: a dictionary that fits both schemas that ship with Airflow, ``provider_info.schema.json`` and
        ``provider.yaml.schema.json``.
    """
    return {
        "package-name": "airflow-provider-ip1",
        "name": "iP.1 SMS",
        "description": "SMS conversations and deliveries of `iP.1 <https://www.ip1sms.com/>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "iP.1 SMS",
                "external-doc-url": "https://www.ip1sms.com/en/developer/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "iP.1 SMS", "python-modules": ["airflow_provider_ip1.hooks.ip1"]}],
        "sensors": [
            {"integration-name": "iP.1 SMS", "python-modules": ["airflow_provider_ip1.sensors.message_status"]}
        ],
        "triggers": [
            {"integration-name": "iP.1 SMS", "python-modules": ["airflow_provider_ip1.triggers.message_status"]}
        ],
        "transfers": [
            {
                "source-integration-name": "iP.1 SMS",
                "target-integration-name": "Amazon Simple Storage Service (S3)",
                "python-module": "airflow_provider_ip1.transfers.conversation_to_s3",
            }
        ],
        "extra-links": ["airflow_provider_ip1.links.s3.S3ObjectLink"],
        "connection-types": [
            {
                "connection-type": "ip1",
                "hook-class-name": "airflow_provider_ip1.hooks.ip1.IP1Hook",
                "hook-name": "iP.1 SMS",
                "ui-field-behaviour": {
                    # iP.1 knows no login. Scheme and port are part of the base URL; fields of their own could only
                    # contradict it. Connections from a URI may still set them.
                    "hidden-fields": ["login", "schema", "port"],
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {
                        "host": "https://api.ip1sms.com",
                        "password": "made in the iP.1 portal",
                    },
                },
                "conn-fields": {
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds to wait for the server, above 0: one number, or [connect, read]. "
                        "Default: [10, 60].",
                        # A list of types would make it a large box for JSON.
                        "schema": {"type": ["string", "null"], "default": "[10, 60]"},
                    },
                    "page_size": {
                        "label": "Page size",
                        "description": "Messages per request. Default: 200.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 10000, "default": 200},
                    },
                    "concurrency": {
                        "label": "Concurrency",
                        "description": "Pages fetched ahead at the same time, per task. Default: 4.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 64, "default": 4},
                    },
                    "max_attempts": {
                        "label": "Attempts per request",
                        "description": "How often a request is sent when the server is busy or out of reach, the "
                        "first time included. Default: 5.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 20, "default": 5},
                    },
                    "requests_per_second": {
                        "label": "Requests per second",
                        "description": "The most that one task sends; 0 is no limit. Default: 20.",
                        "schema": {"type": ["number", "null"], "minimum": 0, "default": 20},
                    },
                    "verify": {
                        "label": "Verify the certificate",
                        "description": "Whether the server's TLS certificate is checked. In the extras' JSON also the "
                        "path of a file of trusted authorities. Default: yes.",
                        "schema": {"type": ["boolean", "null"], "default": True},
                    },
                    "proxies": {
                        "label": "Proxies",
                        "description": 'Proxy URL per scheme, for example {"https": "http://proxy.example.com:3128"}. '
                        "Default: those of the worker's environment.",
                        "schema": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
                    },
                    "allow_http": {
                        "label": "Allow http",
                        "description": "Send the API key unencrypted to a server that is not on this machine. For "
                        "tests only. Default: no.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "redact_key": {
                        "label": "Redaction key",
                        "description": "Secret with which exports hash personal data. The same key gives the same "
                        "hashes. Needed only for redact with hash.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                },
            }
        ],
    }
