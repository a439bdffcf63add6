# SPDX-License-Identifier: Apache-2.0
"""
The provider metadata for Airflow's provider manager and connection form.

Airflow loads this module before its own configuration is complete. Importing Airflow here would break it.
"""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_ip1 import __version__
from airflow_provider_ip1.api.extras import EXTRAS

_NAME: Final = "iP.1 SMS"
# As the providers of the stores name them.
_STORES: Final = {"s3": "Amazon Simple Storage Service (S3)", "wasb": "Microsoft Azure Blob Storage"}


def get_provider_info() -> dict[str, Any]:
    """
    Return the provider metadata. The entry point group ``apache_airflow_provider`` calls this function.

    :return: a dictionary that is valid under both of Airflow's schemas, ``provider_info.schema.json`` and
        ``provider.yaml.schema.json``.
    """
    return {
        "package-name": "airflow-provider-ip1",
        "name": _NAME,
        # Airflow's page of providers removes the markup. The address must be followed by a space or the end, because
        # the page's links include punctuation marks.
        "description": "Export SMS conversations, send SMS, and wait for deliveries and replies with "
        "`iP.1 <https://www.ip1sms.com/>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _NAME,
                "external-doc-url": "https://www.ip1sms.com/en/developer/",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hooks.ip1"),
        "operators": _modules("operators.send_sms"),
        "sensors": _modules("sensors.message_status", "sensors.incoming_sms"),
        "triggers": _modules("triggers.message_status", "triggers.incoming_sms", "triggers.incoming_sms_wait"),
        "transfers": [
            {
                "source-integration-name": _NAME,
                "target-integration-name": target,
                "python-module": f"airflow_provider_ip1.transfers.{source}_to_{store}",
            }
            for store, target in _STORES.items()
            for source in ("conversation", "messages")
        ],
        "notifications": ["airflow_provider_ip1.notifications.ip1.IP1Notifier"],
        "extra-links": [
            "airflow_provider_ip1.links.s3.S3ObjectLink",
            "airflow_provider_ip1.links.azure.AzureBlobLink",
        ],
        "connection-types": [
            {
                "connection-type": "ip1",
                "hook-class-name": "airflow_provider_ip1.hooks.ip1.IP1Hook",
                "hook-name": _NAME,
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
                "conn-fields": {
                    name: {"label": extra.label, "description": extra.description, "schema": extra.schema}
                    for name, extra in EXTRAS.items()
                },
            }
        ],
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _NAME, "python-modules": [f"airflow_provider_ip1.{name}" for name in names]}]
