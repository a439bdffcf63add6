# SPDX-License-Identifier: Apache-2.0
"""The Airflow connection to a sandbox."""

from __future__ import annotations

import json
from typing import Any


def airflow_connection(url: str, key: str, **extra: Any) -> str:
    """
    Return an Airflow connection to a sandbox.

    :param url: the sandbox's base URL.
    :param key: the API key that it accepts.
    :param extra: the connection's extras.
    :return: JSON for an environment variable ``AIRFLOW_CONN_<ID>``.
    """
    connection: dict[str, Any] = {"conn_type": "ip1", "host": url, "password": key}
    return json.dumps(connection | ({"extra": extra} if extra else {}))
